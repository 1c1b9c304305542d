/**
 * Two of avsc's types written again for speed, to the same bytes and the same values: arrays of doubles move through a DataView instead
 * of a call an item, and short ASCII strings are read from a table of those seen lately (ids of arms, names of policies come again and
 * again) and written without measuring them first. On a decision request of 20 features and 10 arms, half the time.
 */
import avsc from 'avsc'

/** avsc's cursor over a buffer, as far as it is used here. Writing past the end moves `pos` only: avsc then asks for a larger buffer. */
interface Tap {
  readonly buf: Buffer
  pos: number
  readLong(): number
  writeLong(value: number): void
  readString(): string
  writeString(text: string): void
}

// The methods that avsc's types share beside the public ones.
interface Internals {
  _read(tap: Tap): unknown
  _write(tap: Tap, value: unknown): void
  _update(resolver: { _read: unknown }, type: avsc.Type, options: unknown): void
}
type ArrayConstructor = new (schema: unknown, options?: unknown) => avsc.Type & Internals
type StringConstructor = new () => avsc.Type & Internals
const PlainArray = avsc.types.ArrayType as unknown as ArrayConstructor
const PlainString = avsc.types.StringType as unknown as StringConstructor

/** The view of the memory last met: batches of messages share theirs, and the writer keeps one. */
let viewed: ArrayBufferLike = new ArrayBuffer(0)
let view: DataView = new DataView(viewed)
const viewOf = (buffer: Buffer): DataView => {
  if (buffer.buffer !== viewed) {
    viewed = buffer.buffer
    view = new DataView(viewed)
  }
  return view
}

const isDoubles = (value: unknown): value is readonly number[] => {
  if (!Array.isArray(value)) return false
  for (let i = 0; i < value.length; i++) if (typeof value[i] !== 'number') return false
  return true
}

class DoubleArray extends PlainArray {
  override _read(tap: Tap): unknown {
    const start = tap.pos
    const count = tap.readLong()
    const from = tap.pos
    const end = from + 8 * count
    // Several blocks, or a block with its size, are rare: avsc reads them.
    if (count <= 0 || tap.buf[end] !== 0) {
      tap.pos = start
      return super._read(tap)
    }
    const values = new Array<number>(count)
    const data = viewOf(tap.buf)
    let at = tap.buf.byteOffset + from
    for (let i = 0; i < count; i++) {
      values[i] = data.getFloat64(at, true)
      at += 8
    }
    tap.pos = end + 1
    return values
  }

  override _write(tap: Tap, value: unknown): void {
    if (!isDoubles(value) || value.length === 0) {
      super._write(tap, value)
      return
    }
    const count = value.length
    tap.writeLong(count)
    const from = tap.pos
    tap.pos = from + 8 * count
    if (tap.pos <= tap.buf.length) {
      const data = viewOf(tap.buf)
      let at = tap.buf.byteOffset + from
      for (let i = 0; i < count; i++) {
        data.setFloat64(at, value[i]!, true)
        at += 8
      }
    }
    tap.writeLong(0)
  }

  /** What another schema wrote is read item by item: its items may be of another type. */
  override _update(resolver: { _read: unknown }, type: avsc.Type, options: unknown): void {
    super._update(resolver, type, options)
    if (type.typeName === 'array') resolver._read = PlainArray.prototype._read
  }
}

const SHORT = 32
const SEEN = 1_024
const seen: string[] = new Array(SEEN).fill('')

class ShortString extends PlainString {
  override _read(tap: Tap): string {
    const { buf } = tap
    const start = tap.pos
    // A zig-zag length below 64 is one byte.
    const length = (buf[start] ?? 1) >> 1
    if (length > SHORT || (buf[start]! & 0x81) !== 0 || start + 1 + length > buf.length)
      return tap.readString()
    const from = start + 1
    let hash = length
    let high = 0
    for (let i = 0; i < length; i++) {
      const byte = buf[from + i]!
      hash = (Math.imul(hash, 31) + byte) | 0
      high |= byte
    }
    if (high > 0x7f) return tap.readString()
    const slot = (hash ^ (hash >>> 11)) & (SEEN - 1)
    const known = seen[slot]!
    if (known.length === length) {
      let i = 0
      while (i < length && known.charCodeAt(i) === buf[from + i]) i++
      if (i === length) {
        tap.pos = from + length
        return known
      }
    }
    const text = tap.readString()
    seen[slot] = text
    return text
  }

  override _write(tap: Tap, value: unknown): void {
    if (typeof value !== 'string' || value.length > SHORT || tap.pos + 1 + value.length > tap.buf.length) {
      super._write(tap, value)
      return
    }
    const { buf } = tap
    const start = tap.pos
    const { length } = value
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) {
        super._write(tap, value)
        return
      }
      buf[start + 1 + i] = code
    }
    buf[start] = length << 1
    tap.pos = start + 1 + length
  }
}

const SHORT_STRING = new ShortString()

/** The fast type of a part of a schema, as avsc's `typeHook` asks for it; undefined where avsc's own serves. */
export const fastTypeOf = (part: unknown, options: unknown): avsc.Type | undefined => {
  if (part === 'string') return SHORT_STRING
  if (typeof part !== 'object' || part === null || !('type' in part)) return undefined
  if (part.type === 'string' && Object.keys(part).length === 1) return SHORT_STRING
  const doubles =
    part.type === 'array' && 'items' in part && (part.items === 'double' || isPlainDouble(part.items))
  return doubles ? new DoubleArray(part, options) : undefined
}

const isPlainDouble = (items: unknown): boolean =>
  typeof items === 'object' &&
  items !== null &&
  'type' in items &&
  items.type === 'double' &&
  Object.keys(items).length === 1
