/**
 * Skims Avro bytes before they are decoded. A few bytes can announce millions of items or endless nesting, and a decoder believes
 * them; this walks the writer's schema over the bytes, holding every length to what is left and every count to the caps, and makes
 * no values on the way. What passes decodes within bounded memory and stack.
 *
 * A schema is compiled once into JavaScript, a function a record (as avsc does for decoding): closures for its parts, which the processor cannot
 * foresee, take twice the time. Only numbers go from the schema into the source. Items of fixed width (doubles, a record of them) are
 * passed over by one multiplication a block, so a dense vector costs the same whatever its dimension; else it is a call a value.
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
  readonly limits: DecodeLimits
  bytes: Buffer
  /** Where the last integer read ended, and the size its block announced, -1 where it did not. */
  pos: number
  size: number
  items: number
  depth: number
}

/** Skims a value at `pos`. @returns where it ends */
type Step = (cursor: Cursor, pos: number) => number

/**
 * Whether avsc's own `long` keeps a number: in zig-zag form it must stay below 2^53. Beyond, avsc changes even the sign of
 * negative ones without a word.
 */
export const isExactLong = (value: number): boolean => value < 2 ** 52 && value > -(2 ** 52)

/** Compiles the skim of values written with a schema. */
export const skimOf = (writer: avsc.Type, limits: DecodeLimits): Skim => {
  const step = compile(writer)
  const cursor: Cursor = { limits, bytes: Buffer.alloc(0), pos: 0, size: -1, items: 0, depth: 0 }
  return (bytes, start) => {
    cursor.bytes = bytes
    cursor.items = 0
    cursor.depth = 0
    const pos = step(cursor, start)
    if (pos !== bytes.length) throw malformed(cursor, pos, `${bytes.length - pos} bytes are left over`)
  }
}

