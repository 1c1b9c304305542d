/**
 * Writes rows in RowBinary, ClickHouse's fastest row format: values one after another with no names and no types, little-endian,
 * lengths as LEB128. The buffer doubles as it fills, so a block costs O(bytes). Equal values give equal bytes. A number that is not
 * finite is refused: ClickHouse would store it, and every sum over it would be lost.
 */
import { MillraceError } from '../../schemas/errors.ts'

const TWO_32 = 2 ** 32
/** Up to this length a string is copied by character, which is faster than a call into native code. */
const SHORT = 48
/** Times that partitions, rollups and TTLs can count with, in milliseconds: DateTime ends in 2106, and a TTL adds up to 27 years. */
const EARLIEST = 0
const LATEST = Date.UTC(2069, 11, 31, 23, 59, 59, 999)

const refuse = (what: string, value: number): never => {
  if (!Number.isFinite(value)) throw new MillraceError('NON_FINITE_NUMBER', `${value} cannot be stored`)
  throw new MillraceError('INVALID_EVENT', `${value} is not ${what}`)
}

export class RowBinaryWriter {
  #buffer: Buffer
  #view: DataView
  #length = 0

  /** @param expectedBytes a guess of the block's size; it grows beyond. */
  constructor(expectedBytes = 1 << 16) {
    this.#buffer = Buffer.allocUnsafeSlow(expectedBytes)
    this.#view = new DataView(this.#buffer.buffer)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  /** The bytes written; shares memory with the writer, which is not to be used after. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Takes back what was written after the first `length` bytes. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length)
  }

  /** Makes room for `bytes` more and gives the position where they begin. */
  #take(bytes: number): number {
    const at = this.#length
    const end = at + bytes
    if (end > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#buffer.length))
      this.#buffer.copy(grown, 0, 0, at)
      this.#buffer = grown
      this.#view = new DataView(grown.buffer)
    }
    this.#length = end
    return at
  }

  /** A length or a count: LEB128. */
  count(value: number): void {
    let rest = value
    let at = this.#take(5)
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) this.#buffer[at++] = (rest & 0x7f) | 0x80
    this.#buffer[at++] = rest
    this.#length = at
  }

  bool(value: boolean): void {
    const at = this.#take(1)
    this.#buffer[at] = value ? 1 : 0
  }

  int32(value: number): void {
    if ((value | 0) !== value) refuse('a 32-bit integer', value)
    const at = this.#take(4)
    this.#view.setInt32(at, value, true)
  }

  uint32(value: number): void {
    if (value >>> 0 !== value) refuse('an unsigned 32-bit integer', value)
    const at = this.#take(4)
    this.#view.setUint32(at, value, true)
  }

  /** Int64, exact up to ±(2^53 − 1). */
  int64(value: number): void {
    if (!Number.isSafeInteger(value)) refuse('a safe integer', value)
    const at = this.#take(8)
    this.#view.setUint32(at, value >>> 0, true)
    this.#view.setInt32(at + 4, Math.floor(value / TWO_32), true)
  }

  /** UInt64, exact up to 2^53 − 1. */
  uint64(value: number): void {
    if (value < 0) refuse('an unsigned integer', value)
    this.int64(value)
  }

  /** DateTime64(3): whole milliseconds since the epoch, in the years 1970 to 2069. */
  time(milliseconds: number): void {
    if (!(milliseconds >= EARLIEST && milliseconds <= LATEST))
      refuse('a time between 1970 and 2069', milliseconds)
    this.int64(milliseconds)
  }

  float64(value: number): void {
    if (!Number.isFinite(value)) refuse('finite', value)
    const at = this.#take(8)
    this.#view.setFloat64(at, value, true)
  }

  /** String or LowCardinality(String), in UTF-8. */
  string(text: string): void {
    const { length } = text
    if (length <= SHORT && this.#ascii(text, length)) return
    const bytes = Buffer.byteLength(text)
    this.count(bytes)
    const at = this.#take(bytes)
    this.#buffer.write(text, at, bytes, 'utf8')
  }

  /** Writes a short text if it is ASCII; else leaves everything as it was. */
  #ascii(text: string, length: number): boolean {
    const start = this.#take(length + 1)
    const buffer = this.#buffer
    buffer[start] = length
    for (let i = 0, at = start + 1; i < length; i++, at++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) {
        this.#length = start
        return false
      }
      buffer[at] = code
    }
    return true
  }

  /** String from bytes, any bytes. */
  bytes(value: Uint8Array): void {
    this.count(value.length)
    const at = this.#take(value.length)
    this.#buffer.set(value, at)
  }

  /** The mark before a Nullable: true where the value is null and nothing follows. */
  isNull(value: unknown): value is null {
    this.bool(value === null)
    return value === null
  }

  float64Array(values: ArrayLike<number>): void {
    const { length } = values
    this.count(length)
    let at = this.#take(8 * length)
    const view = this.#view
    for (let i = 0; i < length; i++, at += 8) {
      const value = values[i]!
      if (!Number.isFinite(value)) refuse('finite', value)
      view.setFloat64(at, value, true)
    }
  }

  int32Array(values: ArrayLike<number>): void {
    const { length } = values
    this.count(length)
    let at = this.#take(4 * length)
    const view = this.#view
    for (let i = 0; i < length; i++, at += 4) {
      const value = values[i]!
      if ((value | 0) !== value) refuse('a 32-bit integer', value)
      view.setInt32(at, value, true)
    }
  }

  stringArray(values: readonly string[]): void {
    this.count(values.length)
    for (const value of values) this.string(value)
  }
}
