/**
 * Transactions and plain sends on kafkajs's producer.
 *
 * A transaction is sent as positions first, outputs next: the positions meet the end of the transaction before, and any trouble of
 * the coordinators, where they can be sent again without harm.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Offsets, Producer, ProducerBatch, ProducerConfig, RecordMetadata, Transaction } from 'kafkajs'
import { closeSoon, type Driver, type Round, type Sender, type Transactor } from '../adapter/driver.ts'
import { type Client, QUICK_RETRY } from './client.ts'
import { TopicMessages } from './encoded-messages.ts'
import { isTransient } from './errors.ts'

/** kafkajs writes a produce request again for so long (100 ms apart) while its leader is being replaced. */
const sendRetry = (timeoutMs: number) => ({
  ...QUICK_RETRY,
  maxRetryTime: 100,
  retries: Math.ceil(timeoutMs / 100),
})

const SEND_PATIENCE_MS = 20_000

/** Encoded here; kafkajs knows messages of its own kind only. */
const requestOf = (round: Round): ProducerBatch => {
  const now = Date.now()
  const topicMessages: unknown = round.map(({ topic, messages }) => ({
    topic,
    messages: new TopicMessages(messages, now),
  }))
  return { acks: -1, topicMessages: topicMessages as NonNullable<ProducerBatch['topicMessages']> }
}

/**
 * Holds the answers against what was sent. When a leader is lost, kafkajs asks its successor for nothing more if that has answered for other
 * partitions already, and resolves: records would be gone, and their positions committed.
 * @throws Error where a partition was not answered.
 */
export const requireAnswers = (
  round: Round,
  answers: readonly Pick<RecordMetadata, 'topicName' | 'partition'>[],
): void => {
  for (const { topic, messages } of round) {
    const answered = new Set<number>()
    for (const { topicName, partition } of answers) if (topicName === topic) answered.add(partition)
    for (const { partition } of messages)
      if (!answered.has(partition)) throw new Error(`no leader has answered for ${topic}/${partition}`)
  }
}

/** Records come with their partitions; naming a partitioner keeps kafkajs from a warning about its default. */
const neverAsked = () => (): number => 0

const connected = async <T>(
  { kafka }: Client,
  config: ProducerConfig,
  begin: (producer: Producer) => Promise<T>,
): Promise<T> => {
  const producer = kafka.producer({ ...config, allowAutoTopicCreation: false, createPartitioner: neverAsked })
  try {
    await producer.connect()
    return await begin(producer)
  } catch (error) {
    await closeSoon(producer.disconnect())
    throw error
  }
}

/** kafkajs initialises the producer with its first transaction, in which nothing has been sent. */
export const createTransactor: (
  client: Client,
  options: Parameters<Driver['transactor']>[0],
) => Promise<Transactor> = (client, { transactionalId, groupId, partition, timeoutMs }) =>
  connected(
    client,
    { transactionalId, transactionTimeout: timeoutMs, maxInFlightRequests: 1, retry: sendRetry(timeoutMs) },
    async (producer) => {
      let transaction = await producer.transaction()

      const sendPositions = async (positions: Parameters<Transactor['transact']>[0]): Promise<void> => {
        const topics = [...positions].map(([topic, { offset, metadata = '' }]) => ({
          topic,
          partitions: [{ partition, offset: String(offset), metadata }],
        })) as Offsets['topics']
        await patientlySent(transaction, { consumerGroupId: groupId, topics }, timeoutMs)
      }

      const transact: Transactor['transact'] = async (positions, rounds) => {
        if (positions.size > 0) await sendPositions(positions)
        for (const round of rounds) requireAnswers(round, await transaction.sendBatch(requestOf(round)))
        await transaction.commit()
        transaction = await producer.transaction()
      }

      return {
        transact: (positions, rounds) => within(timeoutMs, transact(positions, rounds)),
        close: () => closeSoon(producer.disconnect()),
      }
    },
  )

/** kafkajs would go on trying long after the coordinator has aborted the transaction. */
const within = <T>(limitMs: number, work: Promise<T>): Promise<T> =>
  new Promise((done, failed) => {
    const late = () => failed(new Error(`a transaction did not end within its time-out of ${limitMs} ms`))
    const limit = setTimeout(late, limitMs)
    work.then(done, failed).finally(() => clearTimeout(limit))
  })

const patientlySent = async (
  transaction: Transaction,
  offsets: Parameters<Transaction['sendOffsets']>[0],
  patienceMs: number,
): Promise<void> => {
  const deadline = Date.now() + patienceMs
  for (let wait = 2; ; wait = Math.min(wait * 2, 200)) {
    try {
      await transaction.sendOffsets(offsets)
      return
    } catch (error) {
      if (!isTransient(error) || Date.now() + wait > deadline) throw error
      await sleep(wait)
    }
  }
}

export const createSender = (client: Client): Promise<Sender> =>
  connected(client, { idempotent: true, retry: sendRetry(SEND_PATIENCE_MS) }, async (producer) => ({
    send: async (rounds) => {
      for (const round of rounds) requireAnswers(round, await producer.sendBatch(requestOf(round)))
    },
    close: () => closeSoon(producer.disconnect()),
  }))
