/**
 * Progressive evaluation: what another policy would have earned on a log, learning as it goes. For each outcome with its request, first the other
 * policy's probability of the logged arm is taken at its state then, weighed against the logged propensity, and then it learns that outcome, so no outcome
 * is judged by a state that has seen it (Blum, Kalai and Langford 1999; Dudík et al. 2012).
 *
 * The other policy sees the request through its own features; it learns the logged arm's vector, the reward and the logged propensity. Outcomes are
 * learned as they come, also by a policy that would be split when live. It only ever learns the arms that the log took, so a policy that would have
 * gathered other outcomes had it been live is judged by what the log taught it.
 * Cost: a decision and an outcome a step.
 */
import { type ErrorCode, MillraceError } from '../../../schemas/errors.ts'
import type { DecisionRequest, Outcome } from '../../../schemas/generated/events.ts'
import { decisionOutput } from '../decision-output.ts'
import type { LivePolicy } from '../state/policy-table.ts'
import { OffPolicyEstimator, type OffPolicyReport } from './off-policy.ts'

export interface ProgressiveReport extends OffPolicyReport {
  /** Outcomes neither evaluated nor learned, by code. */
  readonly refused: ReadonlyMap<ErrorCode, number>
  /** Outcomes evaluated that the other policy refused to learn (a new arm beyond `maxArms`, an overflow), by code. */
  readonly unlearned: ReadonlyMap<ErrorCode, number>
}

/** How far the logged probabilities may be from summing to 1. */
const SUM_TOLERANCE = 1e-6

export class ProgressiveEvaluation {
  readonly #entry: LivePolicy
  readonly #estimator = new OffPolicyEstimator()
  readonly #refused = new Map<ErrorCode, number>()
  readonly #unlearned = new Map<ErrorCode, number>()
  #output = decisionOutput(16)

  /** @param entry the other policy, without experience; its state is changed, so it must be nobody else's */
  constructor(entry: LivePolicy) {
    this.#entry = entry
  }

  /** Evaluates an outcome and learns it, or counts it under the code for which it cannot be taken. */
  step(request: DecisionRequest, outcome: Outcome): void {
    try {
      this.#take(request, outcome)
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      this.refuse(error.code)
    }
  }

  /** Counts an outcome that did not get as far as `step` (its request is gone, its record cannot be read). */
  refuse(code: ErrorCode): void {
    count(this.#refused, code)
  }

  get report(): ProgressiveReport {
    return { ...this.#estimator.report, refused: new Map(this.#refused), unlearned: new Map(this.#unlearned) }
  }

  /** @throws MillraceError for an outcome that cannot be evaluated: nothing has then changed */
  #take(request: DecisionRequest, outcome: Outcome): void {
    const { policy, featurizer, random } = this.#entry
    requireSound(request, outcome)
    const input = featurizer(request)
    const { arms, vectors } = input
    const taken = arms.indexOf(outcome.arm)
    if (taken < 0) throw new MillraceError('UNKNOWN_ARM', `the request has no arm '${outcome.arm}'`)
    if (this.#output.probabilities.length < arms.length) {
      this.#output = decisionOutput(2 * arms.length)
    }
    random.reseed(request.requestId)
    policy.decide(input, random.uniform, this.#output)
    const { reward, propensity } = outcome
    this.#estimator.add(this.#output.probabilities[taken]! / propensity, reward)
    const vector = vectors.subarray(taken * policy.dimension, (taken + 1) * policy.dimension)
    try {
      policy.learn({ arm: outcome.arm, vector, reward, propensity })
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      count(this.#unlearned, error.code)
    }
  }
}

/** @throws MillraceError INVALID_EVENT, INVALID_PROPENSITY, NON_FINITE_NUMBER */
const requireSound = (request: DecisionRequest, outcome: Outcome): void => {
  const { requestId, propensity, probabilities, reward } = outcome
  if (request.requestId !== requestId) {
    throw new MillraceError(
      'INVALID_EVENT',
      `the outcome of "${requestId}" points at the request "${request.requestId}"`,
    )
  }
  if (!(propensity > 0 && propensity <= 1))
    throw new MillraceError('INVALID_PROPENSITY', `propensity: ${propensity} is not in (0, 1]`)
  let sum = 0
  for (const probability of probabilities) sum += probability
  if (!(Math.abs(sum - 1) <= SUM_TOLERANCE))
    throw new MillraceError('INVALID_PROPENSITY', `probabilities: they sum to ${sum}, not to 1`)
  if (!Number.isFinite(reward)) throw new MillraceError('NON_FINITE_NUMBER', `reward: ${reward}`)
}

const count = (counts: Map<ErrorCode, number>, code: ErrorCode): void => {
  counts.set(code, (counts.get(code) ?? 0) + 1)
}
