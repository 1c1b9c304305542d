/**
 * How good ranked labels are: precision, propensity-scored precision, recall and nDCG at k, in percent, as the Extreme Classification Repository defines
 * them (Bhatia et al.; Jain, Prabhu and Varma 2016 for propensities). Where fewer than k labels were predicted, the missing ones count as wrong.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { CsrMatrix } from '../sparse/csr-matrix.ts'

/** Predicted labels: those of row r stand from `pointers[r]` up to `pointers[r + 1]`, best first, none twice (`BatchPredictions`). */
export interface RankedLabels {
  readonly pointers: ArrayLike<number>
  readonly labels: ArrayLike<number>
}

/** Percentages at each k asked for; `recall` and `ndcg` are means over rows, a row without labels counting as 0. */
export interface RankingMetrics {
  readonly at: readonly number[]
  /** Hits among the first k, over k times rows. */
  readonly precision: readonly number[]
  /** Hits weighed by inverse propensity, over the most that could be had. */
  readonly propensityScored: readonly number[]
  readonly recall: readonly number[]
  readonly ndcg: readonly number[]
}

export interface PropensityOptions {
  /** .55 for most data; .5 Amazon, .6 Wikipedia-LSHTC. */
  readonly a: number
  /** 1.5 for most data; .4 Amazon and Wikipedia-LSHTC. */
  readonly b: number
}

/**
 * 1/p of each label, p the chance that a label that applies was noted at all: 1 + C (n + b)^−a with C = (ln N − 1)(b + 1)^a, n the label's documents of N
 * (Jain, Prabhu and Varma 2016, section 4). Never below 1: fewer than three documents tell nothing.
 *
 * @param Y training documents × labels
 */
export const inversePropensities = (
  Y: CsrMatrix,
  { a, b }: PropensityOptions = { a: 0.55, b: 1.5 },
): Float64Array => {
  const counts = new Float64Array(Y.columns)
  for (const label of Y.indices) counts[label]!++
  const c = Math.max(0, Math.log(Y.rows) - 1) * (b + 1) ** a
  return counts.map((n) => 1 + c * (n + b) ** -a)
}

/**
 * The metrics of predictions against the truth.
 *
 * @param truth rows × labels, the labels that apply
 * @param inverse 1/p a label (`inversePropensities`); left out, every label weighs 1
 * @param at the k, at least 1 each
 * @throws MillraceError WRONG_DIMENSION (rows or labels differ), INVALID_EVENT (a k below 1)
 */
export const rankingMetrics = (
  ranked: RankedLabels,
  truth: CsrMatrix,
  inverse?: Float64Array,
  at: readonly number[] = [1, 3, 5],
): RankingMetrics => {
  const rows = ranked.pointers.length - 1
  if (rows !== truth.rows) {
    throw new MillraceError('WRONG_DIMENSION', `${rows} rows predicted, ${truth.rows} true`)
  }
  if (inverse !== undefined && inverse.length !== truth.columns) {
    throw new MillraceError('WRONG_DIMENSION', `${inverse.length} propensities for ${truth.columns} labels`)
  }
  if (!at.every((k) => Number.isInteger(k) && k >= 1))
    throw new MillraceError('INVALID_EVENT', `k of ${at.join(', ')}`)
  const deepest = Math.max(0, ...at)
  const sums = emptySums(deepest)
  const weights = inverse ?? new Float64Array(truth.columns).fill(1)
  const applies = new Uint8Array(truth.columns)
  for (let row = 0; row < truth.rows; row++) {
    const start = truth.pointers[row]!
    const labels = truth.indices.subarray(start, truth.pointers[row + 1]!)
    for (const label of labels) applies[label] = 1
    addRow(sums, ranked, row, labels, applies, weights, deepest)
    for (const label of labels) applies[label] = 0
  }
  const count = Math.max(1, rows)
  return {
    at: [...at],
    precision: at.map((k) => (100 * sums.hits[k]!) / (k * count)),
    propensityScored: at.map((k) => (sums.most[k] === 0 ? 0 : (100 * sums.weighed[k]!) / sums.most[k]!)),
    recall: at.map((k) => (100 * sums.recall[k]!) / count),
    ndcg: at.map((k) => (100 * sums.ndcg[k]!) / count),
  }
}

interface Sums {
  /** Each by k, from 1. */
  readonly hits: Float64Array
  readonly weighed: Float64Array
  readonly most: Float64Array
  readonly recall: Float64Array
  readonly ndcg: Float64Array
}

const emptySums = (deepest: number): Sums => {
  const zeros = (): Float64Array => new Float64Array(deepest + 1)
  return { hits: zeros(), weighed: zeros(), most: zeros(), recall: zeros(), ndcg: zeros() }
}

const addRow = (
  sums: Sums,
  { pointers, labels: predicted }: RankedLabels,
  row: number,
  labels: Int32Array,
  applies: Uint8Array,
  weights: Float64Array,
  deepest: number,
): void => {
  const best = Float64Array.from(labels, (label) => weights[label]!)
    .sort()
    .reverse()
  const count = labels.length
  const start = pointers[row]!
  const found = pointers[row + 1]! - start
  let hits = 0
  let weighed = 0
  let most = 0
  let gained = 0
  let ideal = 0
  for (let k = 1; k <= deepest; k++) {
    const label = k <= found ? predicted[start + k - 1]! : -1
    if (label >= applies.length) throw new MillraceError('WRONG_DIMENSION', `label ${label} was predicted`)
    const discount = 1 / Math.log2(k + 1)
    if (label >= 0 && applies[label] === 1) {
      hits++
      weighed += weights[label]!
      gained += discount
    }
    if (k <= count) {
      most += best[k - 1]!
      ideal += discount
    }
    sums.hits[k]! += hits
    sums.weighed[k]! += weighed
    sums.most[k]! += most
    if (count > 0) {
      sums.recall[k]! += hits / count
      sums.ndcg[k]! += gained / ideal
    }
  }
}
