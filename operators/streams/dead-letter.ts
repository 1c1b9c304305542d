/**
 * A dead letter: everything needed to see why a record was refused and to send it again. Values up to 512 KiB are kept whole; of a
 * larger one the first 64 KiB with its length and hash, and a replay re-reads the source. So a dead letter fits its topic whatever
 * the source's limit was.
 */
import { createHash } from 'node:crypto'
import type { ErrorCode } from '../../schemas/errors.ts'
import type { DeadLetter } from '../../schemas/generated/events.ts'

export const WHOLE_VALUE_LIMIT = 512 * 1024
export const CUT_VALUE_LENGTH = 64 * 1024
/** A message says what was wrong; it does not carry the record. */
const MESSAGE_LENGTH = 1_000

export interface RefusedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

export interface Refusal {
  /** Where it failed: `decode`, `map`, `decide`, `join`, … */
  readonly stage: string
  readonly code: ErrorCode
  readonly message: string
}

const cut = (bytes: Buffer | null): Buffer | null =>
  bytes === null || bytes.length <= WHOLE_VALUE_LIMIT ? bytes : bytes.subarray(0, CUT_VALUE_LENGTH)

/** @param schemaId the schema that the value's framing names, '' where it names none. @param now milliseconds since the epoch. */
export const deadLetter = (
  record: RefusedRecord,
  refusal: Refusal,
  schemaId: string,
  now: number,
): DeadLetter => {
  // A key as large as a value would not fit beside it.
  const key =
    record.key !== null && record.key.length > CUT_VALUE_LENGTH
      ? record.key.subarray(0, CUT_VALUE_LENGTH)
      : record.key
  const value = cut(record.value)
  return {
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    key,
    value,
    valueLength: record.value?.length ?? -1,
    valueSha256: record.value === null ? '' : createHash('sha256').update(record.value).digest('hex'),
    truncated: key?.length !== record.key?.length || value?.length !== record.value?.length,
    schemaId,
    stage: refusal.stage,
    code: refusal.code,
    message: refusal.message.slice(0, MESSAGE_LENGTH),
    at: now,
  }
}
