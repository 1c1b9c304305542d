/**
 * Rewards of 0 and 1: the mean is 1/(1 + exp(−scale·xᵀθ)), with θ and vectors drawn evenly from [−1/√d, 1/√d]^d. One uniform number a round decides for every
 * arm, so that an arm with a larger mean is never paid less. Cost: K·d a round.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { DecisionInput } from '../policy.ts'
import { drawEvenly, type Environment, numberedArms, products } from './environment.ts'
import { requireShape } from './linear.ts'

export interface LogisticOptions {
  readonly dimension: number
  /** Number of arms K. */
  readonly arms: number
  /** `fresh` vectors every round (default), or one `fixed` set of arms. */
  readonly contexts?: 'fresh' | 'fixed'
  /** What xᵀθ, within [−1, 1], is multiplied by; default 1. */
  readonly scale?: number
}

export class LogisticEnvironment implements Environment {
  readonly dimension: number
  readonly arms: readonly string[]
  readonly rounds = Number.POSITIVE_INFINITY
  readonly knowsMeans = true
  readonly input: DecisionInput
  readonly means: Float64Array
  readonly theta: Float64Array
  readonly #fresh: boolean
  readonly #uniform: () => number
  #drawn = 0

  /** @throws MillraceError INVALID_CONFIG naming the option */
  constructor({ dimension, arms, contexts = 'fresh', scale = 1 }: LogisticOptions, uniform: () => number) {
    requireShape(dimension, arms)
    if (!Number.isFinite(scale))
      throw new MillraceError('INVALID_CONFIG', `scale: ${String(scale)} is not a finite number`)
    this.dimension = dimension
    this.arms = numberedArms(arms)
    this.input = { arms: this.arms, vectors: new Float64Array(arms * dimension), oneVector: false }
    this.means = new Float64Array(arms)
    this.theta = new Float64Array(dimension)
    this.#fresh = contexts === 'fresh'
    this.#uniform = uniform
    drawEvenly(this.theta, 1 / Math.sqrt(dimension), uniform)
    for (let i = 0; i < dimension; i++) this.theta[i]! *= scale
    drawEvenly(this.input.vectors, 1 / Math.sqrt(dimension), uniform)
  }

  next(): void {
    const { means } = this
    if (this.#fresh) drawEvenly(this.input.vectors, 1 / Math.sqrt(this.dimension), this.#uniform)
    products(this.input.vectors, this.theta, means)
    for (let a = 0; a < means.length; a++) means[a] = 1 / (1 + Math.exp(-means[a]!))
    this.#drawn = this.#uniform()
  }

  reward(arm: number): number {
    return this.#drawn < this.means[arm]! ? 1 : 0
  }

  target(reward: number): number {
    return reward
  }
}

/** See LogisticEnvironment. @param uniform numbers in [0, 1) @throws MillraceError INVALID_CONFIG */
export const logisticEnvironment = (options: LogisticOptions, uniform: () => number): LogisticEnvironment =>
  new LogisticEnvironment(options, uniform)
