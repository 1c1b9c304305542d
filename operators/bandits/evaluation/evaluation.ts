/**
 * Off-policy evaluation step by step: each logged step is checked, weighed against another policy's probabilities and counted, or refused under a code.
 * A step with invalid probabilities is never used. At the end there are all estimates, what the log supports, and a verdict or why there is none.
 * Cost: the number of arms, a step.
 */
import { type ErrorCode, MillraceError } from '../../../schemas/errors.ts'
import { OffPolicyEstimator, type OffPolicyOptions, type OffPolicyReport } from './off-policy.ts'
import {
  type LoggedStep,
  requireSound,
  requireTarget,
  Support,
  type SupportReport,
  type TargetStep,
} from './support.ts'

export interface EvaluationOptions extends OffPolicyOptions {
  /** Mean mass of the target without support that a verdict tolerates (default SUPPORT_TOLERANCE). */
  readonly supportTolerance?: number
}

export interface EvaluationReport extends OffPolicyReport {
  readonly support: SupportReport
  /** Steps not evaluated, by code. */
  readonly refused: ReadonlyMap<ErrorCode, number>
}

export class OffPolicyEvaluation {
  readonly #estimator: OffPolicyEstimator
  readonly #support: Support
  readonly #refused = new Map<ErrorCode, number>()

  constructor(options: EvaluationOptions = {}) {
    this.#estimator = new OffPolicyEstimator(options)
    this.#support = new Support(options.supportTolerance)
  }

  /**
   * Weighs a step.
   * @param predictions q(x,a) of every arm of the target, by a model that has not seen this step
   * @returns the index of the arm taken, among the target's
   * @throws MillraceError INVALID_PROPENSITY, UNKNOWN_ARM, NON_FINITE_NUMBER: nothing has then changed
   */
  take(logged: LoggedStep, target: TargetStep, predictions?: ArrayLike<number>): number {
    requireSound(logged)
    const taken = requireTarget(logged, target)
    const { arms, probabilities } = target
    let expected = Number.NaN
    if (predictions !== undefined) {
      expected = 0
      for (let a = 0; a < arms.length; a++) expected += probabilities[a]! * predictions[a]!
      if (!Number.isFinite(expected + predictions[taken]!))
        throw new MillraceError('NON_FINITE_NUMBER', 'a predicted reward is not finite')
    }
    const weight = probabilities[taken]! / logged.propensity
    this.#support.add(logged, target)
    this.#estimator.add(weight, logged.reward, predictions?.[taken], expected)
    return taken
  }

  /** Counts a step that cannot be used. */
  refuse(code: ErrorCode): void {
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1)
  }

  get report(): EvaluationReport {
    return { ...this.#estimator.report, support: this.#support.report, refused: new Map(this.#refused) }
  }
}
