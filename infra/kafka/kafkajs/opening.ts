/**
 * Opens a task, always in this order: initialise the producer under the stable id (which aborts what a former owner left open, and
 * fences it), read the committed positions, begin to fetch there. A topic never committed begins at its earliest offset.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { Position, TaskGroupOptions } from '../port.ts'
import { type ClosableAdmin, groupIdOf, missingTopic } from './admin.ts'
import { type Client, closeSoon, patiently, QUICK_RETRY } from './client.ts'
import { createFetcher, type FetcherInput } from './fetcher.ts'
import { asGiven, type Packer } from './outputs.ts'
import { KafkajsTask, type OpenedTask } from './task.ts'

export interface Opening {
  readonly client: Client
  readonly admin: ClosableAdmin
  readonly packer: Packer
  readonly options: TaskGroupOptions
  readonly onLost: OpenedTask['onLost']
  readonly signal: AbortSignal
}

const DEFAULT_TRANSACTION_TIMEOUT_MS = 10_000

/** kafkajs writes a produce request again for so long (100 ms apart) while its leader is being replaced. */
const sendRetry = (timeoutMs: number) => ({
  ...QUICK_RETRY,
  maxRetryTime: 100,
  retries: Math.ceil(timeoutMs / 100),
})

/** @throws MillraceError KAFKA_UNAVAILABLE, MISSING_TOPIC */
export const openTask = async (opening: Opening, partition: number): Promise<KafkajsTask> => {
  const { client, admin, packer, options, signal } = opening
  const { app, job, topics } = options
  const timeoutMs = options.transactionTimeoutMs ?? DEFAULT_TRANSACTION_TIMEOUT_MS
  const transactionalId = `${groupIdOf(app, job)}-${partition}`
  const { producer, transaction } = await patiently(
    client,
    async () => {
      const producer = client.kafka.producer({
        transactionalId,
        transactionTimeout: timeoutMs,
        maxInFlightRequests: 1,
        allowAutoTopicCreation: false,
        createPartitioner: asGiven,
        retry: sendRetry(timeoutMs),
      })
      try {
        await producer.connect()
        return { producer, transaction: await producer.transaction() }
      } catch (error) {
        await closeSoon(producer.disconnect())
        throw error
      }
    },
    signal,
  )
  try {
    const found = await admin.committed(app, job, topics)
    const committed = new Map<string, Position>()
    const inputs: FetcherInput[] = []
    for (const topic of topics) {
      const position = found.get(topic)?.get(partition)
      if (position) committed.set(topic, position)
      const offset = position?.offset ?? (await earliestOf(admin, client, topic, partition))
      inputs.push({ topic, partition, offset })
    }
    const { maxBatchRecords = 1000, idleMs } = options
    const fetcher = await createFetcher(client, {
      inputs,
      maxBatchRecords,
      ...(idleMs === undefined ? {} : { idleMs }),
    })
    return new KafkajsTask({
      job,
      partition,
      committed,
      groupId: groupIdOf(app, job),
      producer,
      transaction,
      fetcher,
      packer,
      address: client.address,
      patienceMs: timeoutMs,
      onLost: opening.onLost,
    })
  } catch (error) {
    await closeSoon(producer.disconnect())
    throw error
  }
}

const earliestOf = async (admin: ClosableAdmin, client: Client, topic: string, partition: number) => {
  const offsets = (await admin.offsets(topic)).find((each) => each.partition === partition)
  if (!offsets) throw missingTopic([topic], client.address)
  return offsets.earliest
}

/** @throws MillraceError MISSING_TOPIC, PARTITION_MISMATCH */
export const checkTopics = async (
  { client, admin }: Pick<Opening, 'client' | 'admin'>,
  { job, topics }: TaskGroupOptions,
): Promise<void> => {
  const found = await admin.describe(topics)
  const absent = topics.filter((topic) => !found.some((each) => each.topic === topic))
  if (absent.length > 0) throw missingTopic(absent, client.address)
  if (new Set(found.map(({ partitions }) => partitions)).size > 1) {
    const counts = found.map(({ topic, partitions }) => `${topic} has ${partitions}`).join(', ')
    throw new MillraceError(
      'PARTITION_MISMATCH',
      `the input topics of ${job} must have the same number of partitions: ${counts}`,
    )
  }
}
