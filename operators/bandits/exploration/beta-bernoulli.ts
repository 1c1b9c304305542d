/**
 * Thompson sampling over candidates whose rewards lie in [0, 1]: candidate i earns Beta(s_i, f_i), and the one whose draw is largest is used. The baseline
 * "OP" of hyper-parameter tuning (Bouneffouf and Claeys 2020).
 *
 * A reward r counts r successes and 1 − r failures. The reference draws a Bernoulli(r) instead; learning must not draw, so that a log gives one state, and the mean
 * is the same. There is no closed form for the probability of being largest: it is estimated from `draws` draws, and the candidate is drawn from that
 * estimate, so a single draw is the published method and the candidate used has the same distribution for any number.
 * Cost: `draws` · n Beta variates a decision, about 0.2 µs each.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { type RewardScaleOptions, rewardScale } from './reward-scale.ts'
import type { Tuner } from './tuner.ts'

export interface BetaBernoulliOptions extends RewardScaleOptions {
  /** Draws by which probabilities are estimated; default 20. */
  readonly draws?: number
}

export class BetaBernoulli implements Tuner {
  readonly size: number
  readonly drawn: boolean = true
  /** Successes, then failures, of each candidate; both start at 1. */
  readonly state: Float64Array
  readonly #draws: number
  readonly #scale: (reward: number) => number
  readonly #probabilities: Float64Array

  /** @param size candidates, 1 or more @throws MillraceError INVALID_CONFIG */
  constructor(size: number, options: BetaBernoulliOptions = {}) {
    const { draws = 20 } = options
    if (!(Number.isSafeInteger(draws) && draws >= 1))
      throw new MillraceError('INVALID_CONFIG', `draws: ${String(draws)} is not a whole number from 1`)
    this.size = size
    this.#draws = draws
    // Counts must stay counts: rewards are clipped whatever the options say.
    this.#scale = rewardScale({ ...options, clip: true })
    this.state = new Float64Array(2 * size).fill(1)
    this.#probabilities = new Float64Array(size)
  }

  weigh(uniform: () => number): Float64Array {
    const { size, state } = this
    const p = this.#probabilities.fill(0)
    for (let n = 0; n < this.#draws; n++) {
      let best = 0
      let highest = -1
      for (let i = 0; i < size; i++) {
        const share = drawBeta(state[i]!, state[size + i]!, uniform)
        if (share <= highest) continue
        highest = share
        best = i
      }
      p[best] = p[best]! + 1
    }
    for (let i = 0; i < size; i++) p[i] = p[i]! / this.#draws
    return p
  }

  canLearn(_reward: number, weight: number): boolean {
    return Number.isFinite(weight)
  }

  learnDrawn(reward: number, index: number): void {
    this.#add(reward, index, 1)
  }

  learn(reward: number, weights: Float64Array): void {
    for (let i = 0; i < this.size; i++) this.#add(reward, i, weights[i]!)
  }

  changed(): void {}

  #add(reward: number, index: number, weight: number): void {
    const { size, state } = this
    const successes = weight * this.#scale(reward)
    state[index] = state[index]! + successes
    state[size + index] = state[size + index]! + weight - successes
  }
}

/** A draw from Beta(a, b), both at least 1: X/(X + Y) of gamma variates. */
const drawBeta = (a: number, b: number, uniform: () => number): number => {
  const x = drawGamma(a, uniform)
  return x / (x + drawGamma(b, uniform))
}

/** Each try is accepted with probability above 0.95; after so many a generator is stuck, and the mode will do. */
const TRIES = 64

/** A draw from Gamma(shape), shape at least 1 (Marsaglia and Tsang 2000). */
const drawGamma = (shape: number, uniform: () => number): number => {
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (let n = 0; n < TRIES; n++) {
    const x = Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
    const v = (1 + c * x) ** 3
    if (v <= 0) continue
    const u = 1 - uniform()
    if (Math.log(u) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v
  }
  return d
}
