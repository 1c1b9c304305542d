/**
 * The mixture that a syndicate draws its arms from: every combination of candidates has a policy, an exploration and a weight, and with them a distribution
 * over the arms. Kept apart by combination until the arm is drawn, since what was drawn among the candidates follows from the arm.
 *
 * Cost: a `look` or `glance` a policy and a `favourite` a combination; where a policy has none, a `spread` and two passes over the arms. Nothing is allocated once the buffers are large enough.
 */
import type { DecisionInput, TunablePolicy } from '../policy.ts'

/** One combination of candidates. */
export interface Combination {
  /** Index of its policy. */
  readonly base: number
  /** Exploration; the policy's own where undefined. */
  readonly exploration: number | undefined
  /** Added to the exploration. */
  readonly corruption: number
  /** Its candidate in each layer. */
  readonly indices: readonly number[]
}

export class SyndicateMixture {
  readonly combinations: readonly Combination[]
  /** Weight of each combination: the product of its candidates' probabilities. */
  readonly weights: Float64Array
  readonly #values: Float64Array
  readonly #masses: Float64Array
  /** The one arm that a combination takes; −1 where it has a distribution, which is then in its row. */
  readonly #favourites: Int32Array
  #rows: Float64Array[]
  #capacity = 0

  constructor(combinations: readonly Combination[]) {
    this.combinations = combinations
    this.weights = new Float64Array(combinations.length)
    this.#values = new Float64Array(combinations.length)
    this.#masses = new Float64Array(combinations.length)
    this.#favourites = new Int32Array(combinations.length).fill(-1)
    this.#rows = []
  }

  /** Asks every policy about the arms. @throws MillraceError as `look` */
  look(bases: readonly TunablePolicy[], input: DecisionInput, uniform: () => number): void {
    const { combinations } = this
    const count = input.arms.length
    for (let b = 0; b < bases.length; b++) {
      const base = bases[b]!
      if (base.glance === undefined) base.look(input, uniform)
      else base.glance(input)
    }
    if (count > this.#capacity) {
      this.#capacity = 2 * count
      this.#rows = combinations.map(() => new Float64Array(this.#capacity))
    }
    for (let c = 0; c < combinations.length; c++) {
      const { base, exploration, corruption } = combinations[c]!
      const policy = bases[base]!
      const value = (exploration ?? policy.exploration) + corruption
      this.#values[c] = value
      if (policy.favourite !== undefined) {
        this.#favourites[c] = policy.favourite(value)
        continue
      }
      const row = this.#rows[c]!
      row.fill(0, 0, count)
      policy.spread(value, 1, row)
    }
  }

  /** Sets the weights from the probabilities of each layer's candidates. */
  weigh(layers: readonly Float64Array[]): void {
    const { combinations, weights } = this
    for (let c = 0; c < combinations.length; c++) {
      const { indices } = combinations[c]!
      let weight = 1
      for (let l = 0; l < layers.length; l++) weight *= layers[l]![indices[l]!]!
      weights[c] = weight
    }
  }

  /** Writes (1 − floor)·Σ weight·π + floor/K. */
  mix(count: number, floor: number, probabilities: Float64Array): void {
    const { weights } = this
    probabilities.fill(floor / count, 0, count)
    for (let c = 0; c < weights.length; c++) {
      const weight = (1 - floor) * weights[c]!
      const favourite = this.#favourites[c]!
      if (favourite >= 0) {
        probabilities[favourite] = probabilities[favourite]! + weight
        continue
      }
      const row = this.#rows[c]!
      for (let a = 0; a < count; a++) probabilities[a] = probabilities[a]! + weight * row[a]!
    }
    // Weights sum to 1 but for rounding; a probability above 1 would be refused by whoever learns from it.
    for (let a = 0; a < count; a++) probabilities[a] = Math.min(probabilities[a]!, 1)
  }

  /** Probability of an arm under a combination. */
  probability(combination: number, arm: number): number {
    const favourite = this.#favourites[combination]!
    if (favourite >= 0) return favourite === arm ? 1 : 0
    return this.#rows[combination]![arm]!
  }

  /** The exploration of a combination at the last look. */
  exploration(combination: number): number {
    return this.#values[combination]!
  }

  /** The combination that drew the arm, by its posterior probability: weight·((1 − floor)·π(arm) + floor/K), for u in [0, 1). */
  drawn(arm: number, count: number, floor: number, u: number): number {
    const { weights } = this
    const masses = this.#masses
    const share = floor / count
    let total = 0
    for (let c = 0; c < weights.length; c++) {
      const mass = weights[c]! * ((1 - floor) * this.probability(c, arm) + share)
      masses[c] = mass
      total += mass
    }
    const target = u * total
    let sum = 0
    let last = 0
    for (let c = 0; c < weights.length; c++) {
      if (masses[c] === 0) continue
      last = c
      sum += masses[c]!
      if (target < sum) return c
    }
    return last
  }

  /** The combination of the largest weight; the first of equal ones. */
  get heaviest(): number {
    const { weights } = this
    let best = 0
    for (let c = 1; c < weights.length; c++) if (weights[c]! > weights[best]!) best = c
    return best
  }

  /**
   * Writes for each candidate of a layer the probability with which it takes the arm, the other layers being drawn as they are.
   * @param layers probabilities of each layer's candidates
   */
  shares(layer: number, arm: number, layers: readonly Float64Array[], shares: Float64Array): void {
    const { combinations } = this
    shares.fill(0)
    for (let c = 0; c < combinations.length; c++) {
      const { indices } = combinations[c]!
      let share = this.probability(c, arm)
      for (let l = 0; l < layers.length; l++) if (l !== layer) share *= layers[l]![indices[l]!]!
      const index = indices[layer]!
      shares[index] = shares[index]! + share
    }
  }
}
