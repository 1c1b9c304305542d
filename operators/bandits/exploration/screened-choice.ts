/**
 * The choice of an index policy (index-choice.ts) from widths that are known within bounds: a width is found exactly only where the answer depends on it.
 * Answers are those of exact widths for all, to the last bit, since rounding keeps the order of scores, estimate + exploration · width.
 * Cost: a few passes over the arms, and for a ranking two sorts; nothing is allocated once the buffers are large enough.
 */
import { Ranking } from '../../numerics/ranking.ts'

export class ScreenedChoice {
  /** Arms under consideration; the arrays hold at least so many numbers. */
  count = 0
  estimates = new Float64Array(0)
  /** Bounds of the widths; equal where a width is known. */
  lows = new Float64Array(0)
  highs = new Float64Array(0)
  /** What scores are at most, and at least. */
  #most = new Float64Array(0)
  #least = new Float64Array(0)
  /** Arms whose widths are to be found, and the widths. */
  #open = new Int32Array(0)
  #widths = new Float64Array(0)
  readonly #ranking = new Ranking()
  readonly #refine: (places: Int32Array, count: number, widths: Float64Array) => void

  /** @param refine writes the widths of the first `count` arms of a list */
  constructor(refine: (places: Int32Array, count: number, widths: Float64Array) => void) {
    this.#refine = refine
  }

  /** Makes room for the numbers of so many arms. */
  reserve(count: number): void {
    this.count = count
    if (count <= this.estimates.length) return
    this.estimates = new Float64Array(2 * count)
    this.lows = new Float64Array(2 * count)
    this.highs = new Float64Array(2 * count)
    this.#most = new Float64Array(2 * count)
    this.#least = new Float64Array(2 * count)
    this.#open = new Int32Array(2 * count)
    this.#widths = new Float64Array(2 * count)
  }

  /** Index of the arm with the best score (ties: lowest index). */
  best(exploration: number): number {
    this.#bound(exploration)
    const most = this.#most
    const { count, lows, highs } = this
    const certain = highest(this.#least, count)
    const open = this.#open
    let rivals = 0
    let rival = 0
    let unknown = 0
    for (let a = 0; a < count; a++) {
      if (most[a]! < certain) continue
      rivals++
      rival = a
      if (lows[a]! < highs[a]!) open[unknown++] = a
    }
    if (rivals === 1) return rival
    this.#settle(exploration, unknown)
    // Whatever may reach the highest score is exact now.
    const score = highest(most, count)
    for (let a = 0; a < count; a++) if (most[a]! === score) return a
    return rival
  }

  /** Writes the arms' indices, best score first (ties: lower index first). */
  rank(exploration: number, ranking: Int32Array): void {
    this.#bound(exploration)
    const { count, lows, highs } = this
    const most = this.#most
    const least = this.#least
    const open = this.#open
    this.#ranking.rank(most, count, ranking)
    let unknown = 0
    // Runs of arms in which each may come before the next; between runs the order is certain.
    for (let start = 0, end = 1; start < count; start = end, end++) {
      let lowest = least[ranking[start]!]!
      for (; end < count && most[ranking[end]!]! >= lowest; end++)
        lowest = Math.min(lowest, least[ranking[end]!]!)
      if (end - start === 1) continue
      for (let k = start; k < end; k++) {
        const a = ranking[k]!
        if (lows[a]! < highs[a]!) open[unknown++] = a
      }
    }
    if (unknown === 0) return
    this.#settle(exploration, unknown)
    this.#ranking.rank(most, count, ranking)
  }

  /** Bounds of all scores. */
  #bound(exploration: number): void {
    const { estimates, count } = this
    const most = this.#most
    const least = this.#least
    const highs = exploration < 0 ? this.lows : this.highs
    const lows = exploration < 0 ? this.highs : this.lows
    for (let a = 0; a < count; a++) {
      most[a] = estimates[a]! + exploration * highs[a]!
      least[a] = estimates[a]! + exploration * lows[a]!
    }
  }

  /** Finds the widths of the first arms of `#open`, and the scores that follow. */
  #settle(exploration: number, unknown: number): void {
    if (unknown === 0) return
    const { estimates, lows, highs } = this
    const open = this.#open
    const widths = this.#widths
    const most = this.#most
    this.#refine(open, unknown, widths)
    for (let n = 0; n < unknown; n++) {
      const a = open[n]!
      lows[a] = widths[n]!
      highs[a] = widths[n]!
      most[a] = estimates[a]! + exploration * widths[n]!
    }
  }
}

const highest = (scores: Float64Array, count: number): number => {
  let best = scores[0]!
  for (let a = 1; a < count; a++) if (scores[a]! > best) best = scores[a]!
  return best
}
