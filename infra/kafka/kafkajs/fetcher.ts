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
import type { MillraceError } from '../../../schemas/errors.ts'
import { type Fetcher, type FetcherOptions, outOfRange, patiently, unavailable } from '../adapter/driver.ts'
import type { Batch, ConsumedRecord } from '../port.ts'
import { type Client, type OpenCluster, openCluster } from './client.ts'
import { isTransient, toMillraceError, typeOf } from './errors.ts'
import { answerFetchesAsBatches, type FetchedPartition, type FetchResponse } from './fetch-response.ts'

interface Input {
  readonly topic: string
  readonly partition: number
  readonly to: number
  /** Next offset to fetch. */
  position: number
  stableOffset: number
  /** Records that wait, from `head` on. */
  records: ConsumedRecord[]
  head: number
  /** When a fetch last found nothing here. */
  emptyAt: number
}

const MAX_WAIT_MS = 100
/** Where other inputs are left out of a request, it must not keep them waiting. */
const SHORT_WAIT_MS = 5
const MAX_PARTITION_BYTES = 1_048_576
const MAX_BYTES = 10_485_760
const READ_COMMITTED = 1

/** Appends what is committed among the fetched records to the input, and moves its position above all of them. */
const take = (input: Input, { abortedTransactions, batches, lastStableOffset }: FetchedPartition): void => {
  const aborted = [...abortedTransactions].sort((a, b) => a.firstOffset - b.firstOffset)
  const aborting = new Set<bigint>()
  let nextAborted = 0
  if (input.head > 0) {
    input.records = input.records.slice(input.head)
    input.head = 0
  }
  for (const { producerId, inTransaction, control, records, nextOffset } of batches) {
    // A producer's batch lies within one transaction, so the batch's last offset tells as well as its first.
    while (nextAborted < aborted.length && aborted[nextAborted]!.firstOffset < nextOffset)
      aborting.add(aborted[nextAborted++]!.producerId)
    if (control === 'abort') aborting.delete(producerId)
    else if (control === null && !(inTransaction && aborting.has(producerId))) {
      for (const record of records)
        if (record.offset >= input.position && record.offset < input.to) input.records.push(record)
    }
    if (nextOffset > input.position) input.position = nextOffset
  }
  input.stableOffset = lastStableOffset
}

class ClusterFetcher implements Fetcher {
  readonly #client: Client
  readonly #open: OpenCluster
  readonly #cluster: Cluster
  readonly #inputs: Input[]
  readonly #maxBatchRecords: number
  readonly #idleMs: number
  readonly #busyNodes = new Set<string>()
  #turn = 0
  #closed = false
  #failure: MillraceError | undefined
  /** When the cluster's trouble began; 0 while all is well. */
  #troubledSince = 0
  #wake: () => void = () => {}

