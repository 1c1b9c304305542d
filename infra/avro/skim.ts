/**
 * Skims Avro bytes before they are decoded. A few bytes can announce millions of items or endless nesting, and a decoder believes
 * them; this walks the writer's schema over the bytes, holding every length to what is left and every count to the caps, and makes
 * no values on the way. What passes decodes within bounded memory and stack.
 *
 * A schema is compiled once into closures. Items of fixed width (doubles, a record of them) are passed over by one
 * multiplication a block, so a dense vector costs the same whatever its dimension; else it is a call a value.
 *
 * It also refuses what the decoder would let through silently: strings that are not UTF-8, integers wider than their type, block
 * sizes that do not hold, bytes left over, and `__proto__` as a map key.
 */
import { isUtf8 } from 'node:buffer'
import type avsc from 'avsc'
import { MillraceError } from '../../schemas/errors.ts'

export interface DecodeLimits {
  /** Most bytes of a message, framing included. */
  readonly maxBytes: number
  /** Most items of all arrays and maps of a message together. */
  readonly maxItems: number
  /** How often a recursive type may contain itself. */
  readonly maxDepth: number
}

/** A request with 1,000 arms of 256 features passes `maxItems` (its 2 MB need a larger `maxBytes`, as they do in Kafka). */
export const DEFAULT_LIMITS: DecodeLimits = { maxBytes: 1_048_576, maxItems: 500_000, maxDepth: 64 }

/**
 * Skims one value that begins at `start` and must end with the bytes.
 * @throws MillraceError MALFORMED_AVRO, MESSAGE_TOO_LARGE (a cap is exceeded), INVALID_EVENT (a map key `__proto__`).
 */
export type Skim = (bytes: Buffer, start: number) => void

interface Cursor {
  bytes: Buffer
  pos: number
  end: number
  items: number
  depth: number
}

type Step = (cursor: Cursor) => void

/**
 * Whether avsc's own `long` keeps a number: in zig-zag form it must stay below 2^53. Beyond, avsc changes even the sign of
 * negative ones without a word.
 */
export const isExactLong = (value: number): boolean => value < 2 ** 52 && value > -(2 ** 52)

/** Compiles the skim of values written with a schema. */
export const skimOf = (writer: avsc.Type, limits: DecodeLimits): Skim => {
  const step = compile(writer, limits, new Map())
  const cursor: Cursor = { bytes: Buffer.alloc(0), pos: 0, end: 0, items: 0, depth: 0 }
  return (bytes, start) => {
    cursor.bytes = bytes
    cursor.pos = start
    cursor.end = bytes.length
    cursor.items = 0
    cursor.depth = 0
    step(cursor)
    if (cursor.pos !== cursor.end) throw malformed(cursor, `${cursor.end - cursor.pos} bytes are left over`)
  }
}

/** `compiling` holds the records under way: meeting one again is a recursion, the only place where depth must be counted. */
const compile = (type: avsc.Type, limits: DecodeLimits, compiling: Map<avsc.Type, { step: Step }>): Step => {
  const width = fixedWidth(type, new Set())
  if (width === 0) return () => {}
  if (width > 0) return (cursor) => advance(cursor, width)
  const { typeName } = type
  if (typeName === 'string') return skimString
  if (typeName === 'bytes') return (cursor) => advance(cursor, readLong(cursor))
  if (typeName === 'int') return skimInt
  if (typeName === 'long') return skimLong
  if (typeName === 'abstract:long') return readLong
  if (isEnum(type)) return skimIndex(type.symbols.length, 'enum')
  if (isUnion(type)) {
    const branches = type.types.map((branch) => compile(branch, limits, compiling))
    return (cursor) => branches[readIndex(cursor, branches.length, 'union')]!(cursor)
  }
  if (isArray(type))
    return skimBlocks(type.itemsType, compile(type.itemsType, limits, compiling), false, limits)
  if (isMap(type))
    return skimBlocks(type.valuesType, compile(type.valuesType, limits, compiling), true, limits)
  if (isLogical(type)) return compile(type.underlyingType, limits, compiling)
  if (!isRecord(type)) throw new MillraceError('UNKNOWN_SCHEMA', `Avro type ${typeName} is not supported`)

  const outer = compiling.get(type)
  if (outer) {
    return (cursor) => {
      if (++cursor.depth > limits.maxDepth) throw tooLarge(cursor, `nested more than ${limits.maxDepth} deep`)
      outer.step(cursor)
      cursor.depth--
    }
  }
  const self: { step: Step } = { step: () => {} }
  compiling.set(type, self)
  const fields = type.fields.map((field) => compile(field.type, limits, compiling))
  compiling.delete(type)
  self.step = (cursor) => {
    for (let index = 0; index < fields.length; index++) fields[index]!(cursor)
  }
  return self.step
}

