/**
 * One score a label where labels have copies in several clusters (Liu, Chang, Yu, Dhillon and Hsieh 2021, "Label Disentanglement in Partition-based Extreme
 * Multilabel Classification"): mean, maximum or sum over the copies that were scored, not over all there are.
 */
import type { Merge } from '../model.ts'
import type { BestNodes } from './best-nodes.ts'

/** Candidates asked of the search, at least, before copies are merged: fewer would lose labels whose other copy comes late. */
export const CANDIDATES = 160

export const MERGES: readonly Merge[] = ['mean', 'max', 'sum']

export class CopyMerger {
  readonly #labels: number
  readonly #copies: Int32Array
  readonly #merge: Merge
  /** Columns of the label that has most. */
  readonly #most: number
  readonly #sums: Float64Array
  readonly #counts: Int32Array

  /** @param labels the first columns @param copies label of each column behind them */
  constructor(labels: number, copies: Int32Array, merge: Merge) {
    this.#labels = labels
    this.#copies = copies
    this.#merge = merge
    this.#sums = new Float64Array(labels)
    this.#counts = new Int32Array(labels).fill(1)
    for (const label of copies) this.#counts[label]!++
    this.#most = this.#counts.reduce((most, count) => Math.max(most, count), 1)
    this.#counts.fill(0)
  }

  get hasCopies(): boolean {
    return this.#copies.length > 0
  }

  /** Columns that must be found so that `top` labels are. */
  candidates(top: number): number {
    return this.#copies.length === 0 ? top : Math.max(CANDIDATES, top * this.#most)
  }

  /** Offers the labels of `columns` to `labels`. A column whose product came to nothing, exactly 0, has not been scored. */
  merge(columns: BestNodes, labels: BestNodes): void {
    const { nodes, scores, count } = columns
    const sums = this.#sums
    const counts = this.#counts
    const isMaximum = this.#merge === 'max'
    for (let i = 0; i < count; i++) {
      const label = this.#labelOf(nodes[i]!)
      const score = scores[i]!
      if (counts[label]!++ === 0) sums[label] = score
      else if (!isMaximum) sums[label]! += score
      else if (score > sums[label]!) sums[label] = score
    }
    const isMean = this.#merge === 'mean'
    for (let i = 0; i < count; i++) {
      const label = this.#labelOf(nodes[i]!)
      const scored = counts[label]!
      if (scored === 0) continue
      counts[label] = 0
      labels.offer(label, isMean ? sums[label]! / scored : sums[label]!)
    }
  }

  #labelOf(column: number): number {
    return column < this.#labels ? column : this.#copies[column - this.#labels]!
  }
}
