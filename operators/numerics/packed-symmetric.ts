/**
 * Symmetric matrices as their lower triangle, row by row: (0,0), (1,0), (1,1), (2,0), … : d(d+1)/2 numbers, many matrices in one array.
 * Half the memory and half the arithmetic of the full square, and symmetric for certain.
 */

/** Numbers in a packed d × d matrix. */
export const packedLength = (d: number): number => (d * (d + 1)) / 2

/** Writes the packed weights w of a vector at `to`, for which xᵀAx = Σ w·A over the packed A: xᵢ² on the diagonal, 2xᵢxⱼ below. */
export const packOuter = (x: Float64Array, from: number, d: number, out: Float64Array, to: number): void => {
  let k = to
  for (let i = 0; i < d; i++) {
    const xi = x[from + i]!
    const twice = 2 * xi
    for (let j = 0; j < i; j++) out[k++] = twice * x[from + j]!
    out[k++] = xi * xi
  }
}

/** `out` = A·x for the packed matrix at `start`. */
export const multiplyPacked = (
  matrices: Float64Array,
  start: number,
  x: Float64Array,
  d: number,
  out: Float64Array,
): void => {
  let k = start
  for (let i = 0; i < d; i++) {
    const xi = x[i]!
    let sum = 0
    for (let j = 0; j < i; j++) {
      const a = matrices[k++]!
      sum += a * x[j]!
      out[j] = out[j]! + a * xi
    }
    out[i] = sum + matrices[k++]! * xi
  }
}

/** A += x·xᵀ on the packed matrix at `start`, for the d numbers of x at `from`. */
export const addOuter = (
  matrices: Float64Array,
  start: number,
  x: Float64Array,
  from: number,
  d: number,
): void => {
  let k = start
  for (let i = 0; i < d; i++) {
    const xi = x[from + i]!
    for (let j = 0; j <= i; j++, k++) matrices[k] = matrices[k]! + xi * x[from + j]!
  }
}

/**
 * `out` = (A + ridge·I)⁻¹ by Cholesky, for a positive semi-definite packed A at `start`. Cost: about d³/2 multiplications, row by row.
 * In exact arithmetic no pivot is below `ridge`; one that rounding has pushed under max(ridge, d·2⁻⁵²·(Aᵢᵢ + ridge)) is lifted to it, so that the
 * factor always exists. Beyond a condition of about 2⁵²/d the smallest variances are therefore not resolved.
 * @param factor scratch, as long as `out`
 * @returns whether every number of the inverse is finite
 */
export const invertPacked = (
  matrices: Float64Array,
  start: number,
  ridge: number,
  d: number,
  factor: Float64Array,
  out: Float64Array,
): boolean => {
  // A + ridge·I = L·Lᵀ, L in `out`.
  for (let i = 0; i < d; i++) {
    const rowI = packedLength(i)
    for (let j = 0; j <= i; j++) {
      const rowJ = packedLength(j)
      let sum = matrices[start + rowI + j]!
      if (i === j) sum += ridge
      const smallest = i === j ? Math.max(ridge, d * 2 ** -52 * sum) : 0
      for (let k = 0; k < j; k++) sum -= out[rowI + k]! * out[rowJ + k]!
      out[rowI + j] = i === j ? Math.sqrt(Math.max(sum, smallest)) : sum / out[rowJ + j]!
    }
  }
  // L⁻¹, in `factor`: a row is the sum of the rows above it.
  const length = packedLength(d)
  factor.fill(0, 0, length)
  for (let i = 0; i < d; i++) {
    const rowI = packedLength(i)
    for (let k = 0; k < i; k++) {
      const rowK = packedLength(k)
      const weight = out[rowI + k]!
      for (let j = 0; j <= k; j++) factor[rowI + j] = factor[rowI + j]! + weight * factor[rowK + j]!
    }
    const pivot = 1 / out[rowI + i]!
    for (let j = 0; j < i; j++) factor[rowI + j] = -factor[rowI + j]! * pivot
    factor[rowI + i] = pivot
  }
  // (L·Lᵀ)⁻¹ = L⁻ᵀ·L⁻¹, the sum of the outer products of L⁻¹'s rows.
  out.fill(0, 0, length)
  for (let k = 0; k < d; k++) addOuter(out, 0, factor, packedLength(k), k + 1)
  for (let k = 0; k < length; k++) if (!Number.isFinite(out[k]!)) return false
  return true
}
