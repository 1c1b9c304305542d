/** Sparse matrices: what is refused, and that every function agrees with the dense one. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CsrBuilder } from '../../../../operators/xmc/sparse/csr-builder.ts'
import {
  binarise,
  type CsrMatrix,
  csrMatrix,
  normaliseRows,
  selectRows,
  sharedCopy,
  transpose,
} from '../../../../operators/xmc/sparse/csr-matrix.ts'
import { multiply } from '../../../../operators/xmc/sparse/multiply.ts'

type Dense = readonly (readonly number[])[]

const sparse = (dense: Dense, columns: number): CsrMatrix => {
  const builder = new CsrBuilder()
  for (const row of dense) {
    for (const [column, value] of row.entries()) if (value !== 0) builder.add(column, value)
    builder.endRow()
  }
  return builder.build(columns)
}

const dense = ({ rows, columns, pointers, indices, values }: CsrMatrix): number[][] =>
  Array.from({ length: rows }, (_, row) => {
    const line = new Array<number>(columns).fill(0)
    for (let k = pointers[row]!; k < pointers[row + 1]!; k++) line[indices[k]!] = values[k]!
    return line
  })

/** Integers are exact in float32, and so are their sums of products here. */
const matrixOf = (rows: number, columns: number) =>
  fc.array(fc.array(fc.constantFrom(0, 0, 0, 1, -2, 3), { minLength: columns, maxLength: columns }), {
    minLength: rows,
    maxLength: rows,
  })
const size = fc.integer({ min: 0, max: 9 })
const sized = fc.tuple(size, size).chain(([r, c]) => fc.tuple(fc.constant(c), matrixOf(r, c)))

const refusal = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    return `${(error as { code?: string }).code}: ${(error as Error).message}`
  }
  return 'none'
}

describe('csrMatrix', () => {
  it('takes typed arrays as they are, and copies lists', () => {
    const pointers = Int32Array.of(0, 1, 3)
    const indices = Int32Array.of(2, 0, 1)
    const values = Float32Array.of(1, 2, 3)
    const matrix = csrMatrix(2, 3, pointers, indices, values)
    expect([matrix.pointers, matrix.indices, matrix.values]).toEqual([pointers, indices, values])
    expect(matrix.values).toBe(values)
    expect(csrMatrix(2, 3, [0, 1, 3], [2, 0, 1], [1, 2, 3])).toEqual(matrix)
    expect(csrMatrix(0, 0, [0], [], [])).toMatchObject({ rows: 0, columns: 0 })
  })

  it.each([
    [[-1, 3, [0], [], []], 'WRONG_DIMENSION: rows is -1'],
    [[1.5, 3, [0], [], []], 'WRONG_DIMENSION: rows is 1.5'],
    [[0, 2 ** 31, [0], [], []], 'WRONG_DIMENSION: columns is 2147483648'],
    [[1, 3, [0], [], []], 'WRONG_DIMENSION: 1 pointers for 1 rows'],
    [[1, 3, [0, 1], [1], []], 'WRONG_DIMENSION: 1 indices for 0 values'],
    [[1, 3, [1, 1], [1], [1]], 'WRONG_DIMENSION: the first pointer is 1'],
    [[1, 3, [0, 1], [1, 2], [1, 1]], 'WRONG_DIMENSION: the last pointer is 1, of 2 values'],
    [[2, 3, [0, 2, 1], [1], [1]], 'WRONG_DIMENSION: the pointers of row 0 are 0 and 2'],
    [[3, 3, [0, 1, 0, 1], [1], [1]], 'WRONG_DIMENSION: the pointers of row 1 are 1 and 0'],
    [[1, 3, [0, 1], [3], [1]], 'WRONG_DIMENSION: row 0 has column 3 of 3'],
    [[1, 3, [0, 1], [-1], [1]], 'WRONG_DIMENSION: row 0 has column -1 of 3'],
    [[1, 3, [0, 1], [0.5], [1]], 'WRONG_DIMENSION: row 0 has column 0.5 of 3'],
    [[1, 3, [0, 2], [1, 1], [1, 1]], 'INVALID_EVENT: row 0: column 1 follows column 1'],
    [[1, 3, [0, 2], [2, 1], [1, 1]], 'INVALID_EVENT: row 0: column 1 follows column 2'],
    [[1, 3, [0, 1], [2], [Number.NaN]], 'NON_FINITE_NUMBER: row 0, column 2: NaN'],
    [[1, 3, [0, 1], [2], [1e39]], 'NON_FINITE_NUMBER: row 0, column 2: 1e+39'],
  ] as const)('refuses %j', (parts, message) => {
    expect(refusal(() => csrMatrix(...(parts as unknown as Parameters<typeof csrMatrix>)))).toBe(message)
  })
})

