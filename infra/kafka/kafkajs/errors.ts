/**
 * What kafkajs throws, in millrace's terms. kafkajs wraps errors in errors (retries exceeded, non-retriable, …); what decides is the
 * protocol's own type, wherever in the chain of causes it sits.
 */
import { type ErrorCode, MillraceError } from '../../../schemas/errors.ts'

interface KafkajsError {
  readonly name?: string
  readonly message?: string
  /** The protocol's name of an error, such as `INVALID_PRODUCER_EPOCH`. */
  readonly type?: string
  readonly code?: unknown
  readonly retriable?: boolean
  readonly cause?: unknown
}

/** What the adapter itself found, in kafkajs's manner: it may pass. */
export class TransientError extends Error {
  readonly retriable = true
}

function* chain(error: unknown): Generator<KafkajsError> {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++)
    yield at as KafkajsError
}

/** The protocol error's type, or '' where there is none. */
export const typeOf = (error: unknown): string => {
  for (const each of chain(error)) if (typeof each.type === 'string') return each.type
  return ''
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  INVALID_PRODUCER_EPOCH: 'PRODUCER_FENCED',
  PRODUCER_FENCED: 'PRODUCER_FENCED',
  ILLEGAL_GENERATION: 'STALE_GENERATION',
  UNKNOWN_MEMBER_ID: 'STALE_GENERATION',
  FENCED_INSTANCE_ID: 'STALE_GENERATION',
  OFFSET_OUT_OF_RANGE: 'OFFSET_OUT_OF_RANGE',
  MESSAGE_TOO_LARGE: 'MESSAGE_TOO_LARGE',
  RECORD_LIST_TOO_LARGE: 'MESSAGE_TOO_LARGE',
  OFFSET_METADATA_TOO_LARGE: 'METADATA_TOO_LARGE',
  UNKNOWN_TOPIC_OR_PARTITION: 'MISSING_TOPIC',
}

/** Newer brokers' PRODUCER_FENCED (90) has no name in kafkajs, which tells its number in words alone. */
const PRODUCER_FENCED = /Unknown error code 90\b/

const REFUSED = /certificate|self.signed|altname|SSL|TLS|EPROTO|ENOTFOUND_CERT/i

/** Whether the cluster answered and turned us away: no use in trying again. */
const isRefusal = (error: unknown): boolean => {
  for (const { name, message, code } of chain(error)) {
    if (name === 'KafkaJSSASLAuthenticationError' || name === 'KafkaJSUnsupportedSaslMechanismError')
      return true
    if (name === 'KafkaJSConnectionError' && REFUSED.test(`${message} ${String(code)}`)) return true
  }
  return typeOf(error).endsWith('AUTHORIZATION_FAILED')
}

/**
 * What kafkajs says as if for good, and is not: that no broker answered who the coordinator is, for which a connection lost at that moment
 * is enough; and that somebody else was connecting for too long.
 */
const PASSING = new Set(['KafkaJSGroupCoordinatorNotFound', 'KafkaJSLockTimeout'])

/** Whether the same request may succeed a little later. */
export const isTransient = (error: unknown): boolean => {
  if (error instanceof MillraceError || isRefusal(error)) return false
  let passing = false
  for (const { retriable, name } of chain(error)) passing ||= retriable === true || PASSING.has(name ?? '')
  return passing
}

/** The error as a MillraceError; `fallback` is for what has no code of its own. */
export const toMillraceError = (error: unknown, address: string, fallback: ErrorCode): MillraceError => {
  if (error instanceof MillraceError) return error
  const { message = String(error) } = (error ?? {}) as KafkajsError
  if (isRefusal(error))
    return new MillraceError('KAFKA_UNAVAILABLE', `Kafka at ${address} refused the connection: ${message}`, {
      cause: error,
    })
  let code = CODES[typeOf(error)]
  for (const each of chain(error)) if (PRODUCER_FENCED.test(each.message ?? '')) code ??= 'PRODUCER_FENCED'
  return new MillraceError(code ?? fallback, `${message} (Kafka at ${address})`, { cause: error })
}
