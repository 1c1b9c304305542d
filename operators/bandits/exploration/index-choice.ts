/**
 * The choice of an index policy: every arm has an estimate and a width, its score is estimate + exploration · width, and the best score (ties:
 * lowest index) takes all. The numbers stay while several explorations are asked about them. Cost: a pass over the arms; nothing is allocated
 * once the buffers are large enough.
 */
import { Ranking } from '../../numerics/ranking.ts'

export class IndexChoice {
  /** Arms under consideration; the arrays hold at least so many numbers. */
  count = 0
  estimates = new Float64Array(0)
  widths = new Float64Array(0)
  #scores = new Float64Array(0)
  readonly #ranking = new Ranking()

  /** Makes room for the numbers of so many arms. */
  reserve(count: number): void {
    this.count = count
    if (count <= this.estimates.length) return
    this.estimates = new Float64Array(2 * count)
    this.widths = new Float64Array(2 * count)
    this.#scores = new Float64Array(2 * count)
  }

  /** Index of the arm with the best score. */
  best(exploration: number): number {
    const { estimates, widths, count } = this
    let best = 0
    let highest = estimates[0]! + exploration * widths[0]!
    for (let a = 1; a < count; a++) {
      const score = estimates[a]! + exploration * widths[a]!
      if (score > highest) {
        highest = score
        best = a
      }
    }
    return best
  }

  /** Adds `weight` to the probability of the best arm. */
  spread(exploration: number, weight: number, probabilities: Float64Array): void {
    const best = this.best(exploration)
    probabilities[best] = probabilities[best]! + weight
  }

  /** Writes the arms' indices, best score first. */
  rank(exploration: number, ranking: Int32Array): void {
    this.#ranking.rank(this.scores(exploration), this.count, ranking)
  }

  /** Every arm's score; overwritten by the next call. */
  scores(exploration: number): Float64Array {
    const { estimates, widths, count } = this
    const scores = this.#scores
    for (let a = 0; a < count; a++) scores[a] = estimates[a]! + exploration * widths[a]!
    return scores
  }
}