describe('the builder', () => {
  it('refuses columns that do not rise, what is no number, and too few columns', () => {
    const builder = new CsrBuilder()
    builder.add(3, 1)
    expect(refusal(() => builder.add(3, 1))).toBe('INVALID_EVENT: row 0: column 3 follows 3')
    expect(refusal(() => builder.add(4.5, 1))).toMatch(/^INVALID_EVENT/)
    expect(refusal(() => builder.add(4, 1e39))).toMatch(/^NON_FINITE_NUMBER/)
    builder.endRow()
    expect(refusal(() => builder.add(-1, 1))).toMatch(/^INVALID_EVENT/)
    expect(refusal(() => builder.build(3))).toBe('WRONG_DIMENSION: column 3 of 3')
    expect(builder.build(4)).toEqual(csrMatrix(1, 4, [0, 1], [3], [1]))
  })
})

describe('every function', () => {
  it('agrees with its dense meaning, gives a sound matrix, and leaves its argument as it was', () => {
    const check = ([columns, rows]: [number, Dense]): void => {
      const matrix = sparse(rows, columns)
      const before = structuredClone(matrix)
      const sound = (result: CsrMatrix): number[][] =>
        dense(csrMatrix(result.rows, result.columns, result.pointers, result.indices, result.values))

      expect(dense(matrix)).toEqual(rows)
      expect(sound(transpose(matrix))).toEqual(
        Array.from({ length: columns }, (_, column) => rows.map((row) => row[column])),
      )
      expect(transpose(transpose(matrix))).toEqual(matrix)
      expect(sound(binarise(matrix))).toEqual(rows.map((row) => row.map((value) => (value === 0 ? 0 : 1))))
      expect(sound(normaliseRows(matrix))).toEqual(
        rows.map((row) => {
          const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0))
          return row.map((value) => (value === 0 ? 0 : Math.fround(value / norm)))
        }),
      )
      const chosen = rows.flatMap((_, row) => (row % 2 === 0 ? [row, row] : [])).reverse()
      expect(sound(selectRows(matrix, chosen))).toEqual(chosen.map((row) => rows[row]))
      const shared = sharedCopy(matrix)
      expect(shared).toEqual(matrix)
      expect(shared.values.buffer).toBeInstanceOf(SharedArrayBuffer)
      expect(matrix).toEqual(before)
    }
    fc.assert(fc.property(sized, check))
  })

  it('multiplies: zeros left out, in whatever order rows are met', () => {
    const pair = fc
      .tuple(size, size, size)
      .chain(([a, b, c]) => fc.tuple(fc.constant(b), fc.constant(c), matrixOf(a, b), matrixOf(b, c)))
    const check = ([inner, columns, left, right]: [number, number, Dense, Dense]): void => {
      const product = multiply(sparse(left, inner), sparse(right, columns))
      expect(dense(product)).toEqual(
        left.map((row) =>
          Array.from(
            { length: columns },
            (_, column) =>
              // + 0: a sum of nothing but −0 is 0.
              row.reduce((sum, value, k) => sum + value * right[k]![column]!, 0) + 0,
          ),
        ),
      )
      expect(product.values.includes(0)).toBe(false)
    }
    fc.assert(fc.property(pair, check))
  })

  it('refuses sizes that do not meet, rows that are not there, and sums beyond float32', () => {
    const two = csrMatrix(2, 2, [0, 1, 2], [0, 1], [3e38, 1])
    expect(refusal(() => multiply(two, csrMatrix(1, 1, [0, 0], [], [])))).toBe(
      'WRONG_DIMENSION: 2 × 2 times 1 × 1',
    )
    expect(refusal(() => multiply(two, two))).toMatch(/^NON_FINITE_NUMBER/)
    for (const row of [-1, 2, 0.5, Number.NaN])
      expect(refusal(() => selectRows(two, [row]))).toMatch(/^WRONG/)
  })

  it('keeps norms whose squares would leave float32', () => {
    const { values } = normaliseRows(csrMatrix(2, 2, [0, 2, 4], [0, 1, 0, 1], [3e38, 3e38, 1e-40, 0]))
    expect(Array.from(values)).toEqual([Math.fround(Math.SQRT1_2), Math.fround(Math.SQRT1_2), 1, 0])
  })
})
