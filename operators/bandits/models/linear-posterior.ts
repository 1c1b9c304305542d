/**
 * Draws from the posterior of a shared linear model, θ̃ ~ N(θ, α²V⁻¹) with V⁻¹ = L·Lᵀ: θ̃ = θ + α·L·z for d independent normals z. A draw's scores of all arms
 * come from one θ̃, so they vary together, as they must where arms share their weights.
 *
 * θ and L follow from the model's state and are kept until its next outcome: d³/6 multiplications an outcome, then a draw takes d²/2 and d an arm. Nothing
 * is allocated an event.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { choleskyPacked, multiplyLower } from '../../numerics/packed-cholesky.ts'
import { packedLength } from '../../numerics/packed-symmetric.ts'
import type { DecisionInput } from '../policy.ts'
import { type LinearModel, requireArms } from './linear-model.ts'

export class LinearPosterior {
  readonly #model: LinearModel
  readonly #theta: Float64Array
  readonly #factor: Float64Array
  readonly #deviation: Float64Array
  #stale = true

  constructor(model: LinearModel) {
    const d = model.dimension
    this.#model = model
    this.#theta = new Float64Array(d)
    this.#factor = new Float64Array(packedLength(d))
    this.#deviation = new Float64Array(d)
  }

  /** To be called when the model has changed. */
  forget(): void {
    this.#stale = true
  }

  /**
   * Estimates xᵀθ of a decision's arms.
   * @throws MillraceError EMPTY_ARMS, WRONG_DIMENSION, NON_FINITE_NUMBER
   */
  estimate({ arms, vectors }: DecisionInput, estimates: Float64Array): void {
    const d = this.#model.dimension
    requireArms(arms, vectors, d)
    if (this.#stale) {
      this.#model.copyPosterior(this.#theta, this.#factor)
      choleskyPacked(this.#factor, d, this.#factor)
      this.#stale = false
    }
    scores(arms, vectors, this.#theta, estimates, 0)
  }

  /**
   * Writes xᵀLz of every arm: what exploration multiplies. To be called after `estimate`.
   * @param z d standard normals
   * @param to where in `widths` the first arm's goes
   * @throws MillraceError NON_FINITE_NUMBER
   */
  deviate(
    { arms, vectors }: DecisionInput,
    z: Float64Array,
    from: number,
    widths: Float64Array,
    to: number,
  ): void {
    multiplyLower(this.#factor, this.#model.dimension, z, from, this.#deviation)
    scores(arms, vectors, this.#deviation, widths, to)
  }
}

/** xᵀw of every arm. @throws MillraceError NON_FINITE_NUMBER */
const scores = (
  arms: readonly string[],
  vectors: Float64Array,
  weights: Float64Array,
  out: Float64Array,
  to: number,
): void => {
  const d = weights.length
  for (let a = 0, k = 0; a < arms.length; a++) {
    // Two sums, so that one addition need not wait for the other.
    let even = 0
    let odd = 0
    let i = 0
    for (; i + 1 < d; i += 2, k += 2) {
      even += vectors[k]! * weights[i]!
      odd += vectors[k + 1]! * weights[i + 1]!
    }
    if (i < d) even += vectors[k++]! * weights[i]!
    const score = even + odd
    // A number of the vector that is not finite makes its arm's score so.
    if (!Number.isFinite(score)) {
      throw new MillraceError('NON_FINITE_NUMBER', `arms[${a}]: the score of '${arms[a]}' is not finite`)
    }
    out[to + a] = score
  }
}
