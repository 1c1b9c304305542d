/**
 * UCB-GLM: the mean reward is a known function of xᵀθ, and optimism is about xᵀθ (Li, Lu and Zhou 2017). An arm's score is xᵀθ + α·width; as the mean
 * grows with xᵀθ, the best score is the best optimistic reward too. Clicks by the logistic link, counts by Poisson's.
 *
 *   fit exact      θ = argmin Σ loss + ridge/2·|θ|² over the outcomes kept, width √(xᵀV⁻¹x) with V = λI + Σxxᵀ, as in the paper
 *   fit streaming  one step of Laplace's approximation an outcome, width √(xᵀH⁻¹x) of that posterior; memory bounded
 *
 * The paper pulls arms at random until V is well conditioned; λ and the ridge take the place of that here.
 * The best score (ties: lowest index) gets all probability but the uniform floor; the arm is drawn from that distribution.
 * Cost: that of its model (models/generalized-linear-{exact,streaming}.ts).
 * Promises: the law battery in test/operators/bandits/laws.ts; scores and probabilities of an arm do not depend on its place among the arms.
 */
import { TunedDecision } from '../decision-output.ts'
import { IndexChoice } from '../exploration/index-choice.ts'
import { theoreticalAlpha } from '../exploration/theoretical-alpha.ts'
import { ExactGeneralizedLinear } from '../models/generalized-linear-exact.ts'
import { LINKS } from '../models/generalized-linear-link.ts'
import type { GeneralizedLinearModel } from '../models/generalized-linear-model.ts'
import { StreamingGeneralizedLinear } from '../models/generalized-linear-streaming.ts'
import type { ArmEstimates, DecisionInput, DecisionOutput, LearningInput, TunablePolicy } from '../policy.ts'
import { requireOptions, type UcbGlmOptions } from './ucb-glm-options.ts'

export type { UcbGlmOptions } from './ucb-glm-options.ts'

export class UcbGlm implements TunablePolicy {
  /** `ucb-glm-logistic-streaming-disjoint`, … */
  readonly kind: string
  readonly dimension: number
  readonly propensityKind = 'exact'
  readonly explorationName = 'alpha'
  readonly #options: Required<UcbGlmOptions>
  readonly #model: GeneralizedLinearModel
  readonly #choice = new IndexChoice()
  readonly #tuned: TunedDecision

  /** @throws MillraceError INVALID_CONFIG */
  constructor(options: UcbGlmOptions) {
    const full = requireOptions(options)
    const { link, fit, variant } = full
    this.#options = full
    this.dimension = full.dimension
    const Model = fit === 'exact' ? ExactGeneralizedLinear : StreamingGeneralizedLinear
    this.#model = new Model({ ...full, link: LINKS[link], kind: `ucb-glm-${link}-${fit}-${variant}` })
    this.kind = this.#model.kind
    this.#tuned = new TunedDecision(this, full.explorationFloor)
  }

  get learned(): number {
    return this.#model.learned
  }

  get evicted(): number {
    return this.#model.evicted
  }

  /** Outcomes that θ rests on: of `exact` those kept. */
  get rows(): number {
    return this.#model.rows
  }

  /** α in force: as given, or the theoretical one after `learned` outcomes. */
  get exploration(): number {
    const { alpha, fit, lambda, ridge, theory } = this.#options
    if (alpha !== 'theory') return alpha
    return theoreticalAlpha(this.learned, this.dimension, fit === 'exact' ? lambda : ridge, theory)
  }

  /** θ of an arm, a copy; zeros for an arm never learned. The shared variant has one θ for all. */
  theta(arm?: string): Float64Array {
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

  /** Every arm's upper confidence bound on xᵀθ, a copy: what the choice rests on. @throws as `decide` */
  scores(input: DecisionInput): Float64Array {
    this.look(input)
    return this.#choice.scores(this.exploration).slice(0, input.arms.length)
  }

  /** See Policy. Mean rewards μ(xᵀθ), and what the width of xᵀθ is in rewards there: μ'(xᵀθ) times it. */
  explain(input: DecisionInput): ArmEstimates {
    const link = LINKS[this.#options.link]
    const estimates = new Float64Array(input.arms.length)
    const widths = new Float64Array(input.arms.length)
    this.#model.predict(input, estimates, widths)
    return {
      estimates: estimates.map(link.mean),
      widths: widths.map((variance, a) => link.slope(estimates[a]!) * Math.sqrt(variance)),
    }
  }

  /**
   * Folds one outcome into the state; see Policy.
   * @throws MillraceError WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_PROPENSITY; INVALID_EVENT where the link has no such reward.
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
}

/** A UCB-GLM policy without experience. @throws MillraceError INVALID_CONFIG */
export const ucbGlm = (options: UcbGlmOptions): UcbGlm => new UcbGlm(options)
