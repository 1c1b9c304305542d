/**
 * One challenger: a copy of its policy that sees every outcome with its request, is judged by it and then learns it, and the test against the champion.
 * The copy's state is not the one that deciders hold: it learns with the whole request, through its own features, and begins without experience.
 */
import { anytimeInterval, type Estimate } from '../../operators/bandits/evaluation/interval.ts'
import { ProgressiveEvaluation } from '../../operators/bandits/evaluation/progressive.ts'
import { type SequentialReport, SequentialTest } from '../../operators/bandits/evaluation/sequential-test.ts'
import { PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import type { ErrorCode } from '../../schemas/errors.ts'
import type { DecisionRequest, Metric, Outcome, PolicyDefinition } from '../../schemas/generated/events.ts'

/** A number that is to be written down. */
export type Figure = Pick<Metric, 'name' | 'value' | 'labels'>

export interface ChallengerOptions {
  /** The version that decides. */
  readonly champion: PolicyDefinition
  /** What every reward lies in. */
  readonly rewards: readonly [low: number, high: number]
  /** Of the test, and of its bounds. */
  readonly alpha: number
}

export class Challenger {
  readonly definition: PolicyDefinition
  readonly #champion: PolicyDefinition
  readonly #evaluation: ProgressiveEvaluation
  readonly #test: SequentialTest
  readonly #alpha: number

  /** @throws MillraceError INVALID_CONFIG for a definition that this build does not know */
  constructor(definition: PolicyDefinition, { champion, rewards, alpha }: ChallengerOptions) {
    this.definition = definition
    this.#champion = champion
    const table = new PolicyTable([{ ...definition, mode: 'live', effectiveFrom: 0 }])
    this.#evaluation = new ProgressiveEvaluation(table.get(definition.policy)!)
    this.#test = new SequentialTest(rewards)
    this.#alpha = alpha
  }

  /** Judges and learns an outcome; the test takes the champion's own decisions since the challenger's record was written. */
  step(request: DecisionRequest, outcome: Outcome): void {
    const weight = this.#evaluation.step(request, outcome)
    const { policyVersion, occurredAt, reward } = outcome
    const counts = policyVersion === this.#champion.version && occurredAt >= this.definition.appliedAt
    if (weight !== null && counts) this.#test.add(weight, reward)
  }

  /** Counts an outcome that cannot be judged. */
  refuse(code: ErrorCode): void {
    this.#evaluation.refuse(code)
  }

  get verdict(): SequentialReport {
    return this.#test.report(this.#alpha)
  }

  /** Whether the test says that it earns more than the champion. */
  get isBetter(): boolean {
    return this.#test.logBetter >= -Math.log(this.#alpha)
  }

  /** What there is to say now; numbers that are not known yet are left out. */
  get figures(): Figure[] {
    const { policy, version } = this.definition
    const own = { policy, version: String(version), champion: String(this.#champion.version) }
    const { steps, refused, effectiveSampleSize, maxWeight, logged, ips, snips, dr } = this.#evaluation.report
    const { steps: tested, outside, difference, lower, upper, logBetter, logWorse } = this.verdict
    const figures: Figure[] = []
    const tell = (name: string, value: number, labels: Figure['labels'] = {}): void => {
      if (Number.isFinite(value))
        figures.push({ name: `challenge_${name}`, value, labels: { ...own, ...labels } })
    }
    tell('steps', steps)
    for (const [code, count] of refused) tell('refused', count, { code })
    tell('effective_sample_size', effectiveSampleSize)
    tell('largest_weight', maxWeight)
    const estimates: Readonly<Record<string, Estimate>> = { logged, ips, snips, dr }
    for (const [estimator, estimate] of Object.entries(estimates)) {
      const [low, high] = anytimeInterval(estimate, steps)
      tell('estimate', estimate.value, { estimator })
      tell('low', low, { estimator })
      tell('high', high, { estimator })
    }
    const estimator = 'difference'
    tell('estimate', difference, { estimator })
    tell('low', lower, { estimator })
    tell('high', upper, { estimator })
    tell('tested', tested)
    tell('outside', outside)
    tell('log_e', logBetter, { side: 'better' })
    tell('log_e', logWorse, { side: 'worse' })
    return figures
  }
}
