/**
 * The bytes of a snapshot: a header that says what the state is, the state, and a CRC-32 over all of it, so that a state is never
 * continued by something that would read it differently.
 *
 *   "MRPS" · u16 format · text kernel · text kind · u32 dimension · f64 λ · f64 learned · u32 names · text × names · f64 arrays · u32 CRC-32
 *
 * Little-endian; a text is a u32 count of UTF-16 units and the units (lossless for every string). The arrays follow one another with no
 * lengths: the header and the number of names determine them.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { crc32 } from '../../numerics/crc32.ts'

/** Version of the layout. */
export const SNAPSHOT_FORMAT = 1
/** The numeric kernel: states agree bit for bit only where made by the same one. */
export const NUMERIC_KERNEL = 'float64-simd128-2'

const MAGIC = 0x5350524d // "MRPS"

export interface SnapshotHeader {
  readonly kind: string
  readonly dimension: number
  readonly lambda: number
}

export interface SnapshotBody {
  readonly learned: number
  readonly names: readonly string[]
}

/** @returns the bytes of a state */
export const encodeSnapshot = (
  header: SnapshotHeader,
  body: SnapshotBody,
  arrays: readonly Float64Array[],
): Uint8Array => {
  const textBytes = (text: string): number => 4 + 2 * text.length
  const numbers = arrays.reduce((sum, array) => sum + array.length, 0)
  const names = body.names.reduce((sum, name) => sum + textBytes(name), 0)
  const size =
    4 + 2 + textBytes(NUMERIC_KERNEL) + textBytes(header.kind) + 4 + 8 + 8 + 4 + names + 8 * numbers + 4
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  let at = 0
  const text = (value: string): void => {
    view.setUint32(at, value.length, true)
    at += 4
    for (let i = 0; i < value.length; i++, at += 2) view.setUint16(at, value.charCodeAt(i), true)
  }
  view.setUint32(0, MAGIC, true)
  view.setUint16(4, SNAPSHOT_FORMAT, true)
  at = 6
  text(NUMERIC_KERNEL)
  text(header.kind)
  view.setUint32(at, header.dimension, true)
  view.setFloat64(at + 4, header.lambda, true)
  view.setFloat64(at + 12, body.learned, true)
  view.setUint32(at + 20, body.names.length, true)
  at += 24
  for (const name of body.names) text(name)
  for (const array of arrays) {
    bytes.set(bytesOf(array), at)
    at += 8 * array.length
  }
  view.setUint32(at, crc32(bytes.subarray(0, at)), true)
  return bytes
}

/**
 * Reads a snapshot and holds it against what is expected; the arrays are left to `fill`, called once all that comes before is known to be right.
 * @param numbers how many numbers a state with so many names and outcomes learned has; where that varies it may go by how many are `left` in the bytes
 * @throws MillraceError SNAPSHOT_CORRUPT where the bytes are damaged; SNAPSHOT_MISMATCH where they are another policy's, format's or kernel's
 */
export const decodeSnapshot = (
  bytes: Uint8Array,
  expected: SnapshotHeader,
  numbers: (names: number, left: number, learned: number) => number,
): SnapshotBody & { readonly fill: (arrays: readonly Float64Array[]) => void } => {
  const corrupt = (why: string): MillraceError => new MillraceError('SNAPSHOT_CORRUPT', `snapshot: ${why}`)
  const end = bytes.length - 4
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (end < 6 || view.getUint32(0, true) !== MAGIC) throw corrupt('not a snapshot of a policy')
  if (view.getUint32(end, true) !== crc32(bytes.subarray(0, end))) throw corrupt('its CRC-32 does not hold')
  let at = 4
  const take = (size: number): number => {
    const start = at
    at += size
    if (at > end) throw corrupt('it ends early')
    return start
  }
  const text = (): string => {
    const length = view.getUint32(take(4), true)
    const start = take(2 * length)
    const units: string[] = []
    for (let i = 0; i < length; i++) units.push(String.fromCharCode(view.getUint16(start + 2 * i, true)))
    return units.join('')
  }
  const same = (what: string, found: string | number, wanted: string | number): void => {
    if (found === wanted) return
    throw new MillraceError('SNAPSHOT_MISMATCH', `snapshot: its ${what} is ${found}, the policy's ${wanted}`)
  }
  same('format', view.getUint16(take(2), true), SNAPSHOT_FORMAT)
  same('kernel', text(), NUMERIC_KERNEL)
  same('kind', text(), expected.kind)
  same('dimension', view.getUint32(take(4), true), expected.dimension)
  same('lambda', view.getFloat64(take(8), true), expected.lambda)
  const learned = view.getFloat64(take(8), true)
  const count = view.getUint32(take(4), true)
  const names: string[] = []
  while (names.length < count) names.push(text())
  if (new Set(names).size !== count) throw corrupt('a name appears twice')
  if (at + 8 * numbers(count, (end - at) / 8, learned) !== end)
    throw corrupt('its length is not that of its contents')
  const fill = (arrays: readonly Float64Array[]): void => {
    let from = at
    for (const array of arrays) {
      const target = bytesOf(array)
      target.set(bytes.subarray(from, from + target.length))
      from += target.length
    }
  }
  return { learned, names, fill }
}

/** An array's bytes as they lie in memory: little-endian, as in a WebAssembly memory. Copied so, a state of 13 MB takes milliseconds. */
const bytesOf = ({ buffer, byteOffset, byteLength }: Float64Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)
