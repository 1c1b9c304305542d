/**
 * Sparse times sparse, row by row (Gustavson 1978, "Two fast algorithms for sparse matrices: multiplication and permuted transposition"): a row of the
 * product is a sum of rows of the right matrix, gathered in an array as wide as the product. Cost: a multiplication for each pair of values that meet, and
 * sorting each row's columns; nothing is allocated a row. YᵀX is `multiply(transpose(Y), X)`.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { CsrBuilder } from './csr-builder.ts'
import type { CsrMatrix } from './csr-matrix.ts'

/**
 * The product, rows of `left` × columns of `right`. Sums are made in float64, in the order of the left row's columns, then rounded; zeros are left out.
 *
 * @throws MillraceError WRONG_DIMENSION where the inner sizes differ, NON_FINITE_NUMBER where a sum leaves float32
 */
export const multiply = (left: CsrMatrix, right: CsrMatrix): CsrMatrix => {
  if (left.columns !== right.rows) {
    throw new MillraceError(
      'WRONG_DIMENSION',
      `${left.rows} × ${left.columns} times ${right.rows} × ${right.columns}`,
    )
  }
  const sums = new Float64Array(right.columns)
  /** Columns of the row at hand; `met` says whose they are. */
  const touched = new Int32Array(right.columns)
  const met = new Int32Array(right.columns).fill(-1)
  const product = new CsrBuilder()
  for (let row = 0; row < left.rows; row++) {
    const count = gather(left, right, row, sums, touched, met)
    touched.subarray(0, count).sort()
    for (let t = 0; t < count; t++) {
      const column = touched[t]!
      if (sums[column] !== 0) product.add(column, sums[column]!)
    }
    product.endRow()
  }
  return product.build(right.columns)
}

/** Sums a row; answers how many columns were met. */
const gather = (
  left: CsrMatrix,
  right: CsrMatrix,
  row: number,
  sums: Float64Array,
  touched: Int32Array,
  met: Int32Array,
): number => {
  let count = 0
  const end = left.pointers[row + 1]!
  for (let k = left.pointers[row]!; k < end; k++) {
    const weight = left.values[k]!
    const inner = left.indices[k]!
    const last = right.pointers[inner + 1]!
    for (let j = right.pointers[inner]!; j < last; j++) {
      const column = right.indices[j]!
      if (met[column] !== row) {
        met[column] = row
        touched[count++] = column
        sums[column] = 0
      }
      sums[column]! += weight * right.values[j]!
    }
  }
  return count
}
