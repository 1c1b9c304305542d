/**
 * LinUCB: linear rewards, optimism in the face of uncertainty (Li, Chu, Langford and Schapire 2010; Abbasi-Yadkori, Pál and
 * Szepesvári 2011). An arm's score is xᵀθ + α√(xᵀV⁻¹x): its estimated reward and the width of its confidence.
 *
 * The best score (ties: lowest index) gets all probability but the uniform floor; the arm is drawn from that distribution.
 * Cost: that of its linear model (models/linear-model.ts). Nothing is allocated an event.
 * Promises: the law battery in test/operators/bandits/laws.ts; scores and probabilities of an arm do not depend on its place among the arms.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { TunedDecision } from '../decision-output.ts'
import { IndexChoice } from '../exploration/index-choice.ts'
import { theoreticalAlpha } from '../exploration/theoretical-alpha.ts'
import { LinearModel } from '../models/linear-model.ts'
import type {
  DecisionInput,
  DecisionOutput,
  LearningInput,
  MergeablePolicy,
  TunablePolicy,
} from '../policy.ts'
import type { LinUcbOptions } from './lin-ucb-options.ts'
import { requireOptions } from './lin-ucb-options.ts'

export type { LinUcbOptions } from './lin-ucb-options.ts'

export class LinUcb implements MergeablePolicy, TunablePolicy {
  readonly kind: 'lin-ucb-disjoint' | 'lin-ucb-shared'
  readonly dimension: number
  readonly propensityKind = 'exact'
  readonly explorationName = 'alpha'
  readonly #options: Required<LinUcbOptions>
  readonly #model: LinearModel
  readonly #choice = new IndexChoice()
  readonly #tuned: TunedDecision

  /** @throws MillraceError INVALID_CONFIG */
  constructor(options: LinUcbOptions) {
    this.#options = requireOptions(options)
    this.kind = options.variant === 'shared' ? 'lin-ucb-shared' : 'lin-ucb-disjoint'
    this.dimension = options.dimension
    this.#model = new LinearModel({ ...this.#options, kind: this.kind })
    this.#tuned = new TunedDecision(this, this.#options.explorationFloor)
  }

  get learned(): number {
    return this.#model.learned
  }

  get evicted(): number {
    return this.#model.evicted
  }

  /** α in force: as given, or the theoretical one after `learned` outcomes (for disjoint arms an upper bound, each having learned at most so many). */
  get exploration(): number {
    const { alpha, lambda, theory } = this.#options
    return alpha === 'theory' ? theoreticalAlpha(this.learned, this.dimension, lambda, theory) : alpha
  }

  /** θ of an arm, a copy; zeros for an arm never learned. The shared variant has one θ for all. */
  theta(arm = ''): Float64Array {
    return this.#model.theta(arm)
  }

  decide(input: DecisionInput, uniform: () => number, output: DecisionOutput): void {
    this.#tuned.decide(input, uniform, output)
  }

  look(input: DecisionInput): void {
    const choice = this.#choice
    choice.reserve(input.arms.length)
    const { estimates, widths, count } = choice
    this.#model.predict(input, estimates, widths)
    for (let a = 0; a < count; a++) widths[a] = Math.sqrt(widths[a]!)
  }

  spread(exploration: number, weight: number, probabilities: Float64Array): void {
    this.#choice.spread(exploration, weight, probabilities)
  }

  rank(exploration: number, ranking: Int32Array): void {
    this.#choice.rank(exploration, ranking)
  }

  /** Every arm's upper confidence bound, a copy: what the choice rests on. @throws as `decide` */
  scores(input: DecisionInput): Float64Array {
    this.look(input)
    return this.#choice.scores(this.exploration).slice(0, input.arms.length)
  }

  /**
   * Folds one outcome into the state; see Policy.
   * @throws MillraceError WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_PROPENSITY; UNKNOWN_ARM for a new arm beyond `maxArms`.
   */
  learn(outcome: LearningInput): void {
    this.#model.learn(outcome)
  }

  snapshot(): Uint8Array {
    return this.#model.snapshot()
  }

  restore(bytes: Uint8Array): void {
    this.#model.restore(bytes)
  }

  /** Adds another part's sums; see LinearModel.merge. @throws MillraceError SNAPSHOT_MISMATCH, NON_FINITE_NUMBER, UNKNOWN_ARM */
  merge(other: MergeablePolicy): void {
    if (!(other instanceof LinUcb)) {
      throw new MillraceError(
        'SNAPSHOT_MISMATCH',
        `merge: ${other.kind} is not the same policy as ${this.kind}`,
      )
    }
    this.#model.merge(other.#model)
  }
}

/** A LinUCB policy without experience. @throws MillraceError INVALID_CONFIG */
export const linUcb = (options: LinUcbOptions): LinUcb => new LinUcb(options)
