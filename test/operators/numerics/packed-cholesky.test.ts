import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { choleskyPacked, multiplyLower } from '../../../operators/numerics/packed-cholesky.ts'
import { addOuter, packedLength } from '../../../operators/numerics/packed-symmetric.ts'

/** L·Lᵀ, packed. */
const squareOf = (lower: Float64Array, d: number): Float64Array => {
  const square = new Float64Array(packedLength(d))
  for (let i = 0; i < d; i++)
    for (let j = 0; j <= i; j++)
      for (let k = 0; k <= j; k++)
        square[packedLength(i) + j]! += lower[packedLength(i) + k]! * lower[packedLength(j) + k]!
  return square
}

describe('the Cholesky factor of a packed matrix', () => {
  it('is that of a textbook', () => {
    // [[4, 12, −16], [12, 37, −43], [−16, −43, 98]]
    const out = new Float64Array(6)
    choleskyPacked(Float64Array.of(4, 12, 37, -16, -43, 98), 3, out)
    expect([...out]).toEqual([2, 6, 1, -8, 5, 3])
    const product = new Float64Array(3)
    multiplyLower(out, 3, Float64Array.of(9, 1, -1, 2), 1, product)
    expect([...product]).toEqual([2, 5, -7])
  })

  const number = fc.integer({ min: -100, max: 100 }).map((n) => n / 10)
  const rows = fc.integer({ min: 1, max: 8 }).chain((d) => {
    const vector = fc.array(number, { minLength: d, maxLength: d })
    return fc.tuple(fc.constant(d), fc.array(vector, { maxLength: 10 }))
  })

  it.each([
    ['with every direction', 0.01, 1e-13],
    // Where rows depend on one another, what is left of them is rounding over rounding.
    ['of any rank', 0, 1e-6],
  ])('squared is the matrix, in place too, %s', (_, ridge, tolerance) => {
    fc.assert(
      fc.property(rows, ([d, vectors]) => {
        const matrix = new Float64Array(packedLength(d))
        for (let i = 0; i < d; i++) matrix[packedLength(i) + i] = ridge
        for (const x of vectors) addOuter(matrix, 0, Float64Array.from(x), 0, d)
        const lower = new Float64Array(matrix.length)
        choleskyPacked(matrix, d, lower)
        const scale = Math.max(...matrix.map(Math.abs), 1e-300)
        squareOf(lower, d).forEach((value, k) => {
          expect(Math.abs(value - matrix[k]!) / scale).toBeLessThan(tolerance)
        })
        choleskyPacked(matrix, d, matrix)
        expect(matrix).toEqual(lower)
      }),
    )
  })

  it('of zeros is zero', () => {
    const out = new Float64Array(3).fill(7)
    choleskyPacked(new Float64Array(3), 2, out)
    expect([...out]).toEqual([0, 0, 0])
  })
})
