/**
 * q(x,a), the model of the reward behind DM, DR and their kin: a ridge regression over the vectors of the policy evaluated, learned from the log as it
 * is read. It predicts before it learns, so no step is judged by a model that has seen it, and DR's terms are martingale differences, whatever
 * the model is like; cross-fitting would give the same promise and need the log twice. It begins knowing nothing (q = 0), which costs precision, not
 * truth; DM, which has nothing but the model, is biased by it.
 *
 * Where arms have features one regression serves all (shared), else each arm has its own. Cost: d²/2 an arm, 2d² a step.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { LinearModel } from '../models/linear-model.ts'
import type { DecisionInput } from '../policy.ts'

export interface RewardModelOptions {
  readonly variant: 'disjoint' | 'shared'
  readonly dimension: number
  /** Default 1. */
  readonly lambda?: number
  /** Arms that have a regression of their own (default 10,000); 0 is predicted of others. */
  readonly maxArms?: number
}

export class RewardModel {
  readonly #model: LinearModel
  #estimates = new Float64Array(16)
  #variances = new Float64Array(16)

  constructor({ variant, dimension, lambda = 1, maxArms = 10_000 }: RewardModelOptions) {
    const kind = `reward-model-${variant}`
    this.#model = new LinearModel({ kind, variant, dimension, lambda, maxArms, refreshEvery: 10_000 })
  }

  /**
   * The expected reward of each arm; the array is used again by the next call, and may be longer than the arms.
   * @throws MillraceError EMPTY_ARMS, WRONG_DIMENSION, NON_FINITE_NUMBER
   */
  predict(input: DecisionInput): Float64Array {
    const count = input.arms.length
    if (this.#estimates.length < count) {
      this.#estimates = new Float64Array(2 * count)
      this.#variances = new Float64Array(2 * count)
    }
    this.#model.predict(input, this.#estimates, this.#variances)
    return this.#estimates
  }

  /** Learns the reward of an arm. What a regression cannot take (an overflow) is passed over. */
  learn(arm: string, vector: Float64Array, reward: number): void {
    try {
      this.#model.learn({ arm, vector, reward, propensity: 1 })
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
    }
  }
}
