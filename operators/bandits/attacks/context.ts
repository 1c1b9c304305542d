/**
 * Good arms are shown larger than they are: the vector x of the arm about to be taken is shown as factor · x, at the cost of ‖factor · x − x‖. A learner that
 * takes it learns a reward that is too small for what it saw. The transform is this project's own, since that of Ding, Hsieh and Sharpnack (2022) is not
 * published; Garcelon et al. (2020) scale vectors too.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { AttackBudget, type AttackOptions, type ContextAttack } from './attack.ts'

export interface ContextAttackOptions extends AttackOptions {
  /** What vectors are multiplied by; default 2. */
  readonly factor?: number
}

export class ScaledContextAttack implements ContextAttack {
  readonly name = 'context'
  readonly on = 'context'
  readonly budget: AttackBudget
  readonly #factor: number

  /** @throws MillraceError INVALID_CONFIG */
  constructor({ factor = 2, ...options }: ContextAttackOptions) {
    if (!Number.isFinite(factor))
      throw new MillraceError('INVALID_CONFIG', `factor: ${String(factor)} is not a finite number`)
    this.budget = new AttackBudget(options)
    this.#factor = factor
  }

  vector(means: Float64Array, arm: number, vector: Float64Array): boolean {
    if (!this.budget.allows(means, arm)) return false
    let squares = 0
    for (let i = 0; i < vector.length; i++) {
      const shown = this.#factor * vector[i]!
      squares += (shown - vector[i]!) ** 2
      vector[i] = shown
    }
    this.budget.spend(Math.sqrt(squares))
    return true
  }
}

/** See ScaledContextAttack. @throws MillraceError INVALID_CONFIG */
export const contextAttack = (options: ContextAttackOptions): ScaledContextAttack =>
  new ScaledContextAttack(options)
