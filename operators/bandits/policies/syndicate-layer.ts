/** A layer of a syndicate: one hyper-parameter with its tuner, or several that share one. Writes draws into decisions, and reads them from outcomes. */
import { MillraceError } from '../../../schemas/errors.ts'
import type { Tuner } from '../exploration/tuner.ts'
import type { HyperParameter } from '../policy.ts'

export class SyndicateLayer {
  readonly names: readonly string[]
  /** Of each candidate the value of every name. */
  readonly candidates: readonly (readonly number[])[]
  readonly tuner: Tuner
  /** Importance weights of the candidates, for an outcome of another policy's decision. */
  readonly shares: Float64Array
  /** The draw last read: a candidate and its probability. */
  #index = 0
  #probability = 1

  constructor(names: readonly string[], candidates: readonly (readonly number[])[], tuner: Tuner) {
    this.names = names
    this.candidates = candidates
    this.tuner = tuner
    this.shares = new Float64Array(candidates.length)
  }

  /** Appends the draw of a candidate, with the probabilities that `tuner.weigh` gave. */
  record(index: number, probabilities: Float64Array, draws: HyperParameter[]): void {
    const values = this.candidates[index]!
    for (let n = 0; n < this.names.length; n++)
      draws.push({ name: this.names[n]!, value: values[n]!, probability: probabilities[index]! })
  }

  /**
   * Finds what an outcome says of this layer: its draw, or the share of each candidate.
   * @param propensity of the arm that was taken
   * @returns false where it says nothing, or nothing of these candidates
   * @throws MillraceError INVALID_PROPENSITY; NON_FINITE_NUMBER where learning it would leave a number that is not finite
   */
  read(draws: readonly HyperParameter[], propensity: number, reward: number): boolean {
    const { drawn } = this.tuner
    if (!(drawn ? this.#readDraw(draws) : this.#readShares(draws, propensity))) return false
    requireLearnable(this.tuner, reward, 1 / (drawn ? this.#probability : propensity))
    return true
  }

  /** Appends, for each candidate that would have taken the arm, the probability with which it would: `shares`. */
  recordShares(draws: HyperParameter[]): void {
    const { candidates, names, shares } = this
    for (let i = 0; i < candidates.length; i++) {
      if (!(shares[i]! > 0)) continue
      draws.push({ name: names[0]!, value: candidates[i]![0]!, probability: Math.min(shares[i]!, 1) })
    }
  }

  /** Teaches the tuner the reward of what was last read. */
  learn(reward: number): void {
    if (this.tuner.drawn) this.tuner.learnDrawn(reward, this.#index, this.#probability)
    else this.tuner.learn(reward, this.shares)
  }

  #readDraw(draws: readonly HyperParameter[]): boolean {
    const { candidates } = this
    for (let i = 0; i < candidates.length; i++) {
      const probability = this.#probabilityOf(candidates[i]!, draws)
      if (probability === undefined) continue
      this.#index = i
      this.#probability = this.#sound(probability)
      return true
    }
    return false
  }

  #readShares(draws: readonly HyperParameter[], propensity: number): boolean {
    const { candidates, shares } = this
    let found = false
    for (let i = 0; i < candidates.length; i++) {
      const probability = this.#probabilityOf(candidates[i]!, draws)
      if (probability !== undefined) found = true
      shares[i] = probability === undefined ? 0 : this.#sound(probability) / propensity
    }
    return found
  }

  #sound(probability: number): number {
    if (probability > 0 && probability <= 1) return probability
    throw new MillraceError(
      'INVALID_PROPENSITY',
      `${this.names.join(', ')}: the probability of a draw is ${probability}, not in (0, 1]`,
    )
  }

  /** The probability that draws give a candidate's values; undefined where they say nothing of them. */
  #probabilityOf(values: readonly number[], draws: readonly HyperParameter[]): number | undefined {
    const { names } = this
    let probability: number | undefined
    for (let n = 0; n < names.length; n++) {
      probability = undefined
      for (let k = 0; k < draws.length; k++) {
        const draw = draws[k]!
        // Numbers first: names are compared only where they may decide.
        if (draw.value === values[n] && draw.name === names[n]) probability = draw.probability
      }
      if (probability === undefined) return undefined
    }
    return probability
  }
}

/** @throws MillraceError NON_FINITE_NUMBER */
export const requireLearnable = (tuner: Tuner, reward: number, weight: number): void => {
  if (!tuner.canLearn(reward, weight))
    throw new MillraceError('NON_FINITE_NUMBER', `reward: with ${reward} a gain would not be finite`)
}
