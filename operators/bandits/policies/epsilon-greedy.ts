/**
 * ε-greedy over a linear model: the arm with the best estimate (ties: lowest index) with probability 1 − ε, else any arm alike. The plainest way to explore,
 * and a baseline: it goes on trying arms that it knows to be bad.
 *
 * Cost: that of its linear model. Nothing is allocated an event. Promises: the laws in test/operators/bandits/laws.ts.
 */
import { IndexChoice } from '../exploration/index-choice.ts'
import { type LinearOptions, requireLinearOptions, requireRules } from '../models/linear-options.ts'
import type { DecisionInput } from '../policy.ts'
import { LinearPolicy } from './linear-policy.ts'

export interface EpsilonGreedyOptions extends LinearOptions {
  /** ε: share of decisions spread evenly over all arms, in [0, 1]; `explorationFloor` comes on top. Default 0.1. */
  readonly epsilon?: number
}

export class EpsilonGreedy extends LinearPolicy {
  readonly propensityKind = 'exact'
  readonly explorationName = 'epsilon'
  /** ε. */
  readonly exploration: number
  readonly #choice = new IndexChoice()

  /** @throws MillraceError INVALID_CONFIG */
  constructor(options: EpsilonGreedyOptions) {
    const full = requireLinearOptions('epsilonGreedy', { epsilon: 0.1, ...options })
    const { epsilon } = full
    requireRules('epsilonGreedy', [['epsilon', epsilon, epsilon >= 0 && epsilon <= 1, 'from 0 to 1']])
    super('epsilon-greedy', full)
    this.exploration = epsilon
  }

  look(input: DecisionInput): void {
    this.#choice.reserve(input.arms.length)
    this.model.predict(input, this.#choice.estimates, this.#choice.widths)
  }

  /** @param exploration ε; beyond [0, 1] the nearer end counts */
  spread(exploration: number, weight: number, probabilities: Float64Array): void {
    const { count } = this.#choice
    const epsilon = Math.min(Math.max(exploration, 0), 1)
    const share = (weight * epsilon) / count
    for (let a = 0; a < count; a++) probabilities[a] = probabilities[a]! + share
    this.#choice.spread(0, weight * (1 - epsilon), probabilities)
  }

  rank(_: number, ranking: Int32Array): void {
    this.#choice.rank(0, ranking)
  }
}

/** An ε-greedy policy without experience. @throws MillraceError INVALID_CONFIG */
export const epsilonGreedy = (options: EpsilonGreedyOptions): EpsilonGreedy => new EpsilonGreedy(options)
