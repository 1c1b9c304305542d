/** What kafkajs throws for the protocol's errors, in millrace's terms: whether it may pass, and its code. */
import { createRequire } from 'node:module'
import { KafkaJSNonRetriableError, KafkaJSNumberOfRetriesExceeded } from 'kafkajs'
import { describe, expect, it } from 'vitest'
import { isTransient, toMillraceError } from '../../../infra/kafka/kafkajs/errors.ts'

const { createErrorFromCode } = createRequire(import.meta.url)('kafkajs/src/protocol/error.js') as {
  createErrorFromCode(code: number): Error
}

/** As it comes out of kafkajs's retry, which gives up at once or at last. */
const wrapped = (code: number): Error => {
  const cause = createErrorFromCode(code)
  const error = isTransient(cause)
    ? new KafkaJSNumberOfRetriesExceeded(cause, { retryCount: 20, retryTime: 20 })
    : new KafkaJSNonRetriableError(cause)
  return Object.assign(error, { cause })
}

describe('an error of the protocol', () => {
  it.each([
    ['INVALID_PRODUCER_EPOCH', 47, 'PRODUCER_FENCED'],
    ['PRODUCER_FENCED', 90, 'PRODUCER_FENCED'],
    ['UNKNOWN_MEMBER_ID', 25, 'STALE_GENERATION'],
    ['ILLEGAL_GENERATION', 22, 'STALE_GENERATION'],
    // What became of the transaction is unknown: the committed positions decide.
    ['INVALID_TXN_STATE', 48, 'COMMIT_UNKNOWN'],
    ['INVALID_PRODUCER_ID_MAPPING', 49, 'COMMIT_UNKNOWN'],
    ['TRANSACTION_COORDINATOR_FENCED', 52, 'COMMIT_UNKNOWN'],
    ['OUT_OF_ORDER_SEQUENCE_NUMBER', 45, 'COMMIT_UNKNOWN'],
    ['TRANSACTION_ABORTABLE', 120, 'COMMIT_UNKNOWN'],
  ])('%s is not tried again, and loses the task', (_, number, code) => {
    for (const error of [createErrorFromCode(number), wrapped(number)]) {
      expect(isTransient(error)).toBe(false)
      expect(toMillraceError(error, '127.0.0.1:1', 'COMMIT_UNKNOWN').code).toBe(code)
    }
  })

  it.each([
    ['CONCURRENT_TRANSACTIONS', 51],
    ['COORDINATOR_LOAD_IN_PROGRESS', 14],
    ['COORDINATOR_NOT_AVAILABLE', 15],
    ['NOT_COORDINATOR', 16],
    ['NOT_ENOUGH_REPLICAS', 19],
    ['NOT_LEADER_OR_FOLLOWER', 6],
  ])('%s may pass', (_, number) => {
    expect(isTransient(createErrorFromCode(number))).toBe(true)
    expect(isTransient(wrapped(number))).toBe(true)
  })
})

it('a coordinator that nobody could name may be named a little later', () => {
  const { KafkaJSGroupCoordinatorNotFound } = createRequire(import.meta.url)('kafkajs/src/errors.js') as {
    KafkaJSGroupCoordinatorNotFound: new (message: string) => Error
  }
  expect(isTransient(new KafkaJSGroupCoordinatorNotFound('Failed to find group coordinator'))).toBe(true)
})
