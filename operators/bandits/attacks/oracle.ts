/**
 * Good arms are made to look worse than the worst (Jun, Li, Ma and Zhu 2018; Liu and Shroff 2019): the mean becomes that of the worst arm less a margin, at
 * the cost of the difference. An arm that is already below is left alone.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { AttackBudget, type AttackOptions, type RewardAttack } from './attack.ts'

export interface OracleOptions extends AttackOptions {
  /** How far below the worst arm; at least 0, default 0.01. */
  readonly margin?: number
}

export class OracleAttack implements RewardAttack {
  readonly name = 'oracle'
  readonly on = 'reward'
  readonly budget: AttackBudget
  readonly #margin: number

  /** @throws MillraceError INVALID_CONFIG */
  constructor({ margin = 0.01, ...options }: OracleOptions) {
    if (!(margin >= 0 && Number.isFinite(margin)))
      throw new MillraceError('INVALID_CONFIG', `margin: ${String(margin)} is not a number of at least 0`)
    this.budget = new AttackBudget(options)
    this.#margin = margin
  }

  mean(means: Float64Array, arm: number): number {
    const own = means[arm]!
    let worst = own
    for (let a = 0; a < means.length; a++) worst = Math.min(worst, means[a]!)
    const target = worst - this.#margin
    if (!(own > target) || !this.budget.allows(means, arm)) return own
    this.budget.spend(Math.abs(target - own))
    return target
  }
}

/** See OracleAttack. @throws MillraceError INVALID_CONFIG */
export const oracle = (options: OracleOptions): OracleAttack => new OracleAttack(options)
