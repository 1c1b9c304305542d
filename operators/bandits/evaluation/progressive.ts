/**
 * Progressive evaluation: what another policy would have earned on a log, learning as it goes. For each outcome with its request, first the other
 * policy's probabilities are taken at its state then, weighed against the logged propensity, and then it learns that outcome, so no outcome
 * is judged by a state that has seen it (Blum, Kalai and Langford 1999; Dudík et al. 2012).
 *
 * The other policy sees the request through its own features; it learns the logged arm's vector, the reward and the logged propensity, as an outcome of
 * somebody else's decision where that makes a difference to it (`observe`). Outcomes are learned as they come, also by a policy that would be split when
 * live. It only ever learns the arms that the log took, so a policy that would have gathered other outcomes had it been live is judged by what the
 * log taught it. Beside it a model of the reward learns the same outcomes, for DR.
 * Cost: a decision, a prediction, and an outcome learned twice, a step.
 */
import { type ErrorCode, MillraceError } from '../../../schemas/errors.ts'
import type { DecisionRequest, Outcome } from '../../../schemas/generated/events.ts'
import { type FeatureRequest, featureParts } from '../../streams/featurize.ts'
import { decisionOutput } from '../decision-output.ts'
import type { DecisionInput } from '../policy.ts'
import type { LivePolicy } from '../state/policy-table.ts'
import { type EvaluationOptions, type EvaluationReport, OffPolicyEvaluation } from './evaluation.ts'
import { RewardModel } from './reward-model.ts'
import type { LoggedStep } from './support.ts'

/** A logged step with the name of its request: an `Outcome` is one. */
export interface LoggedOutcome extends LoggedStep {
  readonly requestId: string
}

/** What was to be decided: a `DecisionRequest` is one. */
export interface LoggedRequest extends FeatureRequest {
  readonly requestId: string
}

export interface ProgressiveReport extends EvaluationReport {
  /** Outcomes evaluated that the other policy refused to learn (an overflow), by code. */
  readonly unlearned: ReadonlyMap<ErrorCode, number>
}

export class ProgressiveEvaluation {
  readonly #entry: LivePolicy
  readonly #evaluation: OffPolicyEvaluation
  readonly #model: RewardModel
  readonly #unlearned = new Map<ErrorCode, number>()
  #output = decisionOutput(16)

  /** @param entry the other policy, without experience; its state is changed, so it must be nobody else's */
  constructor(entry: LivePolicy, options: EvaluationOptions = {}) {
    this.#entry = entry
    this.#evaluation = new OffPolicyEvaluation(options)
    const shared = featureParts(entry.definition.features).arm !== undefined
    const { dimension } = entry.featurizer
    this.#model = new RewardModel({ variant: shared ? 'shared' : 'disjoint', dimension })
  }

  /**
   * Evaluates an outcome and learns it, or counts it under the code for which it cannot be taken.
   * @returns the weight of the logged arm, π(a|x)/p; null where it is refused
   */
  step(request: LoggedRequest | DecisionRequest, outcome: LoggedOutcome | Outcome): number | null {
    return this.#orRefuse(() => {
      requireSame(request, outcome)
      return this.#take(this.#entry.featurizer(request), outcome)
    })
  }

  /** As `step`, for arms whose vectors are known already. */
  stepFeaturized(input: DecisionInput, outcome: LoggedOutcome): number | null {
    return this.#orRefuse(() => this.#take(input, outcome))
  }

  /** Counts an outcome that did not get as far as `step` (its request is gone, its record cannot be read). */
  refuse(code: ErrorCode): void {
    this.#evaluation.refuse(code)
  }

  get report(): ProgressiveReport {
    return { ...this.#evaluation.report, unlearned: new Map(this.#unlearned) }
  }

  #orRefuse(take: () => number): number | null {
    try {
      return take()
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      this.refuse(error.code)
      return null
    }
  }

  /** @throws MillraceError for an outcome that cannot be evaluated: nothing has then changed */
  #take(input: DecisionInput, outcome: LoggedOutcome): number {
    const { policy, random } = this.#entry
    const { arms, vectors } = input
    if (this.#output.probabilities.length < arms.length) this.#output = decisionOutput(2 * arms.length)
    random.reseed(outcome.requestId)
    policy.decide(input, random.uniform, this.#output)
    const predictions = this.#model.predict(input)
    const target = { arms, probabilities: this.#output.probabilities }
    const taken = this.#evaluation.take(outcome, target, predictions)
    const { arm, reward, propensity } = outcome
    const weight = this.#output.probabilities[taken]! / propensity
    const vector = vectors.subarray(taken * policy.dimension, (taken + 1) * policy.dimension)
    this.#model.learn(arm, vector, reward)
    try {
      if (policy.observe === undefined) policy.learn({ arm, vector, reward, propensity })
      else policy.observe(input, { arm, vector, reward, propensity })
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      this.#unlearned.set(error.code, (this.#unlearned.get(error.code) ?? 0) + 1)
    }
    return weight
  }
}

/** @throws MillraceError INVALID_EVENT */
const requireSame = (request: LoggedRequest, outcome: LoggedOutcome): void => {
  if (request.requestId === outcome.requestId) return
  throw new MillraceError(
    'INVALID_EVENT',
    `the outcome of "${outcome.requestId}" points at the request "${request.requestId}"`,
  )
}
