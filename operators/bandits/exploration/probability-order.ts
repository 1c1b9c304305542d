/** Arms by descending probability, equal ones in the order in which they are given. Cost: O(n log n) at most, O(n) where most are equal. */
import { Ranking } from '../../numerics/ranking.ts'

export class ProbabilityOrder {
  readonly #ranking = new Ranking()
  #keys = new Float64Array(0)
  #order = new Int32Array(0)
  #given = new Int32Array(0)

  /** Reorders the first `count` indices of `ranking`. */
  sort(probabilities: Float64Array, count: number, ranking: Int32Array): void {
    if (count > this.#keys.length) {
      this.#keys = new Float64Array(2 * count)
      this.#order = new Int32Array(2 * count)
      this.#given = new Int32Array(2 * count)
    }
    const keys = this.#keys
    const order = this.#order
    const given = this.#given
    for (let k = 0; k < count; k++) {
      given[k] = ranking[k]!
      keys[k] = probabilities[ranking[k]!]!
    }
    this.#ranking.rank(keys, count, order)
    for (let k = 0; k < count; k++) ranking[k] = given[order[k]!]!
  }
}
