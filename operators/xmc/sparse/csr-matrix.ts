/**
 * Sparse matrices by rows: what documents, labels and rankers are kept in. Row r holds `indices[k]`, `values[k]` for
 * k from `pointers[r]` up to `pointers[r + 1]`; indices of a row rise strictly. Arrays may lie in shared memory, so that threads read one copy.
 *
 * All functions here leave what they are given as it is, and answer with new arrays. Costs are linear in rows, columns and stored values.
 * Sums are made in float64 and rounded once, to the float32 of `values`.
 */
import { MillraceError } from '../../../schemas/errors.ts'

export interface CsrMatrix {
  readonly rows: number
  readonly columns: number
  /** rows + 1 positions, the first 0. */
  readonly pointers: Int32Array
  readonly indices: Int32Array
  readonly values: Float32Array
}

/** Positions are int32. */
const MOST = 2 ** 31 - 1

/**
 * A matrix from its parts, checked; typed arrays are taken as they are, not copied.
 *
 * @param rows at least 0
 * @param columns at least 0
 * @param pointers rows + 1 numbers that never fall, from 0 to the number of values
 * @param indices column of each value, rising strictly in each row
 * @param values finite as float32
 * @throws MillraceError WRONG_DIMENSION (lengths, pointers, a column out of range), INVALID_EVENT (a row's columns do not rise), NON_FINITE_NUMBER
 */
export const csrMatrix = (
  rows: number,
  columns: number,
  pointers: ArrayLike<number>,
  indices: ArrayLike<number>,
  values: ArrayLike<number>,
): CsrMatrix => {
  for (const [name, size] of [
    ['rows', rows],
    ['columns', columns],
  ] as const) {
    if (!Number.isInteger(size) || size < 0 || size > MOST) throw wrong(`${name} is ${size}`)
  }
  if (pointers.length !== rows + 1) throw wrong(`${pointers.length} pointers for ${rows} rows`)
  if (indices.length !== values.length) throw wrong(`${indices.length} indices for ${values.length} values`)
  if (pointers[0] !== 0) throw wrong(`the first pointer is ${pointers[0]}`)
  if (pointers[rows] !== values.length) {
    throw wrong(`the last pointer is ${pointers[rows]}, of ${values.length} values`)
  }
  for (let row = 0; row < rows; row++) {
    const end = pointers[row + 1]!
    if (!Number.isInteger(end) || end < pointers[row]! || end > values.length) {
      throw wrong(`the pointers of row ${row} are ${pointers[row]} and ${end}`)
    }
    let before = -1
    for (let k = pointers[row]!; k < end; k++) {
      const column = indices[k]!
      if (!Number.isInteger(column) || column < 0 || column >= columns) {
        throw wrong(`row ${row} has column ${column} of ${columns}`)
      }
      if (column <= before) {
        throw new MillraceError('INVALID_EVENT', `row ${row}: column ${column} follows column ${before}`)
      }
      before = column
      if (!Number.isFinite(Math.fround(values[k]!))) {
        throw new MillraceError('NON_FINITE_NUMBER', `row ${row}, column ${column}: ${values[k]}`)
      }
    }
  }
  return {
    rows,
    columns,
    pointers: pointers instanceof Int32Array ? pointers : Int32Array.from(pointers),
    indices: indices instanceof Int32Array ? indices : Int32Array.from(indices),
    values: values instanceof Float32Array ? values : Float32Array.from(values),
  }
}

/** Numbers of the rows wanted, in any order and as often as one likes, as the rows of a matrix. @throws MillraceError WRONG_DIMENSION */
export const selectRows = (matrix: CsrMatrix, chosen: ArrayLike<number>): CsrMatrix => {
  const pointers = new Int32Array(chosen.length + 1)
  for (let i = 0; i < chosen.length; i++) {
    const row = chosen[i]!
    if (!(row >= 0 && row < matrix.rows && Number.isInteger(row))) throw wrong(`row ${row} of ${matrix.rows}`)
    pointers[i + 1] = pointers[i]! + matrix.pointers[row + 1]! - matrix.pointers[row]!
  }
  const indices = new Int32Array(pointers[chosen.length]!)
  const values = new Float32Array(indices.length)
  for (let i = 0; i < chosen.length; i++) {
    const start = matrix.pointers[chosen[i]!]!
    const end = matrix.pointers[chosen[i]! + 1]!
    indices.set(matrix.indices.subarray(start, end), pointers[i]!)
    values.set(matrix.values.subarray(start, end), pointers[i]!)
  }
  return { rows: chosen.length, columns: matrix.columns, pointers, indices, values }
}

/** Columns as rows: also what is wanted where a matrix is to be read by columns. */
export const transpose = (matrix: CsrMatrix): CsrMatrix => {
  const { rows, columns, pointers, indices, values } = matrix
  const starts = new Int32Array(columns + 1)
  for (let k = 0; k < indices.length; k++) starts[indices[k]! + 1]!++
  for (let column = 0; column < columns; column++) starts[column + 1]! += starts[column]!
  const next = starts.slice(0, columns)
  const rowOf = new Int32Array(indices.length)
  const moved = new Float32Array(indices.length)
  for (let row = 0; row < rows; row++) {
    const end = pointers[row + 1]!
    for (let k = pointers[row]!; k < end; k++) {
      const place = next[indices[k]!]!++
      rowOf[place] = row
      moved[place] = values[k]!
    }
  }
  return { rows: columns, columns: rows, pointers: starts, indices: rowOf, values: moved }
}

/** Each row divided by its Euclidean norm; a row of zeros stays. */
export const normaliseRows = (matrix: CsrMatrix): CsrMatrix => {
  const { rows, pointers, values } = matrix
  const scaled = new Float32Array(values.length)
  for (let row = 0; row < rows; row++) {
    const start = pointers[row]!
    const end = pointers[row + 1]!
    let squares = 0
    for (let k = start; k < end; k++) squares += values[k]! * values[k]!
    const norm = Math.sqrt(squares)
    if (norm > 0) for (let k = start; k < end; k++) scaled[k] = values[k]! / norm
  }
  return { ...matrix, values: scaled }
}

/** Ones where a value is stored, whatever it is. */
export const binarise = (matrix: CsrMatrix): CsrMatrix => ({
  ...matrix,
  values: new Float32Array(matrix.values.length).fill(1),
})

/** The same matrix in shared memory: handed to a worker thread, it is not copied. */
export const sharedCopy = (matrix: CsrMatrix): CsrMatrix => {
  const shared = <T extends Int32Array | Float32Array>(
    from: T,
    Kind: new (buffer: SharedArrayBuffer) => T,
  ): T => {
    const copy = new Kind(new SharedArrayBuffer(from.byteLength))
    copy.set(from)
    return copy
  }
  return {
    rows: matrix.rows,
    columns: matrix.columns,
    pointers: shared<Int32Array>(matrix.pointers, Int32Array),
    indices: shared<Int32Array>(matrix.indices, Int32Array),
    values: shared<Float32Array>(matrix.values, Float32Array),
  }
}

const wrong = (message: string): MillraceError => new MillraceError('WRONG_DIMENSION', message)
