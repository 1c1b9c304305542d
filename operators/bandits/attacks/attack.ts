/**
 * What an attacker can do to a bandit, and what it may spend on it. The attacker knows everything: the true mean of every arm, and the arm that
 * the learner is about to take. It changes the reward of that arm, or the vector by which the learner knows it; the learner sees no difference.
 */
import { MillraceError } from '../../../schemas/errors.ts'

/** Changes rewards. */
export interface RewardAttack {
  readonly name: string
  readonly on: 'reward'
  readonly budget: AttackBudget
  /**
   * The mean that the reward of the arm taken is drawn around: its true one where it is not attacked. Counts what that costs, so it is asked once a round.
   * @param means true mean of every arm of the round
   * @param arm index of the arm taken
   */
  mean(means: Float64Array, arm: number): number
}

/** Changes what the learner sees of an arm; its reward stays that of the true vector. */
export interface ContextAttack {
  readonly name: string
  readonly on: 'context'
  readonly budget: AttackBudget
  /**
   * Changes the vector of the arm that the learner is about to take, in place; the learner then decides again, on what it is shown. Asked once a round.
   * @returns whether it was changed
   */
  vector(means: Float64Array, arm: number, vector: Float64Array): boolean
}

export type Attack = RewardAttack | ContextAttack

export interface AttackOptions {
  /** C, at least 0: attacks stop once they have cost so much; the last one may go beyond. */
  readonly budget: number
  /**
   * Which arms are attacked: all but the worst (`strongest`, default), the better half (`topHalf`), or the N best. An arm is among the N best when fewer
   * than N arms have a strictly larger mean.
   */
  readonly arms?: 'strongest' | 'topHalf' | number
}

/** What attacks have cost so far, and whether another one is possible. */
export class AttackBudget {
  /** What is left is `limit` − `cost`; below 0 by what the last attack went beyond. */
  readonly limit: number
  readonly #arms: 'strongest' | 'topHalf' | number
  #cost = 0
  #attacks = 0

  /** @throws MillraceError INVALID_CONFIG naming the option */
  constructor({ budget, arms = 'strongest' }: AttackOptions) {
    if (!(budget >= 0))
      throw new MillraceError('INVALID_CONFIG', `budget: ${String(budget)} is not a number of at least 0`)
    if (arms !== 'strongest' && arms !== 'topHalf' && !(Number.isSafeInteger(arms) && arms >= 0)) {
      throw new MillraceError(
        'INVALID_CONFIG',
        `arms: ${String(arms)} is not strongest, topHalf or a whole number from 0`,
      )
    }
    this.limit = budget
    this.#arms = arms
  }

  /** Sum of what the attacks cost: |attacked mean − true mean|, or ‖shown vector − true vector‖. */
  get cost(): number {
    return this.#cost
  }

  /** Rounds attacked. */
  get attacks(): number {
    return this.#attacks
  }

  /** Whether an arm may be attacked now: something is left, and it is among the arms that are. */
  allows(means: Float64Array, arm: number): boolean {
    if (this.#cost >= this.limit) return false
    const count = means.length
    const among =
      this.#arms === 'strongest' ? count - 1 : this.#arms === 'topHalf' ? Math.floor(count / 2) : this.#arms
    const own = means[arm]!
    let better = 0
    for (let a = 0; a < count; a++) if (means[a]! > own) better++
    return better < among
  }

  /** Counts an attack. */
  spend(cost: number): void {
    this.#cost += cost
    this.#attacks++
  }
}
