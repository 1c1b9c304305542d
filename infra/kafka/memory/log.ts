/**
 * One partition of the in-memory broker: an append-only log as Kafka keeps it, offsets, control records and all. A record is bytes:
 * what is appended is copied in, what is read is copied out, so neither side ever shares a buffer with the log.
 *
 * A transaction's records take their offsets when they are appended; its end takes one more for the control record, in every
 * partition it touched. The last stable offset is where the oldest open transaction began: nothing from there on is read. Aborted
 * records are dropped, their offsets stay gaps.
 *
 * What every consumer has passed is dropped too (`hold`, `retain`), so that a long run stays small. Appending and reading cost
 * O(1) a record, finding an offset O(log n).
 */
import type { ConsumedRecord, WireRecord } from '../port.ts'

/** A stored record: key, value and headers lie one after the other in `bytes`; a length of -1 is null. */
interface StoredRecord {
  readonly offset: number
  readonly timestamp: number
  readonly bytes: Buffer
  readonly keyLength: number
  readonly valueLength: number
  readonly headers: readonly (readonly [name: string, length: number])[] | null
}

/** What identifies a transaction or a consumer to the log. */
export type Owner = object

export interface Slice {
  readonly records: readonly ConsumedRecord[]
  /** Above the last record, gaps passed over; `from` where nothing could be passed. */
  readonly nextOffset: number
}

export interface Retention {
  /** The newest records to keep though every consumer has passed them; -1 for all. Consumers alone decide where absent. */
  readonly records?: number
  /** Keep the latest record of each key for ever, and drop the older ones. */
  readonly compact: boolean
}

/** Most bytes in one read of several records, as in Kafka's `max.partition.fetch.bytes`. */
const FETCH_BYTES = 1_048_576

const payloadLength = (record: WireRecord): number => {
  let length = (record.key?.length ?? 0) + (record.value?.length ?? 0)
  if (record.headers !== undefined) for (const name in record.headers) length += record.headers[name]!.length
  return length
}

export class PartitionLog {
  readonly #retention: Retention
  #records: StoredRecord[] = []
  /** Index of the first record still kept; slots before it await the next splice. */
  #head = 0
  #earliest = 0
  #end = 0
  /** Open transactions with their first offsets; the first entry is the oldest. */
  readonly #open = new Map<Owner, { readonly first: number; readonly ranges: [from: number, to: number][] }>()
  readonly #holds = new Map<Owner, number>()
  readonly #waiting = new Set<() => void>()
  /** Whether a job has ever consumed this partition. */
  #consumed = false
  /** Records kept after the last compaction. */
  #compacted = 0

  constructor(retention: Retention) {
    this.#retention = retention
  }

  get earliest(): number {
    return this.#earliest
  }

  /** Offset after the last record, open transactions included. */
  get end(): number {
    return this.#end
  }

  /** The last stable offset: what committed reading may reach. */
  get stable(): number {
    for (const { first } of this.#open.values()) return first
    return this.#end
  }

  /** Records kept in memory. */
  get size(): number {
    return this.#records.length - this.#head
  }

  /** Appends copies, as part of `transaction` or at once where it is null. */
  append(records: readonly WireRecord[], transaction: Owner | null, now: number): void {
    if (records.length === 0) return
    let total = 0
    for (const record of records) total += payloadLength(record)
    const slab = Buffer.allocUnsafeSlow(total)
    const first = this.#end
    let at = 0
    for (const record of records) {
      const begin = at
      if (record.key !== null) at += record.key.copy(slab, at)
      if (record.value !== null) at += record.value.copy(slab, at)
      let headers: [string, number][] | null = null
      for (const name in record.headers) {
        const value = record.headers[name]!
        at += value.copy(slab, at)
        headers ??= []
        headers.push([name, value.length])
      }
      this.#records.push({
        offset: this.#end++,
        timestamp: record.timestamp ?? now,
        bytes: slab.subarray(begin, at),
        keyLength: record.key === null ? -1 : record.key.length,
        valueLength: record.value === null ? -1 : record.value.length,
        headers,
      })
    }
    if (transaction === null) {
      this.#settled()
      return
    }
    const range: [number, number] = [first, this.#end]
    const open = this.#open.get(transaction)
    if (open === undefined) this.#open.set(transaction, { first, ranges: [range] })
    else open.ranges.push(range)
  }

  /** Writes the control record of a transaction that touched this partition, and shows or drops its records. */
  endTransaction(transaction: Owner, committed: boolean): void {
    const open = this.#open.get(transaction)
    if (open === undefined) return
    this.#open.delete(transaction)
    if (!committed) {
      const from = this.#indexOf(open.first)
      const aborted = (offset: number) => open.ranges.some(([from, to]) => offset >= from && offset < to)
      const kept = this.#records.slice(from).filter(({ offset }) => !aborted(offset))
      this.#records.length = from
      for (const record of kept) this.#records.push(record)
    }
    this.#end++
    this.#settled()
  }