const compile = (writer: avsc.Type): Step => {
  const records = new Map<avsc.Type, { readonly name: string; open: boolean }>()
  const source: string[] = []

  /** Statements that move `pos` behind a value. */
  const skim = (type: avsc.Type): string => {
    const { typeName } = type
    const width = fixedWidth(type, new Set())
    if (width === 0) return ''
    if (width > 0) return `pos = advance(cursor, pos, ${width});`
    if (typeName === 'string') return 'pos = string(cursor, pos);'
    if (typeName === 'bytes') return 'pos = bytes(cursor, pos);'
    if (typeName === 'int') return 'pos = int(cursor, pos);'
    if (typeName === 'long') return 'pos = long(cursor, pos);'
    if (typeName === 'abstract:long') return 'pos = anyLong(cursor, pos);'
    if (isEnum(type)) return `readIndex(cursor, pos, ${type.symbols.length}); pos = cursor.pos;`
    if (isUnion(type)) return skimUnion(type.types)
    if (isArray(type)) return skimBlocks(type.itemsType, '')
    if (isMap(type)) return skimBlocks(type.valuesType, 'pos = key(cursor, pos);')
    if (isLogical(type)) return skim(type.underlyingType)
    if (isRecord(type)) return skimRecord(type)
    throw new MillraceError('UNKNOWN_SCHEMA', `Avro type ${typeName} is not supported`)
  }

  const skimUnion = (types: readonly avsc.Type[]): string => {
    const branches = types.map((type, index) => `case ${index}: { ${skim(type)} break }`)
    return `{ const index = readIndex(cursor, pos, ${types.length}); pos = cursor.pos; switch (index) { ${branches.join(' ')} } }`
  }

  /** Arrays and maps: blocks of items, closed by an empty one. */
  const skimBlocks = (item: avsc.Type, key: string): string => {
    const width = key ? -1 : fixedWidth(item, new Set())
    const items =
      width >= 0
        ? `pos = advance(cursor, pos, count * ${width});`
        : `checkCount(cursor, pos, count); for (; count > 0; count--) { ${key} ${skim(item)} }`
    return `for (;;) {
      let count = readBlock(cursor, pos); pos = cursor.pos; if (count === 0) break;
      const size = cursor.size; const start = pos;
      ${items}
      if (size >= 0 && pos - start !== size) throw malformed(cursor, pos, 'a block is not ' + size + ' bytes long') }`
  }

  /** A call of the record's function. Where its own source is still open it is a recursion, the only place where depth must be counted. */
  const skimRecord = (type: avsc.types.RecordType): string => {
    const known = records.get(type)
    if (known?.open) return `enter(cursor, pos); pos = ${known.name}(cursor, pos); cursor.depth--;`
    const record = known ?? { name: `record${records.size}`, open: true }
    if (!known) {
      records.set(type, record)
      const body = type.fields.map((field) => skim(field.type)).join('\n')
      source.push(`const ${record.name} = (cursor, pos) => { ${body}\n return pos }`)
      record.open = false
    }
    return `pos = ${record.name}(cursor, pos);`
  }

  source.push(`return (cursor, pos) => { ${skim(writer)} return pos }`)
  return new Function(...Object.keys(STEPS), source.join('\n'))(...Object.values(STEPS)) as Step
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

const advance = (cursor: Cursor, pos: number, width: number): number => {
  if (!(width >= 0 && width <= cursor.bytes.length - pos))
    throw malformed(cursor, pos, `${width} bytes announced`)
  return (pos + width) | 0
}

/** A zig-zag integer of at most ten bytes, which ends at `cursor.pos`; beyond 2^53 it is rounded, which is enough to refuse it. */
const readLong = (cursor: Cursor, start: number): number => {
  const { bytes } = cursor
  let pos = start
  let value = 0
  let scale = 1
  let byte: number
  do {
    if (pos >= bytes.length) throw malformed(cursor, start, 'truncated')
    if (pos - start === 10) throw malformed(cursor, start, 'an integer of more than ten bytes')
    byte = bytes[pos++]!
    value += (byte & 0x7f) * scale
    scale *= 128
  } while (byte >= 0x80)
  cursor.pos = pos
  return value % 2 ? -(value + 1) / 2 : value / 2
}

/**
 * A length, count or index, which ends at `cursor.pos`. Nearly all take one byte. All beyond 31 bits are as good as the greatest: what is
 * left is an integer to the processor too.
 */
const readCount = (cursor: Cursor, pos: number): number => {
  const { bytes } = cursor
  const byte = pos < bytes.length ? bytes[pos]! : 0x80
  if (byte < 0x80) {
    cursor.pos = pos + 1
    return (byte >>> 1) ^ -(byte & 1)
  }
  return Math.max(-LARGEST, Math.min(LARGEST, readLong(cursor, pos))) | 0
}
const LARGEST = 2 ** 31 - 1

const readIndex = (cursor: Cursor, pos: number, choices: number): number => {
  const index = readCount(cursor, pos)
  if (!(index >= 0 && index < choices)) throw malformed(cursor, pos, `index ${index} of ${choices} choices`)
  return index
}

/** A block's count, held to the cap; where it is negative a size in bytes follows. */
const readBlock = (cursor: Cursor, pos: number): number => {
  let count = readCount(cursor, pos)
  cursor.size = -1
  if (count < 0) {
    count = -count
    cursor.size = readCount(cursor, cursor.pos)
  }
  cursor.items += count
  const { maxItems } = cursor.limits
  if (cursor.items > maxItems) throw tooLarge(cursor, pos, `more than ${maxItems} items`)
  return count
}

/** Whatever is not of fixed width takes at least one byte. */
const checkCount = (cursor: Cursor, pos: number, count: number): void => {
  if (count > cursor.bytes.length - pos) throw malformed(cursor, pos, `${count} items announced`)
}

const enter = (cursor: Cursor, pos: number): void => {
  const { maxDepth } = cursor.limits
  if (++cursor.depth > maxDepth) throw tooLarge(cursor, pos, `nested more than ${maxDepth} deep`)
}

/** Where an integer of at most `most` bytes ends, -1 for a longer one. */
const shortInteger = (cursor: Cursor, pos: number, most: number): number => {
  const { bytes } = cursor
  const last = Math.min(pos + most, bytes.length)
  for (let at = pos; at < last; at++) if (bytes[at]! < 0x80) return at + 1
  return -1
}

const int: Step = (cursor, pos) => {
  // Four bytes hold 28 bits.
  const end = shortInteger(cursor, pos, 4)
  if (end >= 0) return end
  const value = readLong(cursor, pos)
  if (value !== (value | 0)) throw malformed(cursor, pos, 'an int beyond 32 bits')
  return cursor.pos
}

const long: Step = (cursor, pos) => {
  // Seven bytes hold 49 bits.
  const end = shortInteger(cursor, pos, 7)
  if (end >= 0) return end
  if (!isExactLong(readLong(cursor, pos))) throw malformed(cursor, pos, 'a long beyond 2^52')
  return cursor.pos
}

const anyLong: Step = (cursor, pos) => {
  readLong(cursor, pos)
  return cursor.pos
}

const bytes: Step = (cursor, pos) => {
  const length = readCount(cursor, pos)
  return advance(cursor, cursor.pos, length)
}

const string: Step = (cursor, pos) => {
  const end = bytes(cursor, pos)
  const start = cursor.pos
  const { bytes: all } = cursor
  // Short strings are names, mostly ASCII: a loop is faster than a call out of JavaScript.
  if (end - start <= 64) {
    let index = start
    while (index < end && all[index]! < 0x80) index++
    if (index === end) return end
  }
  if (!isUtf8(all.subarray(start, end))) throw malformed(cursor, start, 'a string that is not UTF-8')
  return end
}

/** Assigned to an object, the key `__proto__` would replace its prototype and be lost. */
const key: Step = (cursor, pos) => {
  const end = string(cursor, pos)
  const start = cursor.pos
  const { bytes } = cursor
  if (end - start === 9 && bytes[start] === 0x5f && bytes.toString('latin1', start, end) === '__proto__')
    throw new MillraceError('INVALID_EVENT', `map key __proto__ at byte ${start}`)
  return end
}

const malformed = (cursor: Cursor, pos: number, what: string) =>
  new MillraceError('MALFORMED_AVRO', `${what} at byte ${pos} of ${cursor.bytes.length}`)

const tooLarge = (cursor: Cursor, pos: number, what: string) =>
  new MillraceError('MESSAGE_TOO_LARGE', `${what} at byte ${pos} of ${cursor.bytes.length}`)

/** What compiled source calls. */
const STEPS = {
  advance,
  anyLong,
  bytes,
  checkCount,
  enter,
  int,
  key,
  long,
  malformed,
  readBlock,
  readIndex,
  string,
}

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
