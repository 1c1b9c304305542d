/**
 * Follows partitions from given offsets on librdkafka's consumer, assigned by hand: it fetches ahead in threads of its own (16 MB at
 * most) and drops what was aborted. It never waits on Node's threads: librdkafka says when something is there.
 *
 * The library drops an error that comes behind records, an offset out of range among them, and tells the end of a partition once. So
 * whatever is silent is asked for its offsets: that finds removed positions and dead leaders, and proves an idle input idle.
 */
import {
  closeSoon,
  type Fetcher,
  type FetcherOptions,
  outOfRange,
  patiently,
  unavailable,
} from '../adapter/driver.ts'
import { InputQueue, type QueuedInput } from '../adapter/input-queue.ts'
import { Trouble } from '../adapter/trouble.ts'
import type { Batch } from '../port.ts'
import { type Client, closeClient } from './client.ts'
import { codeNumber, isRefusal, isTransient, NO_OFFSET } from './errors.ts'
import { asked, type Headers, type KafkaConsumer, type Message, type WatermarkOffsets } from './library.ts'

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

/** What librdkafka has told of an input. */
interface Heard {
  /** Nothing lay beyond the position when this was last heard. */
  atEnd: boolean
  /** When records or an end were last heard; 0 before. */
  at: number
}

class AssignedFetcher implements Fetcher {
  readonly #client: Client
  readonly #consumer: KafkaConsumer
  readonly #queue: InputQueue
  readonly #heard: ReadonlyMap<QueuedInput, Heard>
  readonly #maxBatchRecords: number
  readonly #probeMs: number
  readonly #ends: PartitionEnd[] = []
  #filling: Promise<void> | undefined
  #probing: Promise<void> | undefined
  #probedAt: number
  readonly #trouble: Trouble
  /** Something may be in librdkafka's queue. */
  #more = true

  constructor(client: Client, consumer: KafkaConsumer, options: FetcherOptions) {
    this.#client = client
    this.#trouble = new Trouble(client.patienceMs)
    this.#consumer = consumer
    this.#maxBatchRecords = options.maxBatchRecords
    this.#probeMs = Math.min(PROBE_MS, (options.idleMs ?? Number.POSITIVE_INFINITY) / 2)
    this.#queue = new InputQueue(options)
    this.#heard = new Map(this.#queue.inputs.map((input) => [input, { atEnd: false, at: 0 }]))
    consumer.on<PartitionEnd>('partition.eof', (end) => this.#ends.push(end))
    consumer.assign(
      this.#queue.inputs.map(({ topic, partition, position: offset }) => ({ topic, partition, offset })),
    )
    this.#probedAt = Date.now()
  }

  /** Told by librdkafka when its queue is no longer empty. */
  nonEmpty(): void {
    this.#more = true
    this.#queue.wake()
  }

  next(): Promise<Batch | undefined> {
    return this.#queue.next(() => {
      if (!this.#queue.waits) void this.#fill()
      this.#probeSilent()
    })
  }

