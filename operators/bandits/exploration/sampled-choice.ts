/**
 * The choice of a policy that draws its scores: in each of so many draws an arm's score is estimate + exploration · width, with a width of its own for
 * every draw, and the best score (ties: lowest index) wins the draw. An arm's probability is the share of draws it wins: an estimate of how
 * probably it is the best, and exact for the decision, whose arm is drawn from these very shares.
 *
 * The widths stay while several explorations are asked about them, so that all answer from the same draws.
 * Cost: a pass over draws × arms; nothing is allocated once the buffers are large enough.
 */
import { Ranking } from '../../numerics/ranking.ts'

export class SampledChoice {
  readonly draws: number
  /** Arms under consideration; the arrays hold at least so many numbers, `widths` as many a draw: draw after draw. */
  count = 0
  estimates = new Float64Array(0)
  widths = new Float64Array(0)
  #wins = new Int32Array(0)
  readonly #ranking = new Ranking()

  /** @param draws at least 1 */
  constructor(draws: number) {
    this.draws = draws
  }

  /** Makes room for the numbers of so many arms. */
  reserve(count: number): void {
    this.count = count
    if (count <= this.estimates.length) return
    this.estimates = new Float64Array(2 * count)
    this.widths = new Float64Array(2 * count * this.draws)
    this.#wins = new Int32Array(2 * count)
  }

  /** Index of the arm with the best score in a draw. */
  best(draw: number, exploration: number): number {
    const { estimates, widths, count } = this
    const start = draw * count
    let best = 0
    let highest = estimates[0]! + exploration * widths[start]!
    for (let a = 1; a < count; a++) {
      const score = estimates[a]! + exploration * widths[start + a]!
      if (score > highest) {
        highest = score
        best = a
      }
    }
    return best
  }

  /** Adds `weight` times its share of the draws to the probability of every arm. */
  spread(exploration: number, weight: number, probabilities: Float64Array): void {
    const { count, draws } = this
    const wins = this.#wins
    for (let a = 0; a < count; a++) wins[a] = 0
    for (let s = 0; s < draws; s++) {
      const best = this.best(s, exploration)
      wins[best] = wins[best]! + 1
    }
    for (let a = 0; a < count; a++) {
      if (wins[a]! > 0) probabilities[a] = probabilities[a]! + (weight * wins[a]!) / draws
    }
  }

  /** Writes the arms' indices, best estimate first. */
  rank(ranking: Int32Array): void {
    this.#ranking.rank(this.estimates, this.count, ranking)
  }
}
