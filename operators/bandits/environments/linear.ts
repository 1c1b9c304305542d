/**
 * Rewards linear in an arm's vector: θ and all vectors are drawn evenly from [−1/√d, 1/√d]^d, so that |xᵀθ| ≤ 1, and the reward has Gaussian noise, the
 * same for every arm of a round. The set-up of Ding, Hsieh, Cheng and Lee's and of Ding, Hsieh and Sharpnack's experiments (2022). Cost: K·d a round.
 *
 *   product   mean xᵀθ, and the learner is told the reward
 *   unit      mean (xᵀθ + 1)/2 in [0, 1], and the learner is told the reward: a linear model without a constant cannot express it ("as in code")
 *   centred   the same, and the learner is told 2y − 1, which it can
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { standardNormal } from '../../numerics/normal.ts'
import type { DecisionInput } from '../policy.ts'
import { drawEvenly, type Environment, numberedArms, products } from './environment.ts'

export interface LinearEnvironmentOptions {
  readonly dimension: number
  /** Number of arms K. */
  readonly arms: number
  /** `fresh` vectors every round (default), or one `fixed` set of arms. */
  readonly contexts?: 'fresh' | 'fixed'
  /** How a product becomes a reward; default `product`. */
  readonly rewards?: 'product' | 'unit' | 'centred'
  /** Standard deviation of the noise, at least 0; default 0.1. */
  readonly sigma?: number
}

export class LinearEnvironment implements Environment {
  readonly dimension: number
  readonly arms: readonly string[]
  readonly rounds = Number.POSITIVE_INFINITY
  readonly knowsMeans = true
  readonly input: DecisionInput
  readonly means: Float64Array
  /** θ in force; what turns it writes it before `next`. */
  readonly theta: Float64Array
  readonly #fresh: boolean
  readonly #rewards: 'product' | 'unit' | 'centred'
  readonly #sigma: number
  readonly #uniform: () => number
  #noise = 0

  /** @throws MillraceError INVALID_CONFIG naming the option */
  constructor(options: LinearEnvironmentOptions, uniform: () => number) {
    const { dimension, arms, contexts = 'fresh', rewards = 'product', sigma = 0.1 } = options
    requireShape(dimension, arms)
    if (!(sigma >= 0 && Number.isFinite(sigma)))
      throw new MillraceError('INVALID_CONFIG', `sigma: ${String(sigma)} is not a number of at least 0`)
    this.dimension = dimension
    this.arms = numberedArms(arms)
    this.input = { arms: this.arms, vectors: new Float64Array(arms * dimension), oneVector: false }
    this.means = new Float64Array(arms)
    this.theta = new Float64Array(dimension)
    this.#fresh = contexts === 'fresh'
    this.#rewards = rewards
    this.#sigma = sigma
    this.#uniform = uniform
    drawEvenly(this.theta, 1 / Math.sqrt(dimension), uniform)
    if (!this.#fresh) this.#drawArms()
  }

  next(): void {
    if (this.#fresh) this.#drawArms()
    const { means } = this
    products(this.input.vectors, this.theta, means)
    if (this.#rewards !== 'product') for (let a = 0; a < means.length; a++) means[a] = (means[a]! + 1) / 2
    this.#noise = this.#sigma * standardNormal(this.#uniform())
  }

  reward(arm: number): number {
    return this.means[arm]! + this.#noise
  }

  target(reward: number): number {
    return this.#rewards === 'centred' ? 2 * reward - 1 : reward
  }

  #drawArms(): void {
    drawEvenly(this.input.vectors, 1 / Math.sqrt(this.dimension), this.#uniform)
  }
}

/** See LinearEnvironment. @param uniform numbers in [0, 1) @throws MillraceError INVALID_CONFIG */
export const linearEnvironment = (
  options: LinearEnvironmentOptions,
  uniform: () => number,
): LinearEnvironment => new LinearEnvironment(options, uniform)

/** @throws MillraceError INVALID_CONFIG */
export const requireShape = (dimension: number, arms: number): void => {
  for (const [name, value] of Object.entries({ dimension, arms })) {
    if (Number.isSafeInteger(value) && value >= 1) continue
    throw new MillraceError('INVALID_CONFIG', `${name}: ${String(value)} is not a whole number from 1`)
  }
}