  constructor(client: Client, open: OpenCluster, options: FetcherOptions) {
    this.#client = client
    this.#open = open
    this.#cluster = open.cluster
    this.#maxBatchRecords = options.maxBatchRecords
    this.#idleMs = options.idleMs ?? Number.POSITIVE_INFINITY
    this.#inputs = options.inputs.map(({ topic, partition, offset, to }) => ({
      topic,
      partition,
      to: to ?? Number.POSITIVE_INFINITY,
      position: offset,
      stableOffset: offset,
      records: [],
      head: 0,
      emptyAt: 0,
    }))
  }

  async next(): Promise<Batch | undefined> {
    const since = Date.now()
    for (;;) {
      if (this.#closed) return undefined
      const batch = this.#batch()
      this.#pump()
      if (batch) return batch
      if (this.#failure) throw this.#failure
      if (this.#inputs.every(({ position, to }) => position >= to)) return undefined
      const waited = Date.now() - since
      // Silence counts only where every input was asked and had nothing.
      if (waited >= this.#idleMs && this.#inputs.every(({ emptyAt }) => emptyAt >= since + this.#idleMs / 2))
        return { topic: '', partition: -1, records: [], nextOffset: -1, highWatermark: -1, idle: true }
      await this.#woken(waited < this.#idleMs ? this.#idleMs - waited : MAX_WAIT_MS)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wake()
    await this.#open.close()
  }

  #woken(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = timeoutMs < 0x7fffffff ? setTimeout(resolve, timeoutMs) : undefined
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** The next batch among what waits, the inputs in turn. */
  #batch(): Batch | undefined {
    const { length } = this.#inputs
    for (let i = 0; i < length; i++) {
      const input = this.#inputs[(this.#turn + i) % length]!
      const { records, head } = input
      if (head >= records.length) continue
      const end = Math.min(records.length, head + this.#maxBatchRecords)
      const last = end === records.length
      input.head = last ? 0 : end
      if (last) input.records = []
      this.#turn = (this.#turn + i + 1) % length
      return {
        topic: input.topic,
        partition: input.partition,
        records: last && head === 0 ? records : records.slice(head, end),
        nextOffset: last ? Math.min(input.position, input.to) : records[end]!.offset,
        highWatermark: input.stableOffset,
      }
    }
    return undefined
  }

  /** Asks every leader that is not being asked for the inputs that run dry. */
  #pump(): void {
    if (this.#closed || this.#failure) return
    const hungry = new Map<string, Input[]>()
    const skipped = new Set<string>()
    for (const input of this.#inputs) {
      if (input.position >= input.to) continue
      const leader = this.#leaderOf(input)
      if (this.#busyNodes.has(leader)) continue
      if (input.records.length - input.head >= this.#maxBatchRecords) skipped.add(leader)
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

  #leaderOf({ topic, partition }: Input): string {
    try {
      return Object.keys(this.#cluster.findLeaderForPartitions(topic, [partition]))[0] ?? ''
    } catch {
      return ''
    }
  }

  async #fetch(leader: string, inputs: readonly Input[], maxWaitTime: number): Promise<void> {
    await this.#cluster.refreshMetadataIfNecessary()
    if (leader === '') throw new TransientError('a partition has no leader')
    const topics = new Map<string, { partition: number; fetchOffset: string; maxBytes: number }[]>()
    for (const { topic, partition, position } of inputs) {
      const request = { partition, fetchOffset: String(position), maxBytes: MAX_PARTITION_BYTES }
      topics.set(topic, [...(topics.get(topic) ?? []), request])
    }
    const broker = await this.#cluster.findBroker({ nodeId: leader })
    answerFetchesAsBatches(broker)
    const { responses } = (await broker.fetch({
      isolationLevel: READ_COMMITTED,
      maxWaitTime,
      minBytes: 1,
      maxBytes: MAX_BYTES,
      topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
    })) as unknown as FetchResponse
    if (this.#closed) return
    this.#troubledSince = 0
    const now = Date.now()
    for (const { topicName, partitions } of responses)
      for (const fetched of partitions) {
        const input = inputs.find((each) => each.topic === topicName && each.partition === fetched.partition)
        if (!input) continue
        take(input, fetched)
        if (input.records.length === 0 && input.position >= input.stableOffset) input.emptyAt = now
      }
    this.#wake()
  }

  async #recover(error: unknown, inputs: readonly Input[]): Promise<void> {
    if (this.#closed) return
    const { address, patienceMs } = this.#client
    const type = typeOf(error)
    if (type === 'OFFSET_OUT_OF_RANGE') {
      const { topic, partition } = error as { topic?: string; partition?: number }
      const input = inputs.find((each) => each.topic === topic && each.partition === partition)
      return this.#fail(outOfRange(topic ?? '?', partition ?? -1, input?.position ?? -1))
    }
    this.#troubledSince ||= Date.now()
    const outOfPatience = Date.now() - this.#troubledSince > patienceMs
    if (!isTransient(error) || (outOfPatience && type !== ''))
      return this.#fail(toMillraceError(error, address, 'KAFKA_UNAVAILABLE'))
    if (outOfPatience) return this.#fail(unavailable(address, patienceMs, error))
    const { name, host, port } = error as { name?: string; host?: string; port?: number }
    if (name === 'KafkaJSConnectionClosedError' && host && port) this.#cluster.removeBroker({ host, port })
    await sleep(100)
    if (!this.#closed) await this.#cluster.refreshMetadata().catch(() => {})
  }

  #fail(failure: MillraceError): void {
    this.#failure = failure
    this.#wake()
  }
}

class TransientError extends Error {
  readonly retriable = true
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
