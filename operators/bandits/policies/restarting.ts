/**
 * A policy that begins anew when its past does not fit: where rewards are further from its predictions than noise explains, what it learned was not linear, was
 * changed by an adversary, or is no longer so. An extension of this project against attacks, not part of RobustBandit; it goes well below it (`robust`).
 *
 *   D = Σ min((r − x̂)²/(σ² + (σ² + λ)w²), 25) − 1 over the n outcomes since the last start, x̂ the prediction and w its width;  restart when D > z·(√(2n) + 2)
 *
 * σ²w² bounds the variance of a prediction, λw² the square of its bias (‖θ‖ ≤ 1). With Gaussian noise of deviation σ, D is then at most about N(0, 2n). An attacker who makes good arms look bad without being linear about it leaves a
 * misfit, and after its budget is spent clean rewards contradict what it left. σ must be at least that of the noise; a model that is wrong by itself restarts again
 * and again, each time after as many outcomes as it takes to notice. One that is wrong in a linear way is not noticed.
 *
 * Cost: a prediction of one arm an outcome, and two small arrays that are allocated for it.
 */
import { requireRules } from '../models/linear-options.ts'
import type { LearningInput } from '../policy.ts'
import { type PredictingPolicy, WrappedPolicy } from './wrapped-policy.ts'

export interface RestartingOptions {
  /** σ: standard deviation of a reward's noise, above 0. */
  readonly sigma: number
  /** λ of the policy, at least 0: times ‖θ‖², where that is not about 1. Default 1. */
  readonly lambda?: number
  /** z: how many standard deviations of misfit are too many, above 0; default 3. */
  readonly threshold?: number
  /** Share of decisions spread evenly over all arms, in [0, 1]; default 0.01. Inside a syndicate the syndicate's own holds. */
  readonly explorationFloor?: number
}

/** One outcome counts at most so much: no single reward decides. */
const MOST = 25

export class Restarting<P extends PredictingPolicy = PredictingPolicy> extends WrappedPolicy<P> {
  readonly #variance: number
  readonly #bias: number
  readonly #threshold: number

  /** @param make makes a policy without experience @throws MillraceError INVALID_CONFIG */
  constructor(make: () => P, options: RestartingOptions) {
    const { sigma, lambda = 1, threshold = 3, explorationFloor = 0.01 } = options
    requireRules('restarting', [
      ['sigma', sigma, sigma > 0 && Number.isFinite(sigma), 'above 0'],
      ['lambda', lambda, lambda >= 0 && Number.isFinite(lambda), 'at least 0'],
      ['threshold', threshold, threshold > 0 && Number.isFinite(threshold), 'above 0'],
    ])
    super('restarting', [sigma, lambda, threshold], make, NUMBERS, explorationFloor)
    this.#variance = sigma ** 2
    this.#bias = lambda
    this.#threshold = threshold
  }

  override get learned(): number {
    return this.state[LEARNED]! + this.policy.learned
  }

  override get evicted(): number {
    return this.state[EVICTED]! + this.policy.evicted
  }

  /** How often it began anew. */
  get restarts(): number {
    return this.state[RESTARTS]!
  }

  learn(outcome: LearningInput): void {
    const prediction = this.predictionOf(outcome)
    this.policy.learn(outcome)
    if (prediction === undefined) return
    const { state } = this
    const expected = this.#variance + (this.#variance + this.#bias) * prediction.width ** 2
    const squared = (outcome.reward - prediction.estimate) ** 2
    // Both may be infinite where numbers are as large as can be.
    const misfit = squared < MOST * expected ? squared / expected : MOST
    const since = state[SINCE]! + 1
    const sum = state[MISFIT]! + misfit - 1
    state[SINCE] = since
    state[MISFIT] = sum
    if (sum > this.#threshold * (Math.sqrt(2 * since) + 2)) this.#restart()
  }

  #restart(): void {
    const { state } = this
    const { learned, evicted } = this
    state[LEARNED] = learned
    state[EVICTED] = evicted
    state[SINCE] = 0
    state[MISFIT] = 0
    state[RESTARTS] = state[RESTARTS]! + 1
    this.policy = this.make()
  }
}

/** Own numbers: learned and evicted before the last start, outcomes since, their misfit D, restarts. */
const LEARNED = 0
const EVICTED = 1
const SINCE = 2
const MISFIT = 3
const RESTARTS = 4
const NUMBERS = 5

/** See Restarting. @throws MillraceError INVALID_CONFIG */
export const restarting = <P extends PredictingPolicy>(
  make: () => P,
  options: RestartingOptions,
): Restarting<P> => new Restarting(make, options)
