/**
 * Transactions and plain sends on librdkafka's producer. Records and positions of a transaction are under way together; only rounds
 * wait for one another, since librdkafka knows no limit of a batch by topic. A connection that breaks within a transaction costs
 * nothing: librdkafka asks the coordinator again, and an end is told once however often it is sent.
 *
 * Reports of a transaction are polled by its commit alone: a second thread that polls makes it wait 10 ms for what the other took.
 */
import type { Driver, Round, Sender, Transactor } from '../adapter/driver.ts'
import { type Client, closeClient } from './client.ts'
import { codeNumber, QUEUE_FULL } from './errors.ts'
import { asked, type LibraryError, type Producer } from './library.ts'

/** The library takes an empty buffer for null where nothing lies behind it. */
const EMPTY = Buffer.alloc(1).subarray(0, 0)
const kept = (field: Buffer | null): Buffer | null => (field?.length === 0 ? EMPTY : field)

/** Hands a round to librdkafka, which copies it; waits where its queue is full. */
const enqueue = async (producer: Producer, round: Round, timeoutMs: number): Promise<void> => {
  for (const { topic, messages } of round)
    for (const { key, value, partition, timestamp, headers } of messages) {
      const list = headers && Object.entries(headers).map(([name, field]) => ({ [name]: kept(field)! }))
      for (let tried = 0; ; tried++)
        try {
          producer.produce(topic, partition, kept(value), kept(key), timestamp, undefined, list)
          break
        } catch (error) {
          if (codeNumber(error) !== QUEUE_FULL || tried > 0) throw error
          await asked((done) => producer.flush(timeoutMs, done))
        }
    }
}

export const createTransactor: (
  client: Client,
  options: Parameters<Driver['transactor']>[0],
) => Promise<Transactor> = async (client, { transactionalId, groupId, partition, timeoutMs }) => {
  const producer = await client.producer({
    'transactional.id': transactionalId,
    'transaction.timeout.ms': timeoutMs,
  })
  try {
    const group = await client.groupHandle(groupId)
    await asked((done) => producer.initTransactions(timeoutMs, done))
    return {
      transact: async (positions, rounds) => {
        await asked((done) => producer.beginTransaction(done))
        for (const [i, round] of rounds.entries()) {
          if (i > 0) await asked((done) => producer.flush(timeoutMs, done))
          await enqueue(producer, round, timeoutMs)
        }
        const offsets = [...positions].map(([topic, { offset, metadata = '' }]) => ({
          topic,
          partition,
          offset,
          metadata,
        }))
        if (offsets.length > 0)
          await asked((done) => producer.sendOffsetsToTransaction(offsets, group, timeoutMs, done))
        await asked((done) => producer.commitTransaction(timeoutMs, done))
      },
      close: () => closeClient(producer),
    }
  } catch (error) {
    await closeClient(producer)
    throw error
  }
}

export const createSender = async (client: Client): Promise<Sender> => {
  const producer = await client.producer({
    'enable.idempotence': true,
    'message.timeout.ms': client.patienceMs,
    dr_cb: true,
  })
  producer.setPollInBackground(true)
  let waiting = 0
  let failure: LibraryError | undefined
  let settled = () => {}
  producer.on<LibraryError | null>('delivery-report', (error) => {
    if (error) failure ??= error
    if (--waiting === 0) settled()
  })
  return {
    send: async (rounds) => {
      for (const round of rounds) {
        const delivered = new Promise<void>((resolve) => {
          settled = resolve
        })
        waiting = 0
        for (const { messages } of round) waiting += messages.length
        if (waiting === 0) continue
        await enqueue(producer, round, client.patienceMs)
        await delivered
        if (failure) throw failure
      }
    },
    close: () => closeClient(producer),
  }
}
