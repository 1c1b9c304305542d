/**
 * Ridge regressions side by side, one an arm: V = λI + Σxxᵀ, θ = V⁻¹Σrx. What every linear bandit keeps.
 *
 * Kept as sums (Σxxᵀ without λI, Σrx), which can be added, and with them V⁻¹ and θ, which follow each sample by Sherman and Morrison's formula
 * (u = V⁻¹x, q = xᵀu: V⁻¹ −= uuᵀ/(1+q), θ += u(r − xᵀθ)/(1+q)) in O(d²). Rounding errors would gather there without end, so every `refreshEvery` samples of an
 * arm both are made anew from the sums by Cholesky in O(d³); likewise at once where one sample shrinks a variance by more than 10⁶, which would
 * cost that many digits. Drift is therefore bounded by what `refreshEvery` samples can add.
 *
 * Promises: one order of samples gives one state, bit for bit; a sample that is refused leaves every bit as it was.
 * Everything is float64 in arrays that double as arms come: nothing is allocated a sample.
 */
import { MillraceError } from '../../schemas/errors.ts'
import { addOuter, invertPacked, multiplyPacked, packedLength } from '../numerics/packed-symmetric.ts'

/** One sample may shrink a variance this much before the inverse is made anew. */
const EXACT_ABOVE = 1e6

export interface RidgeOptions {
  readonly dimension: number
  /** λ, above 0. */
  readonly lambda: number
  /** Samples of one regression between exact refreshes. */
  readonly refreshEvery: number
}

export class RidgeRegressions {
  readonly dimension: number
  readonly lambda: number
  readonly refreshEvery: number
  /** Numbers in one packed matrix. */
  readonly packed: number
  /** Regressions held. */
  count = 0
  /** V⁻¹, packed, one after the other; `count × packed` of it in use. */
  inverse = new Float64Array(0)
  /** Σxxᵀ, packed, without λI. */
  gram = new Float64Array(0)
  /** Σrx, `count × dimension`. */
  moment = new Float64Array(0)
  theta = new Float64Array(0)
  /** Samples seen, and those since the last refresh, of each. */
  samples = new Float64Array(0)
  sinceRefresh = new Float64Array(0)

  readonly #u: Float64Array
  readonly #matrix: Float64Array
  readonly #factor: Float64Array

  constructor({ dimension, lambda, refreshEvery }: RidgeOptions) {
    this.dimension = dimension
    this.lambda = lambda
    this.refreshEvery = refreshEvery
    this.packed = packedLength(dimension)
    this.#u = new Float64Array(dimension)
    this.#matrix = new Float64Array(this.packed)
    this.#factor = new Float64Array(this.packed)
  }

  /** Adds a regression without samples: V⁻¹ = I/λ. @returns its number */
  add(): number {
    const at = this.count++
    this.#reserve(this.count)
    for (let i = 0; i < this.dimension; i++)
      this.inverse[at * this.packed + packedLength(i) + i] = 1 / this.lambda
    return at
  }

  /**
   * Adds a sample to regression `at`, or to a new one where `at` is −1.
   * @returns the regression's number
   * @throws MillraceError NON_FINITE_NUMBER where a number is not, or would become, finite: nothing is then changed.
   */
  update(at: number, x: Float64Array, reward: number): number {
    const { dimension: d, packed } = this
    const u = this.#u
    let q = 0
    let estimate = 0
    if (at < 0) for (let i = 0; i < d; i++) u[i] = x[i]! / this.lambda
    else multiplyPacked(this.inverse, at * packed, x, d, u)
    for (let i = 0; i < d; i++) {
      q += x[i]! * u[i]!
      if (at >= 0) estimate += x[i]! * this.theta[at * d + i]!
    }
    const gain = (reward - estimate) / (1 + q)
    this.#refuseOverflow(at, x, reward, gain)

    const arm = at < 0 ? this.add() : at
    const { theta, moment } = this
    const start = arm * d
    addOuter(this.gram, arm * packed, x, 1, d)
    for (let i = 0; i < d; i++) moment[start + i] = moment[start + i]! + reward * x[i]!
    this.samples[arm] = this.samples[arm]! + 1
    const since = this.sinceRefresh[arm]! + 1
    this.sinceRefresh[arm] = since
    // A variance below zero is rounding alone: the inverse has lost its digits there.
    const exact = q < 0 || q > EXACT_ABOVE || since >= this.refreshEvery
    if (!(exact && this.refresh(arm)) && q >= 0) {
      for (let i = 0; i < d; i++) theta[start + i] = theta[start + i]! + gain * u[i]!
      addOuter(this.inverse, arm * packed, u, -1 / (1 + q), d)
    }
    return arm
  }

