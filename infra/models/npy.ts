/**
 * NumPy's array files, .npy: a line that says what follows, then the numbers (format versions 1 to 3, numpy.lib.format). Arrays of one dimension are
 * written; any shape is read. What a header claims is held against the bytes that there are before anything is made of it.
 */
import { endianness } from 'node:os'

/** The arrays that are written. */
export type NumberArray = Int32Array | Float32Array | Float64Array

export interface NpyHeader {
  /** NumPy's name of the type, `<f4`. */
  readonly dtype: string
  readonly shape: readonly number[]
  /** Product of the shape. */
  readonly count: number
  /** Bytes of one value. */
  readonly width: number
  /** Where the numbers begin. */
  readonly start: number
}

/** A header is read from so many bytes at most; NumPy's take 128 for most arrays. */
export const LONGEST_HEADER = 4_096

const MAGIC = Buffer.from('\x93NUMPY', 'latin1')
const ALIGNMENT = 64
const DICTIONARY =
  /^\{\s*'descr':\s*'([^'\\]{2,16})',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(\s*((?:\d{1,16}\s*,\s*)*(?:\d{1,16})?)\s*\)\s*,?\s*\}\s*$/
const WIDTHS: Readonly<Record<string, number>> = { i: 1, u: 1, f: 1, b: 1, S: 1, U: 4 }

/** NumPy's name of an array's type. */
export const dtypeOf = (array: NumberArray): string =>
  array instanceof Int32Array ? '<i4' : array instanceof Float32Array ? '<f4' : '<f8'

/** What stands before the numbers of an array of one dimension. */
export const npyHeader = (array: NumberArray): Buffer => {
  if (endianness() !== 'LE') throw new Error('arrays are written on little-endian machines only')
  const text = `{'descr': '${dtypeOf(array)}', 'fortran_order': False, 'shape': (${array.length},), }`
  const size = Math.ceil((MAGIC.length + 4 + text.length + 1) / ALIGNMENT) * ALIGNMENT
  const header = Buffer.alloc(size, ' ')
  MAGIC.copy(header)
  header.writeUInt16LE(1, 6)
  header.writeUInt16LE(size - 10, 8)
  header.write(text, 10, 'latin1')
  header.write('\n', size - 1)
  return header
}

/**
 * What a file holds.
 *
 * @param bytes its first bytes, `LONGEST_HEADER` of them where there are so many
 * @param size of the whole file
 * @param wrong makes the error of a reason
 * @throws what `wrong` makes: no such file, a longer header, a shape that is not that of the bytes behind it, numbers that lie by columns
 */
export const readNpyHeader = (bytes: Uint8Array, size: number, wrong: (why: string) => Error): NpyHeader => {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.length < 12 || !view.subarray(0, 6).equals(MAGIC)) throw wrong('it is no .npy')
  const version = view[6]!
  if (version < 1 || version > 3) throw wrong(`its .npy has format ${version}; 1 to 3 are read`)
  const textStart = version === 1 ? 10 : 12
  const start = textStart + (version === 1 ? view.readUInt16LE(8) : view.readUInt32LE(8))
  if (start > Math.min(view.length, LONGEST_HEADER))
    throw wrong(`its header takes ${start} bytes, of ${Math.min(size, LONGEST_HEADER)}`)
  const match = DICTIONARY.exec(view.toString('latin1', textStart, start))
  if (match === null) throw wrong('its header is not that of an array of numbers or text')
  const [, dtype = '', fortran, dimensions = ''] = match
  const width = widthOf(dtype)
  if (width === null) throw wrong(`values of type ${dtype} are not read`)
  const shape = dimensions
    .split(',')
    .filter((text) => text.trim() !== '')
    .map(Number)
  if (fortran === 'True' && shape.length > 1) throw wrong('its numbers lie by columns')
  const count = shape.reduce((product, length) => product * length, 1)
  if (start + count * width !== size)
    throw wrong(`${size - start} bytes follow the header, which says (${shape.join(', ')}) of ${dtype}`)
  return { dtype, shape, count, width, start }
}

/** Bytes of a value; null for objects, records, and other byte orders. */
const widthOf = (dtype: string): number | null => {
  const match = /^([<|])([iufbSU])(\d{1,4})$/.exec(dtype)
  if (match === null) return null
  const [, order, kind = '', digits] = match
  const width = Number(digits) * WIDTHS[kind]!
  if (order === '|' && width > 1 && kind !== 'S') return null
  return width
}
