/** The step that every search is made of: a parent is opened, and of its children those that may be kept get a score. */
import type { XmcModel } from '../model.ts'
import type { BestNodes } from './best-nodes.ts'
import { ChunkedWeights } from './chunked-weights.ts'
import { kthLargest } from './kth-largest.ts'
import { Siblings } from './siblings.ts'
import type { ScoreTransform } from './transform.ts'

export class Expansion {
  readonly levels: readonly Siblings[]
  readonly weights: ChunkedWeights
  readonly transform: ScoreTransform
  /** Room for the scores of children, and to order values. */
  readonly #scores: Float64Array

  /** @throws MillraceError as `ChunkedWeights` */
  constructor({ tree, weights, bias }: XmcModel, transform: ScoreTransform) {
    this.levels = tree.parents.map((parents, t) => new Siblings(parents, tree.parents[t - 1]?.length ?? 1))
    this.weights = new ChunkedWeights(weights, this.levels, bias)
    this.transform = transform
    this.#scores = new Float64Array(Math.max(...this.levels.map(({ widest }) => widest)))
  }

  /**
   * Offers the children of a parent to `kept`: what it holds at the end does not depend on the order in which parents come.
   * @param level of the children @param query as `weights.append` numbered it
   * @returns false where the parent's own score tells that none of them gets in; then no classifier was asked
   */
  expand(level: number, parent: number, score: number, query: number, kept: BestNodes): boolean {
    const { transform, weights } = this
    const least = transform.leastValue(kept.least, score)
    if (least === Number.POSITIVE_INFINITY) return false
    const { children, first } = this.levels[level]!
    weights.multiply(level, parent, query)
    const { values, places } = weights
    const start = first[parent]!
    let count = weights.pick(first[parent + 1]! - start, least)
    if (count > kept.capacity) count = this.#select(count, kept.capacity, score)
    transform.scoreAll(values, places, count, score, this.#scores)
    kept.offerAll(children, start, places, this.#scores, count)
    return true
  }

  /** Leaves among the first `count` places those whose scores may be among the best `wanted`, equal scores included. */
  #select(count: number, wanted: number, score: number): number {
    const { transform } = this
    const { values, places } = this.weights
    const copy = this.#scores
    for (let i = 0; i < count; i++) copy[i] = values[places[i]!]!
    const least = transform.leastValue(transform.score(kthLargest(copy, count, wanted), score), score)
    let left = 0
    for (let i = 0; i < count; i++) {
      const c = places[i]!
      if (values[c]! >= least) places[left++] = c
    }
    return left
  }
}
