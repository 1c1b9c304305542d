/**
 * SciPy's sparse matrices, .npz: a zip of .npy files (scipy.sparse.save_npz), stored or deflated, by columns or by rows. Held against the zip's CRC-32 and
 * under a cap on what it unpacks to. Read whole: memory is twice the file's, and what it unpacks to.
 */
import { readFileSync } from 'node:fs'
import { unzipSync } from 'fflate'
import { type NpyHeader, readNpyHeader } from '../../infra/models/npy.ts'
import { crc32 } from '../../operators/numerics/crc32.ts'
import { type CsrMatrix, csrMatrix, transpose } from '../../operators/xmc/sparse/csr-matrix.ts'
import { MillraceError } from '../../schemas/errors.ts'

/** All that a file unpacks to. */
export const LARGEST_UNPACKED = 2 ** 31
/** Deflate packs no tighter than 1 to 1,032. */
const TIGHTEST = 1_032
const PARTS = ['format', 'shape', 'data', 'indices', 'indptr'] as const
type Part = (typeof PARTS)[number]

/**
 * A sparse matrix by its columns: the transposed of what the file holds, which PECOS keeps by columns.
 * @throws MillraceError INVALID_CONFIG (no such file), SNAPSHOT_CORRUPT (damaged, not such a matrix, larger than `LARGEST_UNPACKED`)
 */
export const readColumns = (path: string): CsrMatrix => {
  const wrong = (why: string) => new MillraceError('SNAPSHOT_CORRUPT', `${path}: ${why}`)
  const parts = unpacked(path, wrong)
  const bytesOf = (part: Part): { header: NpyHeader; bytes: Uint8Array } => {
    const bytes = parts.get(part)
    if (bytes === undefined) throw wrong(`it has no ${part}.npy`)
    const header = readNpyHeader(bytes, bytes.length, (why) => wrong(`${part}.npy: ${why}`))
    return { header, bytes: bytes.subarray(header.start) }
  }
  const numbers = (part: Part) => {
    const { header, bytes } = bytesOf(part)
    const read = READERS[header.dtype]
    if (read === undefined || header.shape.length !== 1)
      throw wrong(`${part}.npy: (${header.shape.join(', ')}) of ${header.dtype} is no row of numbers`)
    // A copy of its own, so that it is aligned.
    return read(bytes.slice().buffer)
  }
  const { header, bytes } = bytesOf('format')
  const format = Buffer.from(bytes)
    .toString(header.dtype.startsWith('<U') ? 'utf16le' : 'latin1')
    .replaceAll('\0', '')
  if (format !== 'csc' && format !== 'csr')
    throw wrong(`a matrix in the form ${JSON.stringify(format)} is not read`)
  const shape = numbers('shape')
  if (shape.length !== 2) throw wrong(`a shape of ${shape.length} numbers`)
  const [rows, columns] = format === 'csc' ? [shape[1]!, shape[0]!] : [shape[0]!, shape[1]!]
  try {
    const sorted = sortedRows(numbers('indptr'), numbers('indices'), numbers('data'))
    const matrix = csrMatrix(rows, columns, ...sorted)
    return format === 'csc' ? matrix : transpose(matrix)
  } catch (error) {
    throw error instanceof MillraceError && error.code !== 'SNAPSHOT_CORRUPT' ? wrong(error.message) : error
  }
}

/** The numbers of a type, exact where they are as large as an index may be. */
const READERS: Readonly<Record<string, (buffer: ArrayBuffer) => Int32Array | Float32Array | Float64Array>> = {
  '<i4': (buffer) => new Int32Array(buffer),
  '<u4': (buffer) => Float64Array.from(new Uint32Array(buffer)),
  '<i8': (buffer) => Float64Array.from(new BigInt64Array(buffer), Number),
  '<u8': (buffer) => Float64Array.from(new BigUint64Array(buffer), Number),
  '<f4': (buffer) => new Float32Array(buffer),
  '<f8': (buffer) => new Float64Array(buffer),
}

/** SciPy promises no order within a row. What is out of bounds is left to `csrMatrix`. */
const sortedRows = (
  pointers: ArrayLike<number>,
  indices: ArrayLike<number>,
  values: ArrayLike<number>,
): [ArrayLike<number>, ArrayLike<number>, ArrayLike<number>] => {
  let rises = true
  let row = 1
  for (let k = 1; k < indices.length && rises; k++) {
    while (row < pointers.length && pointers[row]! < k) row++
    rises = pointers[row] === k || indices[k]! > indices[k - 1]!
  }
  const ordered = Array.prototype.every.call(pointers, (at: number, i) => i === 0 || at >= pointers[i - 1]!)
  if (rises || !ordered || indices.length !== values.length) return [pointers, indices, values]
  const sortedIndices = Float64Array.from(indices)
  const sortedValues = Float32Array.from(values)
  for (let at = 0; at + 1 < pointers.length; at++) {
    const start = pointers[at]!
    const end = Math.min(pointers[at + 1]!, indices.length)
    const order = Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i)
    order.sort((a, b) => indices[a]! - indices[b]!)
    order.forEach((from, i) => {
      sortedIndices[start + i] = indices[from]!
      sortedValues[start + i] = values[from]!
    })
  }
  return [pointers, sortedIndices, sortedValues]
}

/** The arrays of a zip by their names, `.npy` taken off. */
const unpacked = (path: string, wrong: (why: string) => MillraceError): Map<string, Uint8Array> => {
  const zip = contentOf(path)
  let left = LARGEST_UNPACKED
  let entries = 0
  try {
    const files = unzipSync(zip, {
      filter: ({ name, size, originalSize, compression }) => {
        if (++entries > 64) throw wrong('it has more files than a matrix')
        if (!PARTS.some((part) => name === `${part}.npy`)) return false
        left -= originalSize
        if (left < 0) throw wrong(`it unpacks to more than ${LARGEST_UNPACKED} bytes`)
        if (compression === 0 ? originalSize !== size : originalSize > TIGHTEST * (size + 16))
          throw wrong(`${name} cannot have ${originalSize} bytes`)
        return true
      },
    })
    const checks = checksOf(zip)
    return new Map(
      Object.entries(files).map(([name, bytes]) => {
        if (crc32(bytes) !== checks.get(name)) throw wrong(`the CRC-32 of ${name} does not hold`)
        return [name.slice(0, -'.npy'.length), bytes]
      }),
    )
  } catch (error) {
    throw error instanceof MillraceError ? error : wrong(`it is no sound zip: ${(error as Error).message}`)
  }
}

const contentOf = (path: string): Buffer => {
  try {
    return readFileSync(path)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new MillraceError('INVALID_CONFIG', `cannot read ${path}: ${code}`, { cause })
  }
}

/** CRC-32 of each file, as the zip's directory says (APPNOTE 4.3.12, 4.3.16), which the library keeps to itself. */
const checksOf = (zip: Buffer): Map<string, number> => {
  const end = zip.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  const checks = new Map<string, number>()
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const length = zip.readUInt16LE(at + 28)
    checks.set(zip.toString('latin1', at + 46, at + 46 + length), zip.readUInt32LE(at + 16))
    at += 46 + length + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  return checks
}
