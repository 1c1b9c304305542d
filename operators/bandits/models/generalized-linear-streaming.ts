/**
 * A generalised linear model learned in one pass: the posterior of θ is kept as N(θ, H⁻¹), and an outcome moves it to the mode of its product with the
 * new likelihood, H += μ'(z)·xxᵀ at the mode's z (Chapelle and Li 2011, algorithm 3, with a full covariance; posterior-mode.ts). Each outcome is thus
 * linearised once, at the θ of its time.
 *
 * Such a step is a step of ridge regression on a working response, as in iteratively reweighted least squares: with w = μ'(z) and
 * g = reward − μ(z), the sample (√w·x, √w·z + g/√w) gives H and θ = H⁻¹Σ(wz + g)x. So a LinearModel of these samples is the whole state, with its kernels, its
 * sums that rounding is refreshed from, its arms and its snapshots.
 *
 * The squared width is xᵀH⁻¹x, the variance of z under the posterior, rather than UCB-GLM's xᵀV⁻¹x: V would need a second matrix an arm and another
 * d² an outcome, and H knows how little a reward of 0 says where nearly all are 0. As μ' ≤ 1/4, a logistic width is at least twice that from V.
 *
 * Cost: an outcome about 2.5·d² multiplications, a prediction d²/2 an arm; memory d² numbers a regression. Nothing is allocated an event.
 */
import type { DecisionInput, LearningInput } from '../policy.ts'
import { requireReward } from './generalized-linear-link.ts'
import type { GeneralizedLinearModel, GeneralizedLinearOptions } from './generalized-linear-model.ts'
import { LinearModel, requireOutcome } from './linear-model.ts'
import { posteriorMode } from './posterior-mode.ts'

/** The least w: below it 1/√w would spoil the working response, and H gains nothing that float64 could hold. */
const LEAST_SLOPE = 1e-30

export class StreamingGeneralizedLinear implements GeneralizedLinearModel {
  readonly #link: GeneralizedLinearOptions['link']
  readonly #model: LinearModel
  readonly #dimension: number
  readonly #scaled: Float64Array
  readonly #one = ['']
  readonly #estimate = new Float64Array(1)
  readonly #variance = new Float64Array(1)

  /** @param options checked by the policy */
  constructor(options: GeneralizedLinearOptions & { readonly refreshEvery: number }) {
    this.#link = options.link
    this.#dimension = options.dimension
    this.#scaled = new Float64Array(options.dimension)
    this.#model = new LinearModel({ ...options, lambda: options.ridge })
  }

  get kind(): string {
    return this.#model.kind
  }

  get learned(): number {
    return this.#model.learned
  }

  get evicted(): number {
    return this.#model.evicted
  }

  get rows(): number {
    return this.#model.learned
  }

  theta(arm?: string): Float64Array {
    return this.#model.theta(arm)
  }

  predict(input: DecisionInput, estimates: Float64Array, variances: Float64Array): void {
    this.#model.predict(input, estimates, variances)
  }

  learn({ arm, vector, reward, propensity }: LearningInput): void {
    const link = this.#link
    requireOutcome(vector, propensity, this.#dimension)
    requireReward(link, reward)
    this.#one[0] = arm
    const input = { arms: this.#one, vectors: vector, oneVector: true }
    this.#model.predict(input, this.#estimate, this.#variance)
    const z0 = this.#estimate[0]!
    const q = this.#variance[0]!
    const z = posteriorMode(link, z0, q, reward)
    const slope = link.slope(z)
    // Both are the residual at the root; each is taken where the rounding of z counts less.
    const residual = slope * q < 1 ? link.residual(z, reward) : (z - z0) / q
    const root = Math.sqrt(Math.max(slope, LEAST_SLOPE))
    const scaled = this.#scaled
    for (let i = 0; i < scaled.length; i++) scaled[i] = root * vector[i]!
    this.#model.learn({ arm, vector: scaled, reward: root * z + residual / root, propensity })
  }

  snapshot(): Uint8Array {
    return this.#model.snapshot()
  }

  restore(bytes: Uint8Array): void {
    this.#model.restore(bytes)
  }
}