/** Arrays and maps: blocks of a count (negative where a byte size follows) and that many items, closed by a count of 0. */
const skimBlocks = (item: avsc.Type, step: Step, keyed: boolean, limits: DecodeLimits): Step => {
  const width = keyed ? -1 : fixedWidth(item, new Set())
  return (cursor) => {
    for (;;) {
      let count = readLong(cursor)
      if (count === 0) return
      let sized = -1
      if (count < 0) {
        count = -count
        sized = readLong(cursor)
      }
      cursor.items += count
      if (cursor.items > limits.maxItems) throw tooLarge(cursor, `more than ${limits.maxItems} items`)
      const start = cursor.pos
      if (width >= 0) {
        advance(cursor, count * width)
      } else {
        // Whatever is not of fixed width takes at least one byte.
        if (count > cursor.end - cursor.pos) throw malformed(cursor, `${count} items announced`)
        for (let index = 0; index < count; index++) {
          if (keyed) skimKey(cursor)
          step(cursor)
        }
      }
      if (sized >= 0 && cursor.pos - start !== sized)
        throw malformed(cursor, `a block is not ${sized} bytes long`)
    }
  }
}

/** Bytes every value of the type takes, -1 where they vary. */
const fixedWidth = (type: avsc.Type, seen: Set<avsc.Type>): number => {
  switch (type.typeName) {
    case 'null':
      return 0
    case 'boolean':
      return 1
    case 'float':
      return 4
    case 'double':
      return 8
  }
  if (isFixed(type)) return type.size
  if (isLogical(type)) return fixedWidth(type.underlyingType, seen)
  if (!isRecord(type) || seen.has(type)) return -1
  seen.add(type)
  let sum = 0
  for (const field of type.fields) {
    const width = fixedWidth(field.type, seen)
    if (width < 0) return -1
    sum += width
  }
  seen.delete(type)
  return sum
}

const advance = (cursor: Cursor, width: number): void => {
  if (!(width >= 0 && width <= cursor.end - cursor.pos)) throw malformed(cursor, `${width} bytes announced`)
  cursor.pos += width
}

/** A zig-zag integer of at most ten bytes; beyond 2^53 it is rounded, which is enough to refuse it. */
const readLong = (cursor: Cursor): number => {
  const { bytes, end } = cursor
  let pos = cursor.pos
  if (pos >= end) throw malformed(cursor, 'truncated')
  let byte = bytes[pos++]!
  if (byte < 0x80) {
    cursor.pos = pos
    return (byte >>> 1) ^ -(byte & 1)
  }
  let value = byte & 0x7f
  let scale = 128
  do {
    if (pos >= end) throw malformed(cursor, 'truncated')
    if (pos - cursor.pos === 10) throw malformed(cursor, 'an integer of more than ten bytes')
    byte = bytes[pos++]!
    value += (byte & 0x7f) * scale
    scale *= 128
  } while (byte >= 0x80)
  cursor.pos = pos
  return value % 2 ? -(value + 1) / 2 : value / 2
}

const skimInt: Step = (cursor) => {
  const value = readLong(cursor)
  if (value !== (value | 0)) throw malformed(cursor, 'an int beyond 32 bits')
}

const skimLong: Step = (cursor) => {
  const value = readLong(cursor)
  if (!isExactLong(value)) throw malformed(cursor, 'a long beyond 2^52')
}

const readIndex = (cursor: Cursor, count: number, of: string): number => {
  const index = readLong(cursor)
  if (!(index >= 0 && index < count)) throw malformed(cursor, `${of} index ${index}`)
  return index
}

const skimIndex =
  (count: number, of: string): Step =>
  (cursor) => {
    readIndex(cursor, count, of)
  }

const skimString: Step = (cursor) => {
  const length = readLong(cursor)
  const start = cursor.pos
  advance(cursor, length)
  const { bytes, pos } = cursor
  // Short strings are names, mostly ASCII: a loop is faster than a call out of JavaScript.
  if (length <= 64) {
    let index = start
    while (index < pos && bytes[index]! < 0x80) index++
    if (index === pos) return
  }
  if (!isUtf8(bytes.subarray(start, pos))) throw malformed(cursor, 'a string that is not UTF-8')
}

const skimKey: Step = (cursor) => {
  skimString(cursor)
  const { bytes, pos } = cursor
  // Assigned to an object, this key would replace its prototype and be lost.
  if (
    bytes[pos - 1] === 0x5f &&
    bytes[pos - 10] === 18 &&
    bytes.toString('latin1', pos - 9, pos) === '__proto__'
  ) {
    throw new MillraceError('INVALID_EVENT', `map key __proto__ at byte ${pos - 9}`)
  }
}

const malformed = (cursor: Cursor, what: string) =>
  new MillraceError('MALFORMED_AVRO', `${what} at byte ${cursor.pos} of ${cursor.end}`)

const tooLarge = (cursor: Cursor, what: string) =>
  new MillraceError('MESSAGE_TOO_LARGE', `${what} at byte ${cursor.pos} of ${cursor.end}`)

// avsc names its types by string; these tell TypeScript what stands behind a name.
const isEnum = (type: avsc.Type): type is avsc.types.EnumType => type.typeName === 'enum'
const isArray = (type: avsc.Type): type is avsc.types.ArrayType => type.typeName === 'array'
const isMap = (type: avsc.Type): type is avsc.types.MapType & { readonly valuesType: avsc.Type } =>
  type.typeName === 'map'
const isFixed = (type: avsc.Type): type is avsc.types.FixedType => type.typeName === 'fixed'
const isRecord = (type: avsc.Type): type is avsc.types.RecordType =>
  type.typeName === 'record' || type.typeName === 'error'
const isUnion = (type: avsc.Type): type is avsc.types.UnwrappedUnionType => type.typeName.startsWith('union:')
const isLogical = (type: avsc.Type): type is avsc.types.LogicalType => type.typeName.startsWith('logical:')
