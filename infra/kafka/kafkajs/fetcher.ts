/**
 * Follows partitions from given offsets and hands out their committed records in batches, on pull. It fetches through kafkajs's
 * connection with no consumer of kafkajs's in between, for these reasons: positions are its own and explicit (kafkajs answers an
 * offset out of range by committing another one), records are decoded cheaply (fetch-response.ts), the last stable offset is
 * known, and the next records are fetched while the last are worked on.
 *
 * Bounded: a partition is fetched again when fewer than `maxBatchRecords` of its records wait, one request per leader at a time.
 * A record costs one object; keys and values are views of the received buffer.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from 'kafkajs'
import { type Fetcher, type FetcherOptions, outOfRange, patiently, unavailable } from '../adapter/driver.ts'
import { InputQueue, type QueuedInput } from '../adapter/input-queue.ts'
import { Trouble } from '../adapter/trouble.ts'
import type { Batch } from '../port.ts'
import { type Client, type OpenCluster, openCluster } from './client.ts'
import { isTransient, TransientError, toMillraceError, typeOf } from './errors.ts'
import { answerFetchesAsBatches, type FetchedPartition, type FetchResponse } from './fetch-response.ts'

const MAX_WAIT_MS = 100
/** Where other inputs are left out of a request, it must not keep them waiting. */
const SHORT_WAIT_MS = 5
const MAX_PARTITION_BYTES = 1_048_576
const MAX_BYTES = 10_485_760
const READ_COMMITTED = 1

/** Appends what is committed among the fetched records to the input, and moves its position above all of them. */
const take = (
  input: QueuedInput,
  { abortedTransactions, batches, lastStableOffset }: FetchedPartition,
): void => {
  const aborted = [...abortedTransactions].sort((a, b) => a.firstOffset - b.firstOffset)
  const aborting = new Set<bigint>()
  let nextAborted = 0
  for (const { producerId, inTransaction, control, records, nextOffset } of batches) {
    // A producer's batch lies within one transaction, so the batch's last offset tells as well as its first.
    while (nextAborted < aborted.length && aborted[nextAborted]!.firstOffset < nextOffset)
      aborting.add(aborted[nextAborted++]!.producerId)
    if (control === 'abort') aborting.delete(producerId)
    else if (control === null && !(inTransaction && aborting.has(producerId))) {
      for (const record of records)
        if (record.offset >= input.position && record.offset < input.to) input.push(record)
    }
    if (nextOffset > input.position) input.position = nextOffset
  }
  input.stableOffset = lastStableOffset
}

class ClusterFetcher implements Fetcher {
  readonly #client: Client
  readonly #open: OpenCluster
  readonly #cluster: Cluster
  readonly #queue: InputQueue
  readonly #maxBatchRecords: number
  readonly #busyNodes = new Set<string>()
  readonly #trouble: Trouble

  constructor(client: Client, open: OpenCluster, options: FetcherOptions) {
    this.#client = client
    this.#trouble = new Trouble(client.patienceMs)
    this.#open = open
    this.#cluster = open.cluster
    this.#maxBatchRecords = options.maxBatchRecords
    this.#queue = new InputQueue(options)
  }

  next(): Promise<Batch | undefined> {
    return this.#queue.next(() => this.#pump())
  }

  async close(): Promise<void> {
    this.#queue.close()
    await this.#open.close()
  }

