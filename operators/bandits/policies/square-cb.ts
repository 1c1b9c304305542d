/**
 * SquareCB (Foster and Rakhlin 2020; the distribution is that of Abe and Long 1999): the further an arm's estimate f̂ lies under the best one, the less probable
 * it is. With K arms, p(a) = 1/(K + γ·(f̂(best) − f̂(a))), and the best arm (ties: lowest index) has the rest. Every arm keeps some probability.
 *
 * γ is greed: 0 makes all arms alike, ∞ is greedy. As in Vowpal Wabbit it grows with the outcomes n learned so far, γ = gamma·n^ρ.
 *
 * Each p(a) is at most 1/K, so that the rest is at least 1/K: always a distribution, whatever the estimates. Cost: that of its linear model and a
 * sort of the arms. Nothing is allocated an event. Promises: the laws in test/operators/bandits/laws.ts; the rest is summed from the worst arm
 * up, so that an arm's probability does not depend on its place, to the last bit.
 */
import { Ranking } from '../../numerics/ranking.ts'
import { type LinearOptions, requireLinearOptions, requireRules } from '../models/linear-options.ts'
import type { DecisionInput } from '../policy.ts'
import { LinearPolicy } from './linear-policy.ts'

export interface SquareCbOptions extends LinearOptions {
  /** Scale of γ = gamma·n^gammaExponent, at least 0. Default 10. */
  readonly gamma?: number
  /** Exponent ρ of the outcomes learned so far, at least 0; 0 keeps γ at `gamma`. Default 0.5. */
  readonly gammaExponent?: number
}

export class SquareCb extends LinearPolicy {
  readonly propensityKind = 'exact'
  readonly explorationName = 'gamma'
  /** `gamma`: the scale of γ. */
  readonly exploration: number
  readonly #exponent: number
  #count = 0
  #estimates = new Float64Array(0)
  #variances = new Float64Array(0)
  /** The arms, best first. */
  #order = new Int32Array(0)
  readonly #ranking = new Ranking()

  /** @throws MillraceError INVALID_CONFIG */
  constructor(options: SquareCbOptions) {
    const full = requireLinearOptions('squareCb', { gamma: 10, gammaExponent: 0.5, ...options })
    const { gamma, gammaExponent } = full
    requireRules('squareCb', [
      ['gamma', gamma, Number.isFinite(gamma) && gamma >= 0, 'at least 0'],
      ['gammaExponent', gammaExponent, Number.isFinite(gammaExponent) && gammaExponent >= 0, 'at least 0'],
    ])
    super('square-cb', full)
    this.exploration = gamma
    this.#exponent = gammaExponent
  }

  look(input: DecisionInput): void {
    const count = input.arms.length
    if (count > this.#order.length) {
      this.#estimates = new Float64Array(2 * count)
      this.#variances = new Float64Array(2 * count)
      this.#order = new Int32Array(2 * count)
    }
    this.model.predict(input, this.#estimates, this.#variances)
    this.#count = count
    this.#ranking.rank(this.#estimates, count, this.#order)
  }

  /** @param exploration `gamma`; below 0 counts as 0 */
  spread(exploration: number, weight: number, probabilities: Float64Array): void {
    const count = this.#count
    const estimates = this.#estimates
    const order = this.#order
    // Neither factor may be infinite: times zero it would be no number.
    const greed = Math.min(
      exploration > 0 ? exploration * this.learned ** this.#exponent : 0,
      Number.MAX_VALUE,
    )
    const best = order[0]!
    let rest = 1
    for (let k = count - 1; k > 0; k--) {
      const arm = order[k]!
      const gap = Math.min(estimates[best]! - estimates[arm]!, Number.MAX_VALUE)
      const probability = 1 / (count + greed * gap)
      rest -= probability
      probabilities[arm] = probabilities[arm]! + weight * probability
    }
    probabilities[best] = probabilities[best]! + weight * rest
  }

  rank(_: number, ranking: Int32Array): void {
    for (let k = 0; k < this.#count; k++) ranking[k] = this.#order[k]!
  }
}

/** A SquareCB policy without experience. @throws MillraceError INVALID_CONFIG */
export const squareCb = (options: SquareCbOptions): SquareCb => new SquareCb(options)
