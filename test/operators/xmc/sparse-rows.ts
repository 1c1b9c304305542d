/** Sparse matrices of tests, written as rows. */
import fc from 'fast-check'
import { type CsrMatrix, csrMatrix } from '../../../operators/xmc/sparse/csr-matrix.ts'

/** Where rows of the given lengths begin, and the end. */
export const pointersOf = (lengths: readonly number[]): Int32Array => {
  const pointers = new Int32Array(lengths.length + 1)
  lengths.forEach((length, row) => {
    pointers[row + 1] = pointers[row]! + length
  })
  return pointers
}

/** From dense rows; zeros are left out. */
export const dense = (rows: readonly (readonly number[])[], columns = rows[0]?.length ?? 0): CsrMatrix =>
  csrMatrix(
    rows.length,
    columns,
    pointersOf(rows.map((row) => row.filter((value) => value !== 0).length)),
    rows.flatMap((row) => row.flatMap((value, column) => (value === 0 ? [] : [column]))),
    rows.flatMap((row) => row.filter((value) => value !== 0)),
  )

export const toDense = ({ rows, columns, pointers, indices, values }: CsrMatrix): number[][] =>
  Array.from({ length: rows }, (_, r) => {
    const row = new Array<number>(columns).fill(0)
    for (let k = pointers[r]!; k < pointers[r + 1]!; k++) row[indices[k]!] = values[k]!
    return row
  })

/** Rows of zeros and ones. */
export const ones = (rows: number, columns: number): fc.Arbitrary<CsrMatrix> =>
  fc
    .array(fc.array(fc.constantFrom(0, 0, 1), { minLength: columns, maxLength: columns }), {
      minLength: rows,
      maxLength: rows,
    })
    .map((table) => dense(table, columns))
