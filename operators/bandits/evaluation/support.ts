/**
 * What a log says of one step, and whether it can say anything of another policy. An arm that the logging policy never takes (its logged probability is 0, or it
 * is not among the logged arms) tells nothing, however long the log: probability that the other policy puts there is mass without support, and no weighting
 * mends it. The share of that mass is what an estimate may be wrong by, as a share of the rewards' range.
 *
 * The logged probabilities also say what weights are to be expected: E[w²|x] = Σ_a π(a)²/p(a). Where two policies seldom differ, and then by much, all weights seen
 * may be 1 and a heavy one yet to come; the weights seen know nothing of it, their expectation does.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { checkDecision } from '../../streams/validation.ts'

/** A logged step: an `Outcome` is one. */
export interface LoggedStep {
  readonly arms: readonly string[]
  /** The arm that was taken. */
  readonly arm: string
  /** Probability with which it was taken. */
  readonly propensity: number
  /** Probability of every arm, in the order of `arms`; null where the log does not hold them. */
  readonly probabilities: readonly number[] | null
  readonly reward: number
}

/** Probabilities of another policy over the arms of a step; the array may be longer than `arms`. */
export interface TargetStep {
  readonly arms: readonly string[]
  readonly probabilities: ArrayLike<number>
}

export interface SupportReport {
  /** Mean share of the other policy's mass on arms that the log never takes, over the steps whose probabilities are known; 0 where none is. */
  readonly missing: number
  /** Steps where that share is above STEP_TOLERANCE. */
  readonly steps: number
  /** The largest share of one step. */
  readonly largest: number
  /** Mean of E[w²|x] over the steps whose probabilities are known, by the arms that have support; NaN where none is. */
  readonly expectedSquare: number
  /** Steps of which the log holds no probabilities but that of the arm taken: nothing is known of their support. */
  readonly unknown: number
  /** Whether `missing` is at most what is tolerated. */
  readonly supported: boolean
}

/** Mass without support that a step may have: rounding. */
export const STEP_TOLERANCE = 1e-9

/** Mean mass without support below which a verdict is not refused. */
export const SUPPORT_TOLERANCE = 1e-6

/** How far probabilities may be from summing to 1. */
const SUM_TOLERANCE = 1e-6

export class Support {
  readonly #tolerance: number
  #known = 0
  #unknown = 0
  #steps = 0
  #sum = 0
  #largest = 0
  #squares = 0

  constructor(tolerance = SUPPORT_TOLERANCE) {
    this.#tolerance = tolerance
  }

  add(logged: LoggedStep, target: TargetStep): void {
    if (logged.probabilities === null) {
      this.#unknown++
      return
    }
    const { arms, probabilities } = logged
    let [mass, squares] = [0, 0]
    for (let a = 0; a < target.arms.length; a++) {
      const share = target.probabilities[a]!
      if (share === 0) continue
      const id = target.arms[a]!
      // Nearly always in the same order.
      const at = arms[a] === id ? a : arms.indexOf(id)
      const propensity = at < 0 ? 0 : probabilities[at]!
      if (propensity > 0) squares += (share * share) / propensity
      else mass += share
    }
    this.#known++
    this.#sum += mass
    this.#squares += squares
    if (mass > STEP_TOLERANCE) this.#steps++
    if (mass > this.#largest) this.#largest = mass
  }

  get report(): SupportReport {
    const missing = this.#known === 0 ? 0 : this.#sum / this.#known
    return {
      missing,
      steps: this.#steps,
      largest: this.#largest,
      expectedSquare: this.#known === 0 ? Number.NaN : this.#squares / this.#known,
      unknown: this.#unknown,
      supported: missing <= this.#tolerance,
    }
  }
}

/** @throws MillraceError INVALID_PROPENSITY, UNKNOWN_ARM, NON_FINITE_NUMBER where a step must not be used */
export const requireSound = (step: LoggedStep): void => {
  const { arms, arm, propensity, probabilities, reward } = step
  const refuse = (code: 'INVALID_PROPENSITY' | 'UNKNOWN_ARM' | 'NON_FINITE_NUMBER', why: string): never => {
    throw new MillraceError(code, why)
  }
  // Written so that NaN fails too.
  if (!(propensity > 0 && propensity <= 1))
    refuse('INVALID_PROPENSITY', `propensity: ${propensity} is not in (0, 1]`)
  if (probabilities === null) {
    if (!arms.includes(arm)) refuse('UNKNOWN_ARM', `arm "${arm}" is not among the arms`)
  } else {
    const fault = checkDecision({ arms, arm, propensity, probabilities, vector: [] })
    if (fault !== null) throw new MillraceError(fault.code, fault.message)
  }
  if (!Number.isFinite(reward)) refuse('NON_FINITE_NUMBER', `reward: ${reward}`)
}

/** The index of the arm that was taken. @throws MillraceError INVALID_PROPENSITY where the target's are no probabilities; UNKNOWN_ARM */
export const requireTarget = ({ arm }: LoggedStep, { arms, probabilities }: TargetStep): number => {
  const taken = arms.indexOf(arm)
  if (taken < 0) throw new MillraceError('UNKNOWN_ARM', `the request has no arm '${arm}'`)
  let sum = 0
  for (let a = 0; a < arms.length; a++) {
    const share = probabilities[a]
    if (share === undefined || !(share >= 0 && share <= 1))
      throw new MillraceError('INVALID_PROPENSITY', `target: the probability of '${arms[a]}' is ${share}`)
    sum += share
  }
  if (!(Math.abs(sum - 1) <= SUM_TOLERANCE))
    throw new MillraceError('INVALID_PROPENSITY', `target: its probabilities sum to ${sum}`)
  return taken
}
