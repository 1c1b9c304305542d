/**
 * LinTS: Thompson sampling with linear rewards (Agrawal and Goyal 2013). Weights are drawn from their posterior, θ̃ ~ N(θ, α²V⁻¹), and the best arm under
 * them wins the draw.
 *
 *   disjoint  posteriors are independent, so that an arm's drawn score is N(xᵀθ, α²xᵀV⁻¹x) by itself: one normal an arm
 *   shared    one θ̃ = θ + α·L·z for all arms, L·Lᵀ = V⁻¹ (models/linear-posterior.ts): d normals
 *
 * The probability that an arm is the best has no closed form. It is estimated by `draws` posterior draws: an arm's share of them, mixed with the uniform
 * floor, and the arm is drawn from that distribution: the number logged is the number used. Over the draws an arm is taken exactly as often as
 * by a single draw, whatever `draws` is; more of them only make the log better evidence for other policies (docs/operators/lin-ts.md).
 *
 * The ranking is by mean score. Cost: that of its linear model, and per draw K normals (disjoint), or d normals and (d/2 + K)·d multiplications (shared).
 */
import { fillNormals } from '../../numerics/normal.ts'
import { SampledChoice } from '../exploration/sampled-choice.ts'
import { theoreticalAlpha } from '../exploration/theoretical-alpha.ts'
import { LinearPosterior } from '../models/linear-posterior.ts'
import type { DecisionInput, LearningInput, MergeablePolicy } from '../policy.ts'
import { type LinTsOptions, requireOptions } from './lin-ts-options.ts'
import { LinearPolicy } from './linear-policy.ts'

export type { LinTsOptions } from './lin-ts-options.ts'

export class LinTs extends LinearPolicy {
  readonly propensityKind = 'estimated'
  readonly explorationName = 'alpha'
  readonly #options: Required<LinTsOptions>
  readonly #choice: SampledChoice
  /** Where arms share their weights. */
  readonly #posterior: LinearPosterior | undefined
  readonly #normal: ((u: number) => number) | undefined
  #normals = new Float64Array(0)

  /**
   * @param normal what makes a standard normal of a uniform number, if not `standardNormal`; `(z) => z` takes recorded normals from `uniform` itself
   * @throws MillraceError INVALID_CONFIG
   */
  constructor(options: LinTsOptions, normal?: (u: number) => number) {
    const full = requireOptions(options)
    super('lin-ts', full)
    this.#options = full
    this.#choice = new SampledChoice(full.draws)
    this.#posterior = full.variant === 'shared' ? new LinearPosterior(this.model) : undefined
    this.#normal = normal
  }

  /** α in force: as given, or the theoretical one after `learned` outcomes. */
  get exploration(): number {
    const { alpha, lambda, theory } = this.#options
    return alpha === 'theory' ? theoreticalAlpha(this.learned, this.dimension, lambda, theory) : alpha
  }

  look(input: DecisionInput, uniform: () => number): void {
    const choice = this.#choice
    const posterior = this.#posterior
    const { draws } = choice
    const count = input.arms.length
    choice.reserve(count)
    const { estimates, widths } = choice
    if (posterior === undefined) this.model.predict(input, estimates, widths)
    else posterior.estimate(input, estimates)
    const each = posterior === undefined ? count : this.dimension
    const normals = this.#draw(draws * each, uniform)
    if (posterior !== undefined) {
      for (let s = 0; s < draws; s++) posterior.deviate(input, normals, s * each, widths, s * count)
      return
    }
    for (let a = 0; a < count; a++) {
      const width = Math.sqrt(widths[a]!)
      for (let k = a; k < draws * count; k += count) widths[k] = width * normals[k]!
    }
  }

  /** So many standard normals; overwritten by the next call. */
  #draw(count: number, uniform: () => number): Float64Array {
    if (count > this.#normals.length) this.#normals = new Float64Array(2 * count)
    fillNormals(this.#normals, count, uniform, this.#normal)
    return this.#normals
  }

  spread(exploration: number, weight: number, probabilities: Float64Array): void {
    this.#choice.spread(exploration, weight, probabilities)
  }

  rank(_: number, ranking: Int32Array): void {
    this.#choice.rank(ranking)
  }

  override learn(outcome: LearningInput): void {
    super.learn(outcome)
    this.#posterior?.forget()
  }

  override restore(bytes: Uint8Array): void {
    super.restore(bytes)
    this.#posterior?.forget()
  }

  override merge(other: MergeablePolicy): void {
    super.merge(other)
    this.#posterior?.forget()
  }
}

/** A LinTS policy without experience. @throws MillraceError INVALID_CONFIG */
export const linTs = (options: LinTsOptions): LinTs => new LinTs(options)
