/**
 * Rewards of good arms become pure noise (Garcelon, Rozière, Meunier, Tarbouriech, Teytaud, Lazaric and Pirotta 2020, as simplified by Ding, Hsieh and
 * Sharpnack 2022): the mean becomes 0, at the cost of |mean|. With `arms: strongest` every arm but the worst is attacked, with `topHalf` the better half.
 */
import { AttackBudget, type AttackOptions, type RewardAttack } from './attack.ts'

export class GarcelonAttack implements RewardAttack {
  readonly name = 'garcelon'
  readonly on = 'reward'
  readonly budget: AttackBudget

  /** @throws MillraceError INVALID_CONFIG */
  constructor(options: AttackOptions) {
    this.budget = new AttackBudget(options)
  }

  mean(means: Float64Array, arm: number): number {
    const own = means[arm]!
    if (!this.budget.allows(means, arm)) return own
    this.budget.spend(Math.abs(own))
    return 0
  }
}

/** See GarcelonAttack. @throws MillraceError INVALID_CONFIG */
export const garcelon = (options: AttackOptions): GarcelonAttack => new GarcelonAttack(options)
