/**
 * Ridge regressions side by side, one an arm: V = λI + Σxxᵀ, θ = V⁻¹Σrx. What every linear bandit keeps.
 *
 * Kept as sums (Σxxᵀ without λI, Σrx), which can be added, and with them V⁻¹ and θ, which follow each sample by Sherman and Morrison's formula
 * (u = V⁻¹x, q = xᵀu: V⁻¹ −= uuᵀ/(1+q), θ += u(r − xᵀθ)/(1+q)) in O(d²). Rounding errors would gather there without end, so every `refreshEvery` samples of an
 * arm both are made anew from the sums by Cholesky in O(d³); likewise at once where one sample shrinks a variance by more than 10⁶, which would
 * cost that many digits. Drift is therefore bounded by what `refreshEvery` samples can add.
 *
 * With `pooled`, regression 0 learns every sample, and each of the others starts from its θ of then: θ = V⁻¹(λθ₀ + Σrx).
 *
 * Promises: one order of samples gives one state, bit for bit; a sample that is refused leaves every bit as it was.
 * Everything is float64 in arrays that double as arms come: nothing is allocated a sample. The matrices lie in a WebAssembly memory, whose kernels
 * predict from them and add to them.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { invertPacked, multiplyPacked, packedLength } from '../../numerics/packed-symmetric.ts'
import { RidgeScreen } from './ridge-screen.ts'

/** One sample may shrink a variance this much before the inverse is made anew. */
const EXACT_ABOVE = 1e6

/** The number of the regression of all samples, where there is one. */
export const POOLED = 0

export interface RidgeOptions {
  readonly dimension: number
  /** λ, above 0. */
  readonly lambda: number
  /** Samples of one regression between exact refreshes. */
  readonly refreshEvery: number
  /** Whether regression 0, to be opened first, learns all samples and is where the others begin. */
  readonly pooled?: boolean
}

export class RidgeRegressions extends RidgeScreen {
  readonly lambda: number
  readonly refreshEvery: number
  readonly pooled: boolean
  readonly #matrix: Float64Array
  readonly #factor: Float64Array
  readonly #target: Float64Array

  constructor({ dimension, lambda, refreshEvery, pooled = false }: RidgeOptions) {
    super(dimension, pooled)
    this.lambda = lambda
    this.refreshEvery = refreshEvery
    this.pooled = pooled
    this.#matrix = new Float64Array(this.packed)
    this.#factor = new Float64Array(this.packed)
    this.#target = new Float64Array(dimension)
  }

  /**
   * A regression without samples: V⁻¹ = I/λ, θ = θ₀.
   * @param replaced the regression in whose place it comes, which is lost; −1 for none
   * @returns its number
   */
  open(replaced = -1): number {
    const at = replaced < 0 ? this.count++ : replaced
    this.reserve(this.count)
    const { dimension: d, pooled } = this
    if (pooled && at !== POOLED) {
      const theta = this.packed // of the pooled regression
      for (let i = 0; i < d; i++) this.priors[at * d + i] = this.table[theta + i]!
    }
    this.empty(at)
    return at
  }

  /** Leaves a regression without samples, where it began. */
  empty(at: number): void {
    const { dimension: d, packed, stride, table } = this
    const inverse = 2 * at * stride
    table.fill(0, inverse, inverse + 2 * stride)
    for (let i = 0; i < d; i++) table[inverse + packedLength(i) + i] = 1 / this.lambda
    if (this.pooled) for (let i = 0; i < d; i++) table[inverse + packed + i] = this.priors[at * d + i]!
    this.samples[at] = 0
    this.sinceRefresh[at] = 0
    this.changed(at)
  }

  /**
   * Adds a sample to regression `at`, or to a new one where `at` is −1; and to the pooled one.
   * @param replaced see `open`
   * @returns the regression's number
   * @throws MillraceError NON_FINITE_NUMBER where a number is not, or would become, finite: nothing is then changed.
   */
  update(at: number, x: Float64Array, reward: number, replaced = -1): number {
    if (this.pooled) this.weigh(POOLED, x, reward)
    this.weigh(at, x, reward)
    const row = at < 0 ? this.open(replaced) : at
    this.add(row, x, reward)
    if (this.pooled) {
      this.weigh(POOLED, x, reward)
      this.add(POOLED, x, reward)
    }
    return row
  }

  /** Leaves in the memory what adding a sample to a regression (−1: a new one) takes. @throws as `update` */
  protected weigh(at: number, x: Float64Array, reward: number): void {
    const { dimension: d, pooled } = this
    const numbers = this.numbers
    const xAt = this.vectorsAt
    const u = xAt / 8 + d
    for (let i = 0; i < d; i++) numbers[u - d + i] = x[i]!
    if (at < 0) for (let i = 0; i < d; i++) numbers[u + i] = x[i]! / this.lambda
    else this.packedKernel.multiply(this.rowAt(2 * at), xAt, xAt + 8 * d, d)
    let q = 0
    for (let i = 0; i < d; i++) q += x[i]! * numbers[u + i]!
    const estimate = at < 0 && !pooled ? 0 : this.estimate(Math.max(at, POOLED), x, 0)
    const gain = (reward - estimate) / (1 + q)
    this.#refuseOverflow(at, x, reward, gain)
    numbers[u + 2 * d] = q
    numbers[u + 2 * d + 1] = gain
  }

