/** What librdkafka reports, in millrace's terms, by its numeric codes: negative ones are its own, positive ones the broker's. */
import { type ErrorCode, MillraceError } from '../../../schemas/errors.ts'
import type { LibraryError } from './library.ts'

export const QUEUE_FULL = -184
/** Its answer to an offset out of range, where it may not jump. */
export const NO_OFFSET = -140

const CODES: Readonly<Record<number, ErrorCode>> = {
  [-144]: 'PRODUCER_FENCED',
  47: 'PRODUCER_FENCED', // INVALID_PRODUCER_EPOCH
  90: 'PRODUCER_FENCED',
  22: 'STALE_GENERATION', // ILLEGAL_GENERATION
  25: 'STALE_GENERATION', // UNKNOWN_MEMBER_ID
  82: 'STALE_GENERATION', // FENCED_INSTANCE_ID
  1: 'OFFSET_OUT_OF_RANGE',
  [NO_OFFSET]: 'OFFSET_OUT_OF_RANGE',
  10: 'MESSAGE_TOO_LARGE',
  18: 'MESSAGE_TOO_LARGE', // RECORD_LIST_TOO_LARGE
  12: 'METADATA_TOO_LARGE',
  3: 'MISSING_TOPIC',
  [-188]: 'MISSING_TOPIC', // unknown topic
  [-190]: 'MISSING_TOPIC', // unknown partition
}

/** Authentication, TLS, and what the broker's authoriser denies. */
const REFUSALS = new Set([-169, -181, 29, 30, 31, 33, 34, 53, 58])

/** Timed out, transport, all brokers down, coordinators that move or load, leaders that change, transactions that end. */
const TRANSIENT = new Set([
  -200, -195, -192, -187, -185, -180, -166, -153, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 27, 51, 72, 79,
])

export const codeNumber = (error: unknown): number => {
  const { code } = (error ?? {}) as Partial<LibraryError>
  return typeof code === 'number' ? code : 0
}

/** Errors that come as events bear the text alone. */
const REFUSAL_TEXT = /authentication fail|ssl error|authorization failed/i

/** Whether the cluster answered and turned us away: no use in trying again. */
export const isRefusal = (error: unknown): boolean =>
  REFUSALS.has(codeNumber(error)) || REFUSAL_TEXT.test((error as Partial<LibraryError>)?.message ?? '')

/** Whether the same request may succeed a little later. */
export const isTransient = (error: unknown): boolean =>
  !(error instanceof MillraceError) &&
  !isRefusal(error) &&
  (TRANSIENT.has(codeNumber(error)) || (error as Partial<LibraryError>)?.isRetriable === true)

/** The error as a MillraceError; `fallback` is for what has no code of its own. */
export const toMillraceError = (error: unknown, address: string, fallback: ErrorCode): MillraceError => {
  if (error instanceof MillraceError) return error
  const { message = String(error) } = (error ?? {}) as Partial<LibraryError>
  if (isRefusal(error))
    return new MillraceError('KAFKA_UNAVAILABLE', `Kafka at ${address} refused the connection: ${message}`, {
      cause: error,
    })
  return new MillraceError(CODES[codeNumber(error)] ?? fallback, `${message} (Kafka at ${address})`, {
    cause: error,
  })
}
