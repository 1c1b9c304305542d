/**
 * The Cholesky factor of a packed symmetric matrix (packed-symmetric.ts): A = L·Lᵀ with L lower triangular, packed in the same way. What turns
 * independent normals into normals with covariance A. Cost: d³/6 multiplications; nothing is allocated.
 */
import { packedLength } from './packed-symmetric.ts'

/**
 * Writes L of a positive semi-definite A into `out`; both hold d(d+1)/2 numbers and may be the same array. A pivot of at most d·2⁻⁵²·Aᵢᵢ is rounding
 * alone: nothing varies there that the rows above do not, and its column is zero.
 */
export const choleskyPacked = (matrix: Float64Array, d: number, out: Float64Array): void => {
  for (let i = 0; i < d; i++) {
    const rowI = packedLength(i)
    for (let j = 0; j < i; j++) {
      const rowJ = packedLength(j)
      let sum = matrix[rowI + j]!
      for (let k = 0; k < j; k++) sum -= out[rowI + k]! * out[rowJ + k]!
      const pivot = out[rowJ + j]!
      out[rowI + j] = pivot === 0 ? 0 : sum / pivot
    }
    const diagonal = matrix[rowI + i]!
    let sum = diagonal
    for (let k = 0; k < i; k++) sum -= out[rowI + k]! * out[rowI + k]!
    out[rowI + i] = sum > d * 2 ** -52 * diagonal ? Math.sqrt(sum) : 0
  }
}

/** `out` = L·z for a packed lower triangular L and the d numbers of z at `from`. */
export const multiplyLower = (
  lower: Float64Array,
  d: number,
  z: Float64Array,
  from: number,
  out: Float64Array,
): void => {
  for (let i = 0, k = 0; i < d; i++) {
    let sum = 0
    for (let j = 0; j <= i; j++) sum += lower[k++]! * z[from + j]!
    out[i] = sum
  }
}
