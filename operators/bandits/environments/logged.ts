/**
 * A log as a world: a decision counts only where the policy takes the arm that was logged (Li, Chu, Langford and Wang 2011), and then with probability
 * p_min/p(arm), so that logs of unequal propensities are as good as uniform ones. What counts is a sample of the policy's own rounds, 1 in about
 * 1/p_min of the log; regret is unknown, since the other arms' rewards are.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { DecisionInput } from '../policy.ts'
import type { Environment } from './environment.ts'

export interface LoggedRounds {
  readonly arms: readonly string[]
  /** Numbers of a context. */
  readonly dimension: number
  /** rounds × dimension, row-major: the context, shown with every arm. */
  readonly contexts: Float64Array
  /** Of each round: the index of the arm taken, its probability in (0, 1], its reward. */
  readonly taken: Int32Array
  readonly propensities: Float64Array
  readonly rewards: Float64Array
}

export class LoggedEnvironment implements Environment {
  readonly dimension: number
  readonly arms: readonly string[]
  readonly rounds: number
  readonly knowsMeans = false
  readonly input: DecisionInput
  readonly means: Float64Array
  readonly #log: LoggedRounds
  readonly #least: number
  readonly #uniform: () => number
  #round = -1
  #drawn = 0

  /** @throws MillraceError INVALID_CONFIG, INVALID_PROPENSITY naming the round */
  constructor(log: LoggedRounds, uniform: () => number) {
    const { arms, dimension, contexts, taken, propensities, rewards } = log
    const rounds = taken.length
    const fits =
      propensities.length === rounds && rewards.length === rounds && contexts.length === rounds * dimension
    if (rounds === 0 || arms.length === 0 || !fits)
      throw new MillraceError('INVALID_CONFIG', `the columns of ${rounds} logged rounds do not fit together`)
    const wrong = propensities.findIndex((p) => !(p > 0 && p <= 1))
    if (wrong >= 0) {
      const message = `round ${wrong}: propensity ${propensities[wrong]} is not in (0, 1]`
      throw new MillraceError('INVALID_PROPENSITY', message)
    }
    this.#log = log
    this.#least = propensities.reduce((least, p) => Math.min(least, p), 1)
    this.#uniform = uniform
    this.dimension = dimension
    this.arms = arms
    this.rounds = rounds
    this.input = { arms, vectors: new Float64Array(arms.length * dimension), oneVector: true }
    this.means = new Float64Array(arms.length).fill(Number.NaN)
  }

  next(): void {
    const round = ++this.#round
    const d = this.dimension
    const { vectors } = this.input
    for (let i = 0; i < d; i++) vectors[i] = this.#log.contexts[round * d + i]!
    for (let a = 1; a < this.arms.length; a++) vectors.copyWithin(a * d, 0, d)
    this.#drawn = this.#uniform()
  }

  reward(arm: number): number {
    const { taken, propensities, rewards } = this.#log
    const round = this.#round
    const counts = arm === taken[round] && this.#drawn * propensities[round]! < this.#least
    return counts ? rewards[round]! : Number.NaN
  }

  target(reward: number): number {
    return reward
  }
}

/** See LoggedEnvironment. @param uniform numbers in [0, 1) @throws MillraceError INVALID_CONFIG, INVALID_PROPENSITY */
export const loggedEnvironment = (log: LoggedRounds, uniform: () => number): LoggedEnvironment =>
  new LoggedEnvironment(log, uniform)