  /** Adds the sample just weighed. */
  protected add(at: number, x: Float64Array, reward: number): void {
    const { dimension: d, packed, stride, table } = this
    const numbers = this.numbers
    const u = this.vectorsAt / 8 + d
    const q = numbers[u + 2 * d]!
    const gain = numbers[u + 2 * d + 1]!
    this.accumulate(at, x, reward)
    const since = this.sinceRefresh[at]! + 1
    this.sinceRefresh[at] = since
    // A variance below zero is rounding alone: the inverse has lost its digits there.
    const exact = q < 0 || q > EXACT_ABOVE || since >= this.refreshEvery
    if ((exact && this.refresh(at)) || q < 0) return
    const theta = 2 * at * stride + packed
    const factor = -1 / (1 + q)
    for (let i = 0; i < d; i++) {
      const ui = numbers[u + i]!
      table[theta + i] = table[theta + i]! + gain * ui
      numbers[u + d + i] = factor * ui
    }
    this.changed(at)
    // The factor goes in first, so that u may be as large as its square over 1 + q allows.
    this.packedKernel.addProduct(this.rowAt(2 * at), 8 * (u + d), 8 * u, d)
  }

  /** Adds the sample last weighed to the sums of a regression; V⁻¹ and θ stay. */
  protected accumulate(at: number, x: Float64Array, reward: number): void {
    const { dimension: d, table } = this
    const moment = (2 * at + 1) * this.stride + this.packed
    this.packedKernel.addProduct(this.rowAt(2 * at + 1), this.vectorsAt, this.vectorsAt, d)
    for (let i = 0; i < d; i++) table[moment + i] = table[moment + i]! + reward * x[i]!
    this.samples[at] = this.samples[at]! + 1
  }

  /** Throws where adding a sample, u = V⁻¹x being in the memory, would leave a number that is not finite. */
  #refuseOverflow(at: number, x: Float64Array, reward: number, gain: number): void {
    const { dimension: d, packed, stride, table } = this
    const numbers = this.numbers
    const u = this.vectorsAt / 8 + d
    const known = at >= 0
    // A new regression's θ is that of the pooled one, or zero.
    const theta = 2 * Math.max(at, POOLED) * stride + packed
    const begun = known || this.pooled
    const sums = theta + d
    let finite = Number.isFinite(gain)
    for (let i = 0, diagonal = sums; i < d && finite; i++, diagonal += i + 1) {
      const xi = x[i]!
      // Where the diagonal of a sum of squares is finite, so is the rest of it; half the range is left for the rounding of both.
      const square = (known ? table[diagonal]! : 0) + xi * xi
      const next = (known ? table[sums + packed + i]! : 0) + reward * xi
      const weight = (begun ? table[theta + i]! : 0) + gain * numbers[u + i]!
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
    const { dimension: d, packed, stride, lambda, table, pooled, priors } = this
    this.sinceRefresh[at] = 0
    const inverse = 2 * at * stride
    const sums = inverse + stride
    const matrix = this.#matrix
    if (!invertPacked(table, sums, lambda, d, this.#factor, matrix)) return false
    const target = this.#target
    for (let i = 0; i < d; i++) {
      const moment = table[sums + packed + i]!
      target[i] = pooled ? moment + lambda * priors[at * d + i]! : moment
    }
    const theta = this.#factor
    multiplyPacked(matrix, 0, target, d, theta)
    for (let i = 0; i < d; i++) if (!Number.isFinite(theta[i]!)) return false
    this.changed(at)
    table.set(matrix, inverse)
    for (let i = 0; i < d; i++) table[inverse + packed + i] = theta[i]!
    return true
  }

  /** Whether the sums of another's regression can be added to one's own without overflow. */
  canAdd(at: number, other: RidgeRegressions, from: number): boolean {
    const { dimension: d, packed, stride } = this
    const mine = (2 * at + 1) * stride
    const theirs = (2 * from + 1) * stride
    const fits = (k: number): boolean => Number.isFinite(this.table[mine + k]! + other.table[theirs + k]!)
    for (let i = 0; i < d; i++) if (!fits(packedLength(i) + i) || !fits(packed + i)) return false
    return true
  }

  /** Adds the sums of another's regression to one's own and makes V⁻¹ and θ anew. */
  merge(at: number, other: RidgeRegressions, from: number): void {
    const { stride, table } = this
    const mine = (2 * at + 1) * stride
    const theirs = (2 * from + 1) * stride
    for (let k = 0; k < stride; k++) table[mine + k] = table[mine + k]! + other.table[theirs + k]!
    this.samples[at] = this.samples[at]! + other.samples[from]!
    this.refresh(at)
  }
}