  /** Asks every leader that is not being asked for the inputs that run dry. */
  #pump(): void {
    if (this.#queue.ended) return
    const hungry = new Map<string, QueuedInput[]>()
    const skipped = new Set<string>()
    for (const input of this.#queue.inputs) {
      if (input.ended) continue
      const leader = this.#leaderOf(input)
      if (this.#busyNodes.has(leader)) continue
      if (input.waiting >= this.#maxBatchRecords) skipped.add(leader)
      else hungry.set(leader, [...(hungry.get(leader) ?? []), input])
    }
    for (const [leader, inputs] of hungry) {
      this.#busyNodes.add(leader)
      const waitMs = skipped.has(leader) ? SHORT_WAIT_MS : MAX_WAIT_MS
      this.#fetch(leader, inputs, waitMs)
        .catch((error) => this.#recover(error, inputs))
        .finally(() => {
          this.#busyNodes.delete(leader)
          this.#pump()
        })
    }
  }

  #leaderOf({ topic, partition }: QueuedInput): string {
    try {
      return Object.keys(this.#cluster.findLeaderForPartitions(topic, [partition]))[0] ?? ''
    } catch {
      return ''
    }
  }

  async #fetch(leader: string, inputs: readonly QueuedInput[], maxWaitTime: number): Promise<void> {
    await this.#cluster.refreshMetadataIfNecessary()
    if (leader === '') throw new TransientError('a partition has no leader')
    const topics = new Map<string, { partition: number; fetchOffset: string; maxBytes: number }[]>()
    for (const { topic, partition, position } of inputs) {
      const request = { partition, fetchOffset: String(position), maxBytes: MAX_PARTITION_BYTES }
      topics.set(topic, [...(topics.get(topic) ?? []), request])
    }
    const broker = await this.#cluster.findBroker({ nodeId: leader })
    answerFetchesAsBatches(broker)
    const sentAt = performance.now()
    const { responses } = (await broker.fetch({
      isolationLevel: READ_COMMITTED,
      maxWaitTime,
      minBytes: 1,
      maxBytes: MAX_BYTES,
      topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
    })) as unknown as FetchResponse
    if (this.#queue.closed) return
    this.#trouble.over()
    const receivedAt = performance.now()
    for (const { topicName, partitions } of responses)
      for (const fetched of partitions) {
        const input = inputs.find((each) => each.topic === topicName && each.partition === fetched.partition)
        if (!input) continue
        const { position } = input
        take(input, fetched)
        const { lastStableOffset, highWatermark } = fetched
        const empty = input.position === position && input.waiting === 0
        if (empty && position >= lastStableOffset && lastStableOffset === highWatermark)
          input.silence.confirmed(sentAt, receivedAt)
        else input.silence.broken()
      }
    this.#queue.wake()
  }

  async #recover(error: unknown, inputs: readonly QueuedInput[]): Promise<void> {
    if (this.#queue.closed) return
    for (const { silence } of inputs) silence.broken()
    const { address, patienceMs } = this.#client
    const type = typeOf(error)
    if (type === 'OFFSET_OUT_OF_RANGE') {
      const { topic, partition } = error as { topic?: string; partition?: number }
      const input = inputs.find((each) => each.topic === topic && each.partition === partition)
      return this.#queue.fail(outOfRange(topic ?? '?', partition ?? -1, input?.position ?? -1))
    }
    const outOfPatience = this.#trouble.outlasts()
    if (!isTransient(error) || (outOfPatience && type !== ''))
      return this.#queue.fail(toMillraceError(error, address, 'KAFKA_UNAVAILABLE'))
    if (outOfPatience) return this.#queue.fail(unavailable(address, patienceMs, error))
    const { name, host, port } = error as { name?: string; host?: string; port?: number }
    if (name === 'KafkaJSConnectionClosedError' && host && port) this.#cluster.removeBroker({ host, port })
    await sleep(100)
    if (!this.#queue.closed) await this.#cluster.refreshMetadata().catch(() => {})
  }
}

/** Connects and checks that every offset is still there. @throws MillraceError as `next`. */
export const createFetcher = async (client: Client, options: FetcherOptions): Promise<Fetcher> => {
  const open = openCluster(client)
  try {
    await patiently(client, async () => {
      await open.connect()
      await open.cluster.addMultipleTargetTopics([...new Set(options.inputs.map(({ topic }) => topic))])
    })
  } catch (error) {
    await open.close()
    throw error
  }
  return new ClusterFetcher(client, open, options)
}