  /** Committed records from `from` on, at most `max` of them, a fetch's worth of bytes, and none from `to` on. */
  read(from: number, max: number, to = Number.POSITIVE_INFINITY): Slice {
    const limit = Math.min(this.stable, to)
    const begin = this.#indexOf(from)
    let end = begin
    let total = 0
    while (end < this.#records.length && end - begin < max) {
      const record = this.#records[end]!
      if (record.offset >= limit || (end > begin && total + record.bytes.length > FETCH_BYTES)) break
      total += record.bytes.length
      end++
    }
    const slab = Buffer.allocUnsafe(total)
    const records: ConsumedRecord[] = []
    let at = 0
    for (let index = begin; index < end; index++) {
      const stored = this.#records[index]!
      records.push(consumed(stored, slab, at))
      at += stored.bytes.length
    }
    const after = this.#records[end]
    const passed = after === undefined ? limit : Math.min(after.offset, limit)
    return { records, nextOffset: Math.max(from, passed) }
  }

  /** Whether committed records lie at or above `from`. */
  has(from: number): boolean {
    const record = this.#records[this.#indexOf(from)]
    return record !== undefined && record.offset < this.stable
  }

  /** Drops what lies below `before`. */
  deleteBelow(before: number): void {
    this.#earliest = Math.max(this.#earliest, Math.min(before, this.stable))
    const head = this.#indexOf(this.#earliest)
    this.#records.fill(undefined as never, this.#head, head)
    this.#head = head
    if (this.#head > 1024 && this.#head * 2 > this.#records.length) {
      this.#records = this.#records.slice(this.#head)
      this.#head = 0
    }
  }

  /** Keeps everything from `offset` on for this consumer; a job's hold outlives its members, a reader ends with `unhold`. */
  hold(consumer: Owner, offset: number, job: boolean): void {
    this.#holds.set(consumer, offset)
    if (job) this.#consumed = true
    this.#trim()
  }

  unhold(consumer: Owner): void {
    this.#holds.delete(consumer)
    this.#trim()
  }

  /** Calls `wake` whenever there may be more to read, until the returned function is called. */
  watch(wake: () => void): () => void {
    this.#waiting.add(wake)
    return () => this.#waiting.delete(wake)
  }

  /** Index of the first record at or above an offset. */
  #indexOf(offset: number): number {
    let low = this.#head
    let high = this.#records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#records[middle]!.offset < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  #settled(): void {
    if (this.#retention.compact) this.#compact()
    else if (this.#retention.records !== undefined) this.#trim()
    for (const wake of this.#waiting) wake()
  }

  #trim(): void {
    const { compact, records } = this.#retention
    if (compact || records === -1 || (records === undefined && !this.#consumed)) return
    let floor = this.stable
    for (const offset of this.#holds.values()) floor = Math.min(floor, offset)
    if (records !== undefined) {
      const oldest = this.#records[Math.max(this.#head, this.#records.length - records)]
      if (oldest !== undefined) floor = Math.min(floor, oldest.offset)
    }
    if (floor > this.#earliest) this.deleteBelow(floor)
  }

  /** Keeps the latest of each key, once the log has doubled: amortised O(1) a record. Offsets do not move. */
  #compact(): void {
    if (this.size < 64 + 2 * this.#compacted) return
    const stable = this.stable
    const latest = new Map<string, number>()
    const keyOf = ({ bytes, keyLength }: StoredRecord) => bytes.toString('latin1', 0, keyLength)
    const records = this.#records.slice(this.#head)
    for (const record of records)
      if (record.keyLength >= 0 && record.offset < stable) latest.set(keyOf(record), record.offset)
    this.#head = 0
    this.#records = records.filter(
      (record) =>
        record.keyLength < 0 || record.offset >= stable || latest.get(keyOf(record)) === record.offset,
    )
    this.#compacted = this.#records.length
  }
}

/** A copy of a stored record, its bytes at `at` of `slab`. */
const consumed = (stored: StoredRecord, slab: Buffer, at: number): ConsumedRecord => {
  stored.bytes.copy(slab, at)
  let next = at
  const take = (length: number): Buffer => {
    next += length
    return slab.subarray(next - length, next)
  }
  const key = stored.keyLength < 0 ? null : take(stored.keyLength)
  const value = stored.valueLength < 0 ? null : take(stored.valueLength)
  const record = { key, value, timestamp: stored.timestamp, offset: stored.offset }
  if (stored.headers === null) return record
  const headers: Record<string, Buffer> = {}
  for (const [name, length] of stored.headers) headers[name] = take(length)
  return { ...record, headers }
}
