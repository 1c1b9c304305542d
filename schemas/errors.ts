/**
 * What is said when something is wrong: one error type with a stable code. Codes are part of the public interface (they are
 * written to `dead-letters`, to metrics and to logs) and never change their meaning; docs/errors.md describes each.
 */
export const ERROR_CODES = [
  // A record that cannot be read.
  'MALFORMED_AVRO',
  'UNKNOWN_SCHEMA',
  'MESSAGE_TOO_LARGE',
  'MALFORMED_JSON',
  'MALFORMED_FILE',
  'MAPPING_FAILED',
  // A record that can be read and must not be acted on.
  'INVALID_EVENT',
  'NON_FINITE_NUMBER',
  'WRONG_DIMENSION',
  'UNKNOWN_POLICY',
  'UNKNOWN_ARM',
  'EMPTY_ARMS',
  'DUPLICATE_ARM',
  'INVALID_PROPENSITY',
  // A log that cannot say what is asked of it.
  'NO_SUPPORT',
  // State and definitions.
  'SNAPSHOT_CORRUPT',
  'SNAPSHOT_MISMATCH',
  'POLICY_DIFFERS',
  'COLD_STATE',
  'UNKNOWN_MODEL',
  'INCOMPATIBLE_SCHEMA',
  // Configuration and surroundings.
  'INVALID_CONFIG',
  'KAFKA_UNAVAILABLE',
  'CLICKHOUSE_UNAVAILABLE',
  'CLICKHOUSE_UNSUPPORTED_PLATFORM',
  'CLICKHOUSE_REFUSED',
  'REGISTRY_UNAVAILABLE',
  'MISSING_TOPIC',
  'MISSING_TABLE',
  'RETENTION_TOO_SHORT',
  'STORE_UNAVAILABLE',
  'PARTITION_MISMATCH',
  'MIGRATION_CHANGED',
  'NO_DEDUPLICATION_WINDOW',
  'JAVA_MISSING',
  // Delivery.
  'PRODUCER_FENCED',
  'STALE_GENERATION',
  'COMMIT_UNKNOWN',
  'OFFSET_OUT_OF_RANGE',
  'BLOCK_LOST',
  'METADATA_TOO_LARGE',
  'DEAD_LETTER_FAILED',
  // Answers over HTTP, and about them.
  'NOT_READY',
  'QUEUE_FULL',
  'NOT_ACKNOWLEDGED',
  'UNKNOWN_REQUEST',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/** An error with a stable code. `message` is for people, `code` for programs; `cause` keeps what lay beneath. */
export class MillraceError extends Error {
  override readonly name = 'MillraceError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The code of any thrown value, or `fallback` where it carries none. */
export const codeOf = (error: unknown, fallback: ErrorCode): ErrorCode =>
  error instanceof MillraceError ? error.code : fallback