  async close(): Promise<void> {
    this.#queue.close()
    await closeSoon(Promise.all([this.#filling, this.#probing]))
    await closeClient(this.#consumer)
  }

  /** Takes over what librdkafka has ready, one call at a time. */
  #fill(): Promise<void> {
    this.#filling ??= this.#consume().then((something) => {
      this.#filling = undefined
      if (something || this.#more) this.#queue.wake()
    })
    return this.#filling
  }

  /** Whether there was anything. */
  async #consume(): Promise<boolean> {
    this.#more = false
    try {
      const messages = await asked<Message[]>((done) => this.#consumer.consume(this.#maxBatchRecords, done))
      if (messages.length >= this.#maxBatchRecords) this.#more = true
      const something = messages.length > 0 || this.#ends.length > 0
      this.#take(messages)
      return something
    } catch (error) {
      if (this.#queue.closed) return false
      if (codeNumber(error) === NO_OFFSET) await this.#probe(true)
      else if (isTransient(error)) this.#troubled(error)
      else this.#queue.fail(this.#client.toMillraceError(error, 'KAFKA_UNAVAILABLE'))
      return false
    }
  }

  #take(messages: readonly Message[]): void {
    let input: QueuedInput | undefined
    const now = Date.now()
    for (const { topic, partition, key, value, timestamp, offset, headers } of messages) {
      if (input?.topic !== topic || input.partition !== partition) input = this.#queue.find(topic, partition)
      if (!input || offset < input.position) continue
      this.#hear(input, offset + 1, false, now)
      if (offset >= input.to) this.#consumer.pause([{ topic, partition }])
      else if (headers === undefined) input.push({ key, value, timestamp, offset })
      else input.push({ key, value, timestamp, offset, headers: headersOf(headers) })
    }
    for (const { topic, partition, offset } of this.#ends.splice(0)) {
      const ended = this.#queue.find(topic, partition)
      if (ended && offset >= ended.position) this.#hear(ended, offset, true, now)
    }
    for (const each of this.#queue.inputs) each.stableOffset = this.#highWatermark(each)
    if (messages.length > 0) this.#trouble.over()
  }

  #hear(input: QueuedInput, position: number, atEnd: boolean, now: number): void {
    const heard = this.#heard.get(input)!
    heard.at = now
    heard.atEnd = atEnd
    if (position > input.position) input.silence.broken()
    input.position = position
  }

  #highWatermark(input: QueuedInput): number {
    const { topic, partition, position } = input
    return this.#heard.get(input)!.atEnd ? position : Math.max(position, this.#fetchedEnd(topic, partition))
  }

  /** Where the log ended, open transactions included, when it was last fetched; -1 before. */
  #fetchedEnd(topic: string, partition: number): number {
    try {
      return this.#consumer.getWatermarkOffsets(topic, partition).highOffset
    } catch {
      return -1
    }
  }

  #probeSilent(): void {
    const now = Date.now()
    if (this.#queue.ended || now - this.#probedAt < this.#probeMs) return
    for (const { at } of this.#heard.values()) if (now - at >= this.#probeMs) return void this.#probe()
  }

  /** Asks the leaders of all inputs for their offsets. `gone` says that one of them lies out of range. */
  #probe(gone = false): Promise<void> {
    this.#probing ??= this.#ask(gone).finally(() => {
      this.#probing = undefined
      this.#probedAt = Date.now()
      this.#queue.wake()
    })
    return this.#probing
  }

  async #ask(gone: boolean): Promise<void> {
    try {
      for (const input of this.#queue.inputs) {
        if (this.#queue.closed) return
        if (!input.ended && !(await this.#askFor(input, gone))) return
      }
      if (gone) this.#queue.fail(outOfRange(this.#queue.inputs.map(({ topic }) => topic).join(', '), -1, -1))
      this.#trouble.over()
    } catch (error) {
      for (const { silence } of this.#queue.inputs) silence.broken()
      if (!this.#queue.closed) this.#troubled(error)
    }
  }

  /** Whether its position is still there. The answer is the last stable offset. */
  async #askFor(input: QueuedInput, gone: boolean): Promise<boolean> {
    const { topic, partition } = input
    const sentAt = performance.now()
    const { lowOffset, highOffset } = await asked<WatermarkOffsets>((done) =>
      this.#consumer.queryWatermarkOffsets(topic, partition, PROBE_TIMEOUT_MS, done),
    )
    const { position, waiting, silence } = input
    const { at, atEnd } = this.#heard.get(input)!
    if (position < lowOffset || ((gone || at === 0) && position > highOffset)) {
      this.#queue.fail(outOfRange(topic, partition, position))
      return false
    }
    if (atEnd && waiting === 0 && position >= highOffset && position >= this.#fetchedEnd(topic, partition))
      silence.confirmed(sentAt, performance.now())
    else silence.broken()
    return true
  }

  #troubled(error: unknown): void {
    const { address, patienceMs } = this.#client
    if (isRefusal(error)) this.#queue.fail(this.#client.toMillraceError(error, 'KAFKA_UNAVAILABLE'))
    else if (this.#trouble.outlasts()) this.#queue.fail(unavailable(address, patienceMs, error))
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
