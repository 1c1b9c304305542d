/**
 * A world that a policy can be tried in: round after round it shows arms, knows what each is worth, and rewards the one taken. Randomness is passed in, and
 * what a round holds does not depend on what was chosen before: policies in environments of equal seeds meet the same rounds and the same noise.
 */
import type { DecisionInput } from '../policy.ts'

export interface Environment {
  /** Length of an arm's vector. */
  readonly dimension: number
  /** Ids of the arms, the same in every round. */
  readonly arms: readonly string[]
  /** Rounds there are; Infinity where it has no end. */
  readonly rounds: number
  /** Whether `means` are known; a log knows the reward of one arm only. */
  readonly knowsMeans: boolean
  /** The round's arms and vectors; overwritten by the next round. */
  readonly input: DecisionInput
  /** The round's mean reward of each arm, NaN where unknown; overwritten by the next round. */
  readonly means: Float64Array
  /** Goes on to the next round; the first call to the first. Not called more often than there are rounds. */
  next(): void
  /** What the round pays for an arm, noise included; NaN where it cannot be known, and the round then does not count. */
  reward(arm: number): number
  /** What the learner is told when it was paid so much. */
  target(reward: number): number
}

/** Ids of so many arms: `0`, `1`, … */
export const numberedArms = (count: number): string[] => Array.from({ length: count }, (_, a) => String(a))

/** Fills an array with numbers drawn evenly from [−bound, bound). */
export const drawEvenly = (values: Float64Array, bound: number, uniform: () => number): void => {
  for (let i = 0; i < values.length; i++) values[i] = bound * (2 * uniform() - 1)
}

/** xₐᵀθ of every arm. */
export const products = (vectors: Float64Array, theta: Float64Array, into: Float64Array): void => {
  const d = theta.length
  for (let a = 0, at = 0; a < into.length; a++) {
    let sum = 0
    for (let i = 0; i < d; i++) sum += vectors[at++]! * theta[i]!
    into[a] = sum
  }
}
