/**
 * The attacks of Garcelon, Rozière, Meunier, Tarbouriech, Teytaud, Lazaric and Pirotta (2020, "Adversarial attacks on linear contextual bandits") themselves: the
 * attacker has an arm of its own, and attacks whenever another is taken, so that its own comes to be taken nearly always.
 *
 *   rewards   the mean of the arm taken is lowered by clip(mean) − (1 − ε)·clip(its own arm's mean): a share ε below its own arm's. Clipped to [0, 1]
 *   contexts  the vector x of the arm about to be taken is shown as δx, δ = max(1, 2·mean/mean of its own arm): what is learned of it then predicts half of what
 *             its own arm brings
 *
 * There the attacker estimates means by confidence bounds of its own, high for the arm taken and low for its own arm; here it knows them, as attackers of this
 * folder do (attack.ts), so both bounds are the mean. An attack that would raise a reward, or show a vector shorter, is not made; nor one on contexts while
 * its own arm's mean is not above 0, since no δ would do. Means should lie in [0, 1], as theirs do.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { AttackBudget, type ContextAttack, type RewardAttack } from './attack.ts'

export interface TargetedOptions {
  /** C, at least 0: attacks stop once they have cost so much; the last one may go beyond. */
  readonly budget: number
  /** The arm that the attacker wants taken: its index, or the `worst` of each round (default; the first of equal ones). */
  readonly target?: 'worst' | number
}

export interface TargetedRewardOptions extends TargetedOptions {
  /** ε in [0, 1]: the share by which attacked means lie below the attacker's arm; default ½. */
  readonly epsilon?: number
}

export class TargetedRewardAttack implements RewardAttack {
  readonly name = 'targetedReward'
  readonly on = 'reward'
  readonly budget: AttackBudget
  readonly #target: 'worst' | number
  readonly #epsilon: number

  /** @throws MillraceError INVALID_CONFIG */
  constructor({ epsilon = 0.5, ...options }: TargetedRewardOptions) {
    if (!(epsilon >= 0 && epsilon <= 1))
      throw new MillraceError('INVALID_CONFIG', `epsilon: ${String(epsilon)} is not from 0 to 1`)
    this.budget = budgetOf(options)
    this.#target = requireTarget(options.target)
    this.#epsilon = epsilon
  }

  mean(means: Float64Array, arm: number): number {
    const own = means[arm]!
    const target = targetOf(means, this.#target)
    const cost = clip(own) - (1 - this.#epsilon) * clip(means[target]!)
    if (arm === target || !(cost > 0) || !this.budget.allows(means, arm)) return own
    this.budget.spend(cost)
    return own - cost
  }
}

export class TargetedContextAttack implements ContextAttack {
  readonly name = 'targetedContext'
  readonly on = 'context'
  readonly budget: AttackBudget
  readonly #target: 'worst' | number

  /** @throws MillraceError INVALID_CONFIG */
  constructor(options: TargetedOptions) {
    this.budget = budgetOf(options)
    this.#target = requireTarget(options.target)
  }

  vector(means: Float64Array, arm: number, vector: Float64Array): boolean {
    const target = targetOf(means, this.#target)
    const wanted = means[target]!
    const factor = (2 * means[arm]!) / wanted
    if (arm === target || !(wanted > 0 && factor > 1 && Number.isFinite(factor))) return false
    if (!this.budget.allows(means, arm)) return false
    let squares = 0
    for (let i = 0; i < vector.length; i++) {
      squares += vector[i]! ** 2
      vector[i] = factor * vector[i]!
    }
    this.budget.spend((factor - 1) * Math.sqrt(squares))
    return true
  }
}

/** See the head of this file. @throws MillraceError INVALID_CONFIG */
export const targetedReward = (options: TargetedRewardOptions): TargetedRewardAttack =>
  new TargetedRewardAttack(options)

/** See the head of this file. @throws MillraceError INVALID_CONFIG */
export const targetedContext = (options: TargetedOptions): TargetedContextAttack =>
  new TargetedContextAttack(options)

/** Any arm may be attacked: which ones are, the target says. */
const budgetOf = ({ budget }: TargetedOptions): AttackBudget =>
  new AttackBudget({ budget, arms: Number.MAX_SAFE_INTEGER })

const requireTarget = (target: 'worst' | number = 'worst'): 'worst' | number => {
  if (target === 'worst' || (Number.isSafeInteger(target) && target >= 0)) return target
  throw new MillraceError('INVALID_CONFIG', `target: ${String(target)} is not 'worst' or the index of an arm`)
}

/** @throws MillraceError UNKNOWN_ARM where there is no such arm in this round */
const targetOf = (means: Float64Array, target: 'worst' | number): number => {
  if (target !== 'worst') {
    if (target < means.length) return target
    throw new MillraceError('UNKNOWN_ARM', `target: ${target}, and the round has ${means.length} arms`)
  }
  let worst = 0
  for (let a = 1; a < means.length; a++) if (means[a]! < means[worst]!) worst = a
  return worst
}

const clip = (mean: number): number => Math.min(Math.max(mean, 0), 1)
