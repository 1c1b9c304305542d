/**
 * LinUCB: linear rewards, optimism in the face of uncertainty (Li, Chu, Langford and Schapire 2010; Abbasi-Yadkori, Pál and
 * Szepesvári 2011). An arm's score is xᵀθ + α√(xᵀV⁻¹x): its estimated reward and the width of its confidence.
 *
 * The best score (ties: lowest index) gets all probability but the uniform floor; the arm is drawn from that distribution.
 * Cost: that of its linear model (models/linear-model.ts). Nothing is allocated an event.
 * Promises: the law battery in test/operators/bandits/laws.ts; scores and probabilities of an arm do not depend on its place among the arms.
 */
import { IndexChoice } from '../exploration/index-choice.ts'
import { ScreenedChoice } from '../exploration/screened-choice.ts'
import { theoreticalAlpha } from '../exploration/theoretical-alpha.ts'
import type { DecisionInput } from '../policy.ts'
import type { LinUcbOptions } from './lin-ucb-options.ts'
import { requireOptions } from './lin-ucb-options.ts'
import { LinearPolicy } from './linear-policy.ts'

export type { LinUcbOptions } from './lin-ucb-options.ts'

export class LinUcb extends LinearPolicy {
  readonly propensityKind = 'exact'
  readonly explorationName = 'alpha'
  readonly #options: Required<LinUcbOptions>
  readonly #choice = new IndexChoice()
  /** Of the arms that were glanced at. */
  readonly #screened = new ScreenedChoice((places, count, widths) => {
    this.model.refine(places, count, widths)
    for (let n = 0; n < count; n++) widths[n] = Math.sqrt(widths[n]!)
  })
  #glanced = false

  /** @throws MillraceError INVALID_CONFIG */
  constructor(options: LinUcbOptions) {
    const full = requireOptions(options)
    super('lin-ucb', full)
    this.#options = full
  }

  /** α in force: as given, or the theoretical one after `learned` outcomes (for disjoint arms an upper bound, each having learned at most so many). */
  get exploration(): number {
    const { alpha, lambda, theory } = this.#options
    return alpha === 'theory' ? theoreticalAlpha(this.learned, this.dimension, lambda, theory) : alpha
  }

  look(input: DecisionInput): void {
    this.#glanced = false
    const choice = this.#choice
    choice.reserve(input.arms.length)
    const { estimates, widths, count } = choice
    this.model.predict(input, estimates, widths)
    for (let a = 0; a < count; a++) widths[a] = Math.sqrt(widths[a]!)
  }

  spread(exploration: number, weight: number, probabilities: Float64Array): void {
    this.#choice.spread(exploration, weight, probabilities)
  }

  glance(input: DecisionInput): void {
    const choice = this.#screened
    choice.reserve(input.arms.length)
    const { estimates, lows, highs, count } = choice
    if (!this.model.glance(input, estimates, lows, highs)) {
      this.look(input)
      return
    }
    for (let a = 0; a < count; a++) {
      lows[a] = Math.sqrt(lows[a]!)
      highs[a] = Math.sqrt(highs[a]!)
    }
    this.#glanced = true
  }

  favourite(exploration: number): number {
    return this.#glanced ? this.#screened.best(exploration) : this.#choice.best(exploration)
  }

  rank(exploration: number, ranking: Int32Array): void {
    if (this.#glanced) this.#screened.rank(exploration, ranking)
    else this.#choice.rank(exploration, ranking)
  }

  /** Every arm's upper confidence bound, a copy: what the choice rests on. @throws as `decide` */
  override scores(input: DecisionInput): Float64Array {
    this.look(input)
    return this.#choice.scores(this.exploration).slice(0, input.arms.length)
  }
}

/** A LinUCB policy without experience. @throws MillraceError INVALID_CONFIG */
export const linUcb = (options: LinUcbOptions): LinUcb => new LinUcb(options)
