/**
 * What the fetchers share: the inputs with the records that wait, handed out in turn, one batch at a time; who is silent, and the
 * batches without records; waiting for more, and the end. A fetcher fills it and calls `wake`.
 */
import type { MillraceError } from '../../../schemas/errors.ts'
import type { Batch, ConsumedRecord } from '../port.ts'
import type { FetcherInput, FetcherOptions } from './driver.ts'
import { Silence } from './silence.ts'

/** Longest wait for what is to come: then silence and ticks are looked at again. */
const LOOK_MS = 100

export class QueuedInput {
  readonly topic: string
  readonly partition: number
  /** Where it ends (exclusive). */
  readonly to: number
  /** Above everything that was received. */
  position: number
  /** Offset after the last committed record, as last heard. */
  stableOffset: number
  readonly silence = new Silence()
  /** Records that wait, from `#head` on. */
  #records: ConsumedRecord[] = []
  #head = 0

  constructor({ topic, partition, offset, to }: FetcherInput) {
    this.topic = topic
    this.partition = partition
    this.to = to ?? Number.POSITIVE_INFINITY
    this.position = offset
    this.stableOffset = offset
  }

  /** Records that wait. */
  get waiting(): number {
    return this.#records.length - this.#head
  }

  get ended(): boolean {
    return this.position >= this.to
  }

  push(record: ConsumedRecord): void {
    if (this.#head > 0) {
      this.#records = this.#records.slice(this.#head)
      this.#head = 0
    }
    this.#records.push(record)
  }

  /** The next records, and the position after them. */
  take(most: number): { readonly records: readonly ConsumedRecord[]; readonly nextOffset: number } {
    const [records, head] = [this.#records, this.#head]
    const end = Math.min(records.length, head + most)
    const last = end === records.length
    this.#head = last ? 0 : end
    if (last) this.#records = []
    return {
      records: last && head === 0 ? records : records.slice(head, end),
      nextOffset: last ? Math.min(this.position, this.to) : records[end]!.offset,
    }
  }
}

export class InputQueue {
  readonly inputs: readonly QueuedInput[]
  readonly #maxBatchRecords: number
  readonly #idleMs: number
  readonly #tickMs: number
  #turn = 0
  #closed = false
  #failure: MillraceError | undefined
  #idleAt = Number.NEGATIVE_INFINITY
  #wake = () => {}

  constructor({ inputs, maxBatchRecords, idleMs, tickMs }: FetcherOptions) {
    this.inputs = inputs.map((input) => new QueuedInput(input))
    this.#maxBatchRecords = maxBatchRecords
    this.#idleMs = idleMs ?? Number.POSITIVE_INFINITY
    this.#tickMs = tickMs ?? Number.POSITIVE_INFINITY
  }

  get ended(): boolean {
    return this.#closed || this.#failure !== undefined
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Whether records wait. */
  get waits(): boolean {
    return this.inputs.some(({ waiting }) => waiting > 0)
  }

  find(topic: string, partition: number): QueuedInput | undefined {
    return this.inputs.find((input) => input.partition === partition && input.topic === topic)
  }

  /** As `Fetcher.next`; `feed` is called whenever more may be fetched, and returns at once. */
  async next(feed: () => void): Promise<Batch | undefined> {
    const since = performance.now()
    for (;;) {
      if (this.#closed) return undefined
      const batch = this.#take()
      feed()
      if (batch) return batch
      if (this.#failure) throw this.#failure
      if (this.inputs.every(({ ended }) => ended)) return undefined
      const empty = this.#empty(since)
      if (empty) return empty
      await this.#woken()
    }
  }

  /** There may be something new to look at. */
  wake(): void {
    this.#wake()
  }

  /** The first failure ends the queue, once what waits was handed out. */
  fail(failure: MillraceError): void {
    this.#failure ??= failure
    this.#wake()
  }

  close(): void {
    this.#closed = true
    this.#wake()
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(LOOK_MS, this.#tickMs))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #take(): Batch | undefined {
    const { length } = this.inputs
    for (let i = 0; i < length; i++) {
      const at = (this.#turn + i) % length
      const input = this.inputs[at]!
      if (input.waiting === 0) continue
      this.#turn = (at + 1) % length
      const { topic, partition, stableOffset } = input
      const silent = this.#silent(performance.now())
      return {
        topic,
        partition,
        ...input.take(this.#maxBatchRecords),
        highWatermark: stableOffset,
        ...(silent.length > 0 ? { silent } : {}),
      }
    }
    return undefined
  }

  /** A batch without records where one is due: all inputs are silent, or a tick has passed. */
  #empty(since: number): Batch | undefined {
    const now = performance.now()
    const silent = this.#silent(now)
    const idle = silent.length === this.inputs.length && now - this.#idleAt >= this.#idleMs
    if (!idle && now - since < this.#tickMs) return undefined
    if (idle) this.#idleAt = now
    const named = silent.length > 0 ? { silent } : {}
    return { topic: '', partition: -1, records: [], nextOffset: -1, highWatermark: -1, ...named, idle: true }
  }

  #silent(now: number): string[] {
    if (this.#idleMs === Number.POSITIVE_INFINITY) return []
    const { inputs } = this
    return inputs.filter(({ silence }) => silence.lasts(this.#idleMs, now)).map(({ topic }) => topic)
  }
}