  /** Throws where adding a sample, u = V⁻¹x being in scratch, would leave a number that is not finite. */
  #refuseOverflow(at: number, x: Float64Array, reward: number, gain: number): void {
    const { dimension: d, gram, moment, theta } = this
    const u = this.#u
    let finite = Number.isFinite(gain)
    for (let i = 0; i < d && finite; i++) {
      const xi = x[i]!
      // Where the diagonal of a sum of squares is finite, so is the rest of it; half the range is left for the rounding of both.
      const square = (at < 0 ? 0 : gram[at * this.packed + packedLength(i) + i]!) + xi * xi
      const next = (at < 0 ? 0 : moment[at * d + i]!) + reward * xi
      const weight = (at < 0 ? 0 : theta[at * d + i]!) + gain * u[i]!
      finite = square < Number.MAX_VALUE / 2 && Number.isFinite(next) && Number.isFinite(weight)
    }
    if (finite) return
    throw new MillraceError(
      'NON_FINITE_NUMBER',
      'the sample is not finite, or so large that a sum would overflow',
    )
  }

  /** Makes V⁻¹ and θ anew from the sums. @returns false, with both left as they were, where they would not be finite. */
  refresh(at: number): boolean {
    const d = this.dimension
    this.sinceRefresh[at] = 0
    const matrix = this.#matrix
    if (!invertPacked(this.gram, at * this.packed, this.lambda, d, this.#factor, matrix)) return false
    const theta = this.#factor
    multiplyPacked(matrix, 0, this.moment.subarray(at * d, (at + 1) * d), d, theta)
    for (let i = 0; i < d; i++) if (!Number.isFinite(theta[i]!)) return false
    this.inverse.set(matrix, at * this.packed)
    for (let i = 0; i < d; i++) this.theta[at * d + i] = theta[i]!
    return true
  }

  /** Whether the sums of another's regression can be added to one's own without overflow. */
  canAdd(at: number, other: RidgeRegressions, from: number): boolean {
    const d = this.dimension
    for (let i = 0; i < d; i++) {
      const k = packedLength(i) + i
      const square = this.gram[at * this.packed + k]! + other.gram[from * this.packed + k]!
      const moment = this.moment[at * d + i]! + other.moment[from * d + i]!
      if (!Number.isFinite(square) || !Number.isFinite(moment)) return false
    }
    return true
  }

  /** Adds the sums of another's regression to one's own and makes V⁻¹ and θ anew. */
  merge(at: number, other: RidgeRegressions, from: number): void {
    const { packed, dimension: d } = this
    for (let k = 0; k < packed; k++) {
      this.gram[at * packed + k] = this.gram[at * packed + k]! + other.gram[from * packed + k]!
    }
    for (let i = 0; i < d; i++)
      this.moment[at * d + i] = this.moment[at * d + i]! + other.moment[from * d + i]!
    this.samples[at] = this.samples[at]! + other.samples[from]!
    this.refresh(at)
  }

  /** The arrays of the state in the order of a snapshot, cut to what is in use. */
  get arrays(): readonly Float64Array[] {
    const { count, dimension, packed } = this
    return [
      this.samples.subarray(0, count),
      this.sinceRefresh.subarray(0, count),
      this.moment.subarray(0, count * dimension),
      this.theta.subarray(0, count * dimension),
      this.gram.subarray(0, count * packed),
      this.inverse.subarray(0, count * packed),
    ]
  }

  /** Empties the state and makes room for `count` regressions, all zero, to be filled through `arrays`. */
  reset(count: number): void {
    this.samples = new Float64Array(count)
    this.sinceRefresh = new Float64Array(count)
    this.moment = new Float64Array(count * this.dimension)
    this.theta = new Float64Array(count * this.dimension)
    this.gram = new Float64Array(count * this.packed)
    this.inverse = new Float64Array(count * this.packed)
    this.count = count
  }

  #reserve(count: number): void {
    if (count <= this.samples.length) return
    const capacity = Math.max(count, 2 * this.samples.length)
    this.samples = grown(this.samples, capacity)
    this.sinceRefresh = grown(this.sinceRefresh, capacity)
    this.moment = grown(this.moment, capacity * this.dimension)
    this.theta = grown(this.theta, capacity * this.dimension)
    this.gram = grown(this.gram, capacity * this.packed)
    this.inverse = grown(this.inverse, capacity * this.packed)
  }
}

const grown = (array: Float64Array, length: number): Float64Array<ArrayBuffer> => {
  const larger = new Float64Array(length)
  larger.set(array)
  return larger
}
