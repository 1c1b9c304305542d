/**
 * Follows partitions from given offsets on librdkafka's consumer, assigned by hand: it fetches ahead in threads of its own (16 MB at
 * most) and drops what was aborted. It never waits on Node's threads: librdkafka says when something is there.
 *
 * The library drops an error that comes behind records, an offset out of range among them, and tells the end of a partition once. So
 * whatever is silent is asked for its offsets: that finds removed positions and dead leaders, and proves an idle input idle.
 */
import type { MillraceError } from '../../../schemas/errors.ts'
import {
  closeSoon,
  type Fetcher,
  type FetcherOptions,
  outOfRange,
  patiently,
  unavailable,
} from '../adapter/driver.ts'
import type { Batch, ConsumedRecord } from '../port.ts'
import { type Client, closeClient } from './client.ts'
import { codeNumber, isRefusal, isTransient, NO_OFFSET } from './errors.ts'
import { asked, type Headers, type KafkaConsumer, type Message, type WatermarkOffsets } from './library.ts'

interface Input {
  readonly topic: string
  readonly partition: number
  readonly to: number
  /** Above what was received. */
  position: number
  /** Records that wait. */
  records: ConsumedRecord[]
  head: number
  /** Nothing lay beyond `position` when this was last heard. */
  atEnd: boolean
  /** When records or an end were last heard; 0 before. */
  heardAt: number
}

interface PartitionEnd {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

const MAX_WAIT_MS = 100
/** Where all inputs have an end, it is told as soon as it is reached. */
const SHORT_WAIT_MS = 5
const PROBE_MS = 1000
const PROBE_TIMEOUT_MS = 2000

const headersOf = (headers: Headers): Record<string, Buffer> => Object.assign({}, ...headers)

class AssignedFetcher implements Fetcher {
  readonly #client: Client
  readonly #consumer: KafkaConsumer
  readonly #inputs: Input[]
  readonly #maxBatchRecords: number
  readonly #idleMs: number
  readonly #ends: PartitionEnd[] = []
  #turn = 0
  #closed = false
  #failure: MillraceError | undefined
  #filling: Promise<void> | undefined
  #probing: Promise<boolean> | undefined
  #probedAt = 0
  /** When the cluster's trouble began; 0 while all is well. */
  #troubledSince = 0
  /** Something may be in librdkafka's queue. */
  #more = true
  #wake = () => {}

