/**
 * What policies over one linear model (models/linear-model.ts) have in common: they learn by it, their state is its state, and they decide at their own
 * exploration, mixed with the uniform floor. They differ in what they make of its predictions.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { TunedDecision } from '../decision-output.ts'
import { LinearModel } from '../models/linear-model.ts'
import type { LinearOptions } from '../models/linear-options.ts'
import type {
  ArmEstimates,
  DecisionInput,
  DecisionOutput,
  LearningInput,
  MergeablePolicy,
  TunablePolicy,
} from '../policy.ts'

export abstract class LinearPolicy implements MergeablePolicy, TunablePolicy {
  readonly kind: string
  readonly dimension: number
  abstract readonly propensityKind: 'exact' | 'estimated'
  abstract readonly explorationName: string
  protected readonly model: LinearModel
  readonly #tuned: TunedDecision

  /**
   * @param algorithm its kind is `<algorithm>-<variant>`, and what the model adds to it
   * @param options checked by `requireLinearOptions`
   */
  constructor(algorithm: string, options: Required<LinearOptions>) {
    this.dimension = options.dimension
    this.model = new LinearModel({ ...options, kind: `${algorithm}-${options.variant}` })
    this.kind = this.model.kind
    this.#tuned = new TunedDecision(this, options.explorationFloor)
  }

  abstract get exploration(): number

  get learned(): number {
    return this.model.learned
  }

  get evicted(): number {
    return this.model.evicted
  }

  /** Whether the state is a sum, so that `merge` can add another part's. */
  get mergeable(): boolean {
    return this.model.mergeable
  }

  /** θ of an arm, a copy; zeros, or the prior, for an arm never learned. The shared variant has one θ for all. */
  theta(arm = ''): Float64Array {
    return this.model.theta(arm)
  }

  decide(input: DecisionInput, uniform: () => number, output: DecisionOutput): void {
    this.#tuned.decide(input, uniform, output)
  }

  abstract look(input: DecisionInput, uniform: () => number): void
  abstract spread(exploration: number, weight: number, probabilities: Float64Array): void
  abstract rank(exploration: number, ranking: Int32Array): void

  /** See Policy. */
  explain(input: DecisionInput): ArmEstimates {
    const estimates = new Float64Array(input.arms.length)
    const widths = new Float64Array(input.arms.length)
    this.model.predict(input, estimates, widths)
    return { estimates, widths: widths.map(Math.sqrt) }
  }

  /** Every arm's estimated reward, a copy. @throws MillraceError EMPTY_ARMS, WRONG_DIMENSION, NON_FINITE_NUMBER */
  scores(input: DecisionInput): Float64Array {
    const estimates = new Float64Array(input.arms.length)
    this.model.predict(input, estimates, new Float64Array(input.arms.length))
    return estimates
  }

  /** Folds one outcome into the state; see Policy and LinearModel.learn. @throws MillraceError as there */
  learn(outcome: LearningInput): void {
    this.model.learn(outcome)
  }

  snapshot(): Uint8Array {
    return this.model.snapshot()
  }

  restore(bytes: Uint8Array): void {
    this.model.restore(bytes)
  }

  /** Adds another part's sums; see LinearModel.merge. @throws MillraceError as there */
  merge(other: MergeablePolicy): void {
    if (!(other instanceof LinearPolicy)) {
      throw new MillraceError(
        'SNAPSHOT_MISMATCH',
        `merge: ${other.kind} is not the same policy as ${this.kind}`,
      )
    }
    this.model.merge(other.model)
  }
}
