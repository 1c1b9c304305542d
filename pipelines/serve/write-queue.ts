/**
 * What was answered and waits to be written: a bounded queue in front of an idempotent writer. One write is under way at a time; what comes meanwhile, or
 * within the linger, goes together with the next. A write that fails is repeated until it succeeds: then a record may lie in its topic twice, which
 * the join passes over.
 *
 * A process that dies loses what is in here, and nothing else. Memory: the records, at most `maxRecords` and `maxBytes` of them.
 */
import type { OutputRecord } from '../../infra/kafka/port.ts'
import { codeOf, type MillraceError } from '../../schemas/errors.ts'

export interface WriteQueueOptions {
  /** Writes records, and tries for as long as that may help; not beyond `signal`. */
  readonly write: (records: readonly OutputRecord[], signal: AbortSignal) => Promise<void>
  readonly maxRecords: number
  readonly maxBytes: number
  /** How long the first of a batch waits for others. */
  readonly lingerMs: number
  /** Records that have waited for so long are a sign that their topics cannot be written to. */
  readonly patienceMs: number
  /** Told how many records wait. */
  readonly onLength?: (records: number) => void
  /** Told of records given up: why, or undefined where the time was over. */
  readonly onLost?: (count: number, error?: MillraceError) => void
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number
}

/** Why nothing more is taken. */
export type Closed = 'full' | 'away' | 'ended'

interface Entry {
  readonly records: readonly OutputRecord[]
  readonly bytes: number
  readonly since: number
  /** Told once: whether the records were written. */
  readonly settled: ((written: boolean) => void) | undefined
  open: boolean
}

/** Records of one write: a request to the broker stays small. */
const BATCH_RECORDS = 1_000
const BATCH_BYTES = 2 ** 20

export class WriteQueue {
  readonly #options: WriteQueueOptions
  readonly #now: () => number
  readonly #over = new AbortController()
  #waiting: Entry[] = []
  #underWay: readonly Entry[] = []
  /** Of what waits and what is under way. */
  #entries = 0
  #records = 0
  #bytes = 0
  #oldest = Number.POSITIVE_INFINITY
  #running: Promise<void> | null = null
  #ending = false
  #hurry = () => {}
  /** What ended the queue, where something did. */
  #failure: unknown
  #failed: (error: unknown) => void = () => {}

  constructor(options: WriteQueueOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** Entries that wait or are being written. */
  get length(): number {
    return this.#entries
  }

  /** Why a push would not be taken now; null where it would. */
  get closed(): Closed | null {
    if (this.#ending || this.#failure !== undefined) return 'ended'
    const { maxRecords, maxBytes, patienceMs } = this.#options
    if (this.#now() - this.#oldest > patienceMs) return 'away'
    return this.#records >= maxRecords || this.#bytes >= maxBytes ? 'full' : null
  }

  /** Rejects with the first failure of a write that no repetition helps. Never resolves. */
  failure(): Promise<never> {
    return new Promise((_, reject) => {
      if (this.#failure !== undefined) reject(this.#failure)
      else this.#failed = reject
    })
  }

  /** Takes records that leave together. Ask `closed` first. @param settled told whether they were written */
  push(records: readonly OutputRecord[], settled?: (written: boolean) => void): void {
    let bytes = 0
    for (const record of records) bytes += bytesOf(record)
    const since = this.#now()
    this.#waiting.push({ records, bytes, since, settled, open: true })
    this.#entries++
    this.#records += records.length
    this.#bytes += bytes
    if (since < this.#oldest) this.#oldest = since
    this.#options.onLength?.(this.#records)
    if (this.#waiting.length >= BATCH_RECORDS) this.#hurry()
    this.#running ??= this.#run()
  }

  /** Takes no more, and writes what waits; what is not written within the bound is given up. */
  async drain(boundMs: number): Promise<void> {
    this.#ending = true
    this.#hurry()
    const timer = setTimeout(() => this.#over.abort(new Error('the queue was given up')), boundMs)
    await this.#running
    clearTimeout(timer)
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#linger()
      this.#underWay = this.#take()
      try {
        await this.#write(this.#underWay)
      } catch (error) {
        const given = this.#over.signal.aborted ? undefined : (error as MillraceError)
        if (given !== undefined) this.#failure = given
        this.#lose([...this.#underWay, ...this.#waiting.splice(0)], given)
        if (given !== undefined) this.#failed(given)
      }
    }
    // In the same turn as the check above: who comes later starts anew.
    this.#running = null
  }

  async #linger(): Promise<void> {
    const { lingerMs } = this.#options
    const left = this.#waiting[0]!.since + lingerMs - this.#now()
    if (this.#ending || left <= 0 || this.#waiting.length >= BATCH_RECORDS) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, left)
      this.#hurry = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#hurry = () => {}
  }

  #take(): Entry[] {
    let count = 0
    let bytes = 0
    let records = 0
    for (const entry of this.#waiting) {
      if (count > 0 && (bytes + entry.bytes > BATCH_BYTES || records + entry.records.length > BATCH_RECORDS))
        break
      count++
      bytes += entry.bytes
      records += entry.records.length
    }
    return this.#waiting.splice(0, count)
  }

  /** One record that no topic takes must not keep the others: then each leaves for itself. */
  async #write(batch: readonly Entry[]): Promise<void> {
    const { signal } = this.#over
    signal.throwIfAborted()
    try {
      await this.#options.write(
        batch.flatMap(({ records }) => records),
        signal,
      )
      this.#settle(batch, true)
    } catch (error) {
      if (codeOf(error, 'KAFKA_UNAVAILABLE') !== 'MESSAGE_TOO_LARGE') throw error
      if (batch.length === 1) this.#lose(batch, error as MillraceError)
      else for (const entry of batch) await this.#write([entry])
    }
  }

  #lose(entries: readonly Entry[], error: MillraceError | undefined): void {
    const lost = entries.filter(({ open }) => open)
    this.#settle(lost, false)
    const count = lost.reduce((sum, { records }) => sum + records.length, 0)
    this.#options.onLost?.(count, error)
  }

  #settle(entries: readonly Entry[], written: boolean): void {
    for (const entry of entries) {
      entry.open = false
      this.#entries--
      this.#records -= entry.records.length
      this.#bytes -= entry.bytes
      entry.settled?.(written)
    }
    const oldest = this.#underWay.find(({ open }) => open) ?? this.#waiting[0]
    this.#oldest = oldest?.since ?? Number.POSITIVE_INFINITY
    this.#options.onLength?.(this.#records)
  }
}

const bytesOf = ({ key, value, headers }: OutputRecord): number => {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0)
  for (const name in headers) bytes += headers[name]!.length
  return bytes
}