  constructor(client: Client, consumer: KafkaConsumer, options: FetcherOptions) {
    this.#client = client
    this.#consumer = consumer
    this.#maxBatchRecords = options.maxBatchRecords
    this.#idleMs = options.idleMs ?? Number.POSITIVE_INFINITY
    this.#inputs = options.inputs.map(({ topic, partition, offset, to }) => ({
      topic,
      partition,
      to: to ?? Number.POSITIVE_INFINITY,
      position: offset,
      records: [],
      head: 0,
      atEnd: false,
      heardAt: 0,
    }))
    consumer.on<PartitionEnd>('partition.eof', (end) => this.#ends.push(end))
    consumer.assign(
      this.#inputs.map(({ topic, partition, position: offset }) => ({ topic, partition, offset })),
    )
    this.#probedAt = Date.now()
  }

  /** Told by librdkafka when its queue is no longer empty. */
  nonEmpty(): void {
    this.#more = true
    this.#wake()
  }

  async next(): Promise<Batch | undefined> {
    const since = Date.now()
    for (;;) {
      if (this.#closed) return undefined
      const batch = this.#batch()
      if (batch) {
        // The next records are taken over while these are worked on.
        if (!this.#waits()) void this.#fill()
        this.#probeSilent()
        return batch
      }
      if (this.#failure) throw this.#failure
      if (this.#inputs.every(({ position, to }) => position >= to)) return undefined
      await this.#fill()
      if (this.#waits() || this.#more || this.#failure || this.#closed) continue
      const waited = Date.now() - since
      if (waited >= this.#idleMs && this.#inputs.every(({ atEnd }) => atEnd)) {
        // Silence counts only where every leader answers.
        const answered = await this.#probe()
        await this.#fill()
        if (answered && !this.#waits() && this.#inputs.every(({ atEnd }) => atEnd))
          return { topic: '', partition: -1, records: [], nextOffset: -1, highWatermark: -1, idle: true }
      }
      this.#probeSilent()
      if (!this.#more && !this.#waits())
        await this.#woken(waited < this.#idleMs ? Math.min(this.#idleMs - waited, MAX_WAIT_MS) : MAX_WAIT_MS)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wake()
    await closeSoon(Promise.all([this.#filling, this.#probing]))
    await closeClient(this.#consumer)
  }

  #woken(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #waits(): boolean {
    return this.#inputs.some(({ records, head }) => head < records.length)
  }

  /** The next batch among what waits, the inputs in turn. */
  #batch(): Batch | undefined {
    const { length } = this.#inputs
    for (let i = 0; i < length; i++) {
      const input = this.#inputs[(this.#turn + i) % length]!
      const { topic, partition, records, head } = input
      if (head >= records.length) continue
      const end = Math.min(records.length, head + this.#maxBatchRecords)
      const last = end === records.length
      input.head = last ? 0 : end
      if (last) input.records = []
      this.#turn = (this.#turn + i + 1) % length
      return {
        topic,
        partition,
        records: last && head === 0 ? records : records.slice(head, end),
        nextOffset: last ? Math.min(input.position, input.to) : records[end]!.offset,
        highWatermark: this.#highWatermark(input),
      }
    }
    return undefined
  }

  #highWatermark({ topic, partition, position, atEnd }: Input): number {
    if (atEnd) return position
    try {
      return Math.max(position, this.#consumer.getWatermarkOffsets(topic, partition).highOffset)
    } catch {
      return position
    }
  }

  /** Takes over what librdkafka has ready, one call at a time. */
  #fill(): Promise<void> {
    this.#filling ??= this.#consume().finally(() => {
      this.#filling = undefined
    })
    return this.#filling
  }

  async #consume(): Promise<void> {
    this.#more = false
    try {
      const messages = await asked<Message[]>((done) => this.#consumer.consume(this.#maxBatchRecords, done))
      if (messages.length >= this.#maxBatchRecords) this.#more = true
      this.#take(messages)
    } catch (error) {
      if (this.#closed) return
      if (codeNumber(error) === NO_OFFSET) await this.#probe(true)
      else if (isTransient(error)) this.#trouble(error)
      else this.#fail(this.#client.toMillraceError(error, 'KAFKA_UNAVAILABLE'))
    }
  }

  #find(topic: string, partition: number): Input | undefined {
    return this.#inputs.find((input) => input.partition === partition && input.topic === topic)
  }

  #take(messages: readonly Message[]): void {
    let input: Input | undefined
    const now = Date.now()
    for (const { topic, partition, key, value, timestamp, offset, headers } of messages) {
      if (input?.topic !== topic || input.partition !== partition) input = this.#find(topic, partition)
      if (!input || offset < input.position) continue
      input.heardAt = now
      input.atEnd = false
      input.position = offset + 1
      if (offset >= input.to) this.#consumer.pause([{ topic, partition }])
      else if (headers === undefined) input.records.push({ key, value, timestamp, offset })
      else input.records.push({ key, value, timestamp, offset, headers: headersOf(headers) })
    }
    for (const { topic, partition, offset } of this.#ends.splice(0)) {
      const ended = this.#find(topic, partition)
      if (!ended || offset < ended.position) continue
      ended.position = offset
      ended.atEnd = true
      ended.heardAt = now
    }
    if (messages.length > 0) this.#troubledSince = 0
  }

  #probeSilent(): void {
    const now = Date.now()
    if (now - this.#probedAt < PROBE_MS) return
    if (this.#inputs.some(({ heardAt }) => now - heardAt >= PROBE_MS)) void this.#probe()
  }

  /** Asks the leaders of all inputs for their offsets; whether all answered. `gone` says that one of them lies out of range. */
  #probe(gone = false): Promise<boolean> {
    this.#probing ??= this.#ask(gone).finally(() => {
      this.#probing = undefined
      this.#probedAt = Date.now()
    })
    return this.#probing
  }

  async #ask(gone: boolean): Promise<boolean> {
    try {
      for (const input of this.#inputs) {
        const { topic, partition, to } = input
        if (input.position >= to || this.#closed) continue
        const { lowOffset, highOffset } = await asked<WatermarkOffsets>((done) =>
          this.#consumer.queryWatermarkOffsets(topic, partition, PROBE_TIMEOUT_MS, done),
        )
        const { position, heardAt } = input
        if (position < lowOffset || ((gone || heardAt === 0) && position > highOffset)) {
          this.#fail(outOfRange(topic, partition, position))
          return false
        }
      }
      if (gone) this.#fail(outOfRange(this.#inputs.map(({ topic }) => topic).join(', '), -1, -1))
      this.#troubledSince = 0
      return true
    } catch (error) {
      if (!this.#closed) this.#trouble(error)
      return false
    }
  }

  #trouble(error: unknown): void {
    const { address, patienceMs } = this.#client
    this.#troubledSince ||= Date.now()
    if (isRefusal(error)) this.#fail(this.#client.toMillraceError(error, 'KAFKA_UNAVAILABLE'))
    else if (Date.now() - this.#troubledSince > patienceMs)
      this.#fail(unavailable(address, patienceMs, error))
  }

  #fail(failure: MillraceError): void {
    this.#failure ??= failure
    this.#wake()
  }
}

/** Connects. @throws MillraceError as `next`. */
export const createFetcher = async (client: Client, options: FetcherOptions): Promise<Fetcher> => {
  const bounded = options.inputs.every(({ to }) => to !== undefined)
  let fetcher: AssignedFetcher | undefined
  const consumer = await patiently(client, () =>
    client.consumer({
      'group.id': 'millrace-joins-no-group',
      'enable.partition.eof': true,
      'fetch.wait.max.ms': bounded ? SHORT_WAIT_MS : MAX_WAIT_MS,
      'fetch.queue.backoff.ms': SHORT_WAIT_MS,
      'fetch.error.backoff.ms': MAX_WAIT_MS,
      'queued.min.messages': 10_000,
      'queued.max.messages.kbytes': 16_384,
      'max.poll.interval.ms': 86_400_000,
      queue_non_empty_cb: () => fetcher?.nonEmpty(),
    }),
  )
  consumer.setDefaultConsumeTimeout(0)
  fetcher = new AssignedFetcher(client, consumer, options)
  return fetcher
}
