/**
 * What an event must hold beyond its schema before anything is learned from it. Avro carries NaN, and a probability of 0 or of 2, without
 * complaint; a policy or an estimate would be spoilt for good. Cost: one pass over the numbers, nothing allocated.
 */
import type { ErrorCode } from '../../schemas/errors.ts'
import type { Decision, Reward } from '../../schemas/generated/events.ts'

export interface Fault {
  readonly code: ErrorCode
  readonly message: string
}

/** How far the sum of logged probabilities may lie from 1: rounding, not error. */
const SUM_TOLERANCE = 1e-6

/** Null where the reward is fit to be joined. */
export const checkReward = (reward: Reward): Fault | null =>
  Number.isFinite(reward.value) ? null : { code: 'NON_FINITE_NUMBER', message: `value is ${reward.value}` }

/** Null where the decision is fit to be joined and learned from. */
export const checkDecision = (
  decision: Pick<Decision, 'arms' | 'arm' | 'probabilities' | 'propensity' | 'vector'>,
): Fault | null => {
  const { arms, arm, probabilities, propensity, vector } = decision
  if (probabilities.length !== arms.length) {
    return {
      code: 'INVALID_PROPENSITY',
      message: `${probabilities.length} probabilities for ${arms.length} arms`,
    }
  }
  const taken = arms.indexOf(arm)
  if (taken < 0) return { code: 'UNKNOWN_ARM', message: `arm "${arm}" is not among the arms` }
  let sum = 0
  for (let i = 0; i < probabilities.length; i++) {
    const p = probabilities[i]!
    // Written so that NaN fails too.
    if (!(p >= 0 && p <= 1)) return { code: 'INVALID_PROPENSITY', message: `probabilities[${i}] is ${p}` }
    sum += p
  }
  if (!(Math.abs(sum - 1) <= SUM_TOLERANCE))
    return { code: 'INVALID_PROPENSITY', message: `probabilities sum to ${sum}` }
  if (!(propensity > 0) || Math.abs(propensity - probabilities[taken]!) > SUM_TOLERANCE) {
    return {
      code: 'INVALID_PROPENSITY',
      message: `propensity is ${propensity}, that of arm "${arm}" ${probabilities[taken]}`,
    }
  }
  for (let i = 0; i < vector.length; i++) {
    if (!Number.isFinite(vector[i]))
      return { code: 'NON_FINITE_NUMBER', message: `vector[${i}] is ${vector[i]}` }
  }
  return null
}
