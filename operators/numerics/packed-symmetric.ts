/**
 * Symmetric matrices as their lower triangle, row by row: (0,0), (1,0), (1,1), (2,0), … : d(d+1)/2 numbers, many matrices in one array.
 * Half the memory and half the arithmetic of the full square, and symmetric for certain.
 *
 * The kernels below are the cost of a linear bandit: xᵀAx for every arm of every decision. They take four matrices at a time, each with
 * one running sum of its own, so that four additions are under way at once; and an arm's sum is added in the same order whichever
 * lane it is in, so that its bits do not depend on its place among the arms.
 */

/** Numbers in a packed d × d matrix. */
export const packedLength = (d: number): number => (d * (d + 1)) / 2

/** `out` = the packed weights w of a vector, for which xᵀAx = Σ w·A over the packed A: xᵢ² on the diagonal, 2xᵢxⱼ below. */
export const packOuter = (x: Float64Array, start: number, d: number, out: Float64Array): void => {
  let k = 0
  for (let i = 0; i < d; i++) {
    const xi = x[start + i]!
    const twice = 2 * xi
    for (let j = 0; j < i; j++) out[k++] = twice * x[start + j]!
    out[k++] = xi * xi
  }
}

/** Four places at a time; the last group is filled up with the last place, computed again. */
const LANES = 4

/** `out[n]` = table[rows[n]]·weights for `count` rows of `weights.length` numbers: many products with one vector. */
export const dotRows = (
  table: Float64Array,
  rows: Int32Array,
  count: number,
  weights: Float64Array,
  length: number,
  out: Float64Array,
): void => {
  const last = count - 1
  for (let n = 0; n < count; n += LANES) {
    const n1 = Math.min(n + 1, last)
    const n2 = Math.min(n + 2, last)
    const n3 = Math.min(n + 3, last)
    const a0 = rows[n]! * length
    const a1 = rows[n1]! * length
    const a2 = rows[n2]! * length
    const a3 = rows[n3]! * length
    let s0 = 0
    let s1 = 0
    let s2 = 0
    let s3 = 0
    for (let k = 0; k < length; k++) {
      const w = weights[k]!
      s0 += table[a0 + k]! * w
      s1 += table[a1 + k]! * w
      s2 += table[a2 + k]! * w
      s3 += table[a3 + k]! * w
    }
    out[n] = s0
    out[n1] = s1
    out[n2] = s2
    out[n3] = s3
  }
}

/** `out[n]` = table[rows[n]]·vectors[places[n]]: products of rows, each with a vector of its own. */
export const dotPairs = (
  table: Float64Array,
  rows: Int32Array,
  vectors: Float64Array,
  places: Int32Array,
  count: number,
  d: number,
  out: Float64Array,
): void => {
  for (let n = 0; n < count; n++) {
    const a = rows[n]! * d
    const x = places[n]! * d
    let sum = 0
    for (let k = 0; k < d; k++) sum += table[a + k]! * vectors[x + k]!
    out[n] = sum
  }
}

/** `out[n]` = xᵀAx for the packed matrices `rows[n]` and the vectors `places[n]`. */
export const quadraticForms = (
  matrices: Float64Array,
  rows: Int32Array,
  vectors: Float64Array,
  places: Int32Array,
  count: number,
  d: number,
  out: Float64Array,
): void => {
  const size = packedLength(d)
  const last = count - 1
  for (let n = 0; n < count; n += LANES) {
    const n1 = Math.min(n + 1, last)
    const n2 = Math.min(n + 2, last)
    const n3 = Math.min(n + 3, last)
    const x0 = places[n]! * d
    const x1 = places[n1]! * d
    const x2 = places[n2]! * d
    const x3 = places[n3]! * d
    let a0 = rows[n]! * size
    let a1 = rows[n1]! * size
    let a2 = rows[n2]! * size
    let a3 = rows[n3]! * size
    let q0 = 0
    let q1 = 0
    let q2 = 0
    let q3 = 0
    for (let i = 0; i < d; i++) {
      let s0 = 0
      let s1 = 0
      let s2 = 0
      let s3 = 0
      for (let j = 0; j < i; j++) {
        s0 += matrices[a0 + j]! * vectors[x0 + j]!
        s1 += matrices[a1 + j]! * vectors[x1 + j]!
        s2 += matrices[a2 + j]! * vectors[x2 + j]!
        s3 += matrices[a3 + j]! * vectors[x3 + j]!
      }
      const y0 = vectors[x0 + i]!
      const y1 = vectors[x1 + i]!
      const y2 = vectors[x2 + i]!
      const y3 = vectors[x3 + i]!
      q0 += y0 * (matrices[a0 + i]! * y0 + 2 * s0)
      q1 += y1 * (matrices[a1 + i]! * y1 + 2 * s1)
      q2 += y2 * (matrices[a2 + i]! * y2 + 2 * s2)
      q3 += y3 * (matrices[a3 + i]! * y3 + 2 * s3)
      a0 += i + 1
      a1 += i + 1
      a2 += i + 1
      a3 += i + 1
    }
    out[n] = q0
    out[n1] = q1
    out[n2] = q2
    out[n3] = q3
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

/** A += factor·x·xᵀ on the packed matrix at `start`. The factor goes in first, so that x may be as large as its square over 1 allows. */
export const addOuter = (
  matrices: Float64Array,
  start: number,
  x: Float64Array,
  factor: number,
  d: number,
): void => {
  let k = start
  for (let i = 0; i < d; i++) {
    const scaled = factor * x[i]!
    for (let j = 0; j <= i; j++, k++) matrices[k] = matrices[k]! + scaled * x[j]!
  }
}

/**
 * `out` = (A + ridge·I)⁻¹ by Cholesky, for a positive semi-definite packed A at `start`. Cost: about d³ multiplications.
 * In exact arithmetic no pivot is below `ridge`; one that rounding has pushed under max(ridge, d·2⁻⁵²·(Aᵢᵢ + ridge)) is lifted to it, so that the
 * factor always exists. Beyond a condition of about 2⁵²/d the smallest variances are therefore not resolved.
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
  // A + ridge·I = L·Lᵀ, L in `factor`.
  for (let i = 0; i < d; i++) {
    const rowI = packedLength(i)
    for (let j = 0; j <= i; j++) {
      const rowJ = packedLength(j)
      let sum = matrices[start + rowI + j]!
      if (i === j) sum += ridge
      const smallest = i === j ? Math.max(ridge, d * 2 ** -52 * sum) : 0
      for (let k = 0; k < j; k++) sum -= factor[rowI + k]! * factor[rowJ + k]!
      factor[rowI + j] = i === j ? Math.sqrt(Math.max(sum, smallest)) : sum / factor[rowJ + j]!
    }
  }
  // L⁻¹, in place.
  for (let i = 0; i < d; i++) {
    const rowI = packedLength(i)
    const pivot = 1 / factor[rowI + i]!
    for (let j = 0; j < i; j++) {
      let sum = 0
      for (let k = j; k < i; k++) sum += factor[rowI + k]! * factor[packedLength(k) + j]!
      factor[rowI + j] = -sum * pivot
    }
    factor[rowI + i] = pivot
  }
  // (L·Lᵀ)⁻¹ = L⁻ᵀ·L⁻¹.
  let finite = true
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0
      for (let k = i; k < d; k++) sum += factor[packedLength(k) + i]! * factor[packedLength(k) + j]!
      out[packedLength(i) + j] = sum
      finite &&= Number.isFinite(sum)
    }
  }
  return finite
}
