/**
 * EXP3: which of n candidates earns most, where only the reward of the one used is seen, and whoever makes the rewards may be an adversary
 * (Auer, Cesa-Bianchi, Freund and Schapire 2002).
 *
 *   p_i = γ/n + (1 − γ)·w_i/Σw,  w_i = exp((γ/n)·G_i),  G_i += r/p_i for the candidate used;  γ = min(1, √(n ln n / ((e − 1)T)))
 *
 * The state is the gains G and a count: sums, given the probabilities with which candidates were drawn. They come with the outcomes, which may be late, so the
 * p in an update is the one that produced the draw, as it must be. Log-weights (γ/n)·G follow from the sums.
 *
 * Where T is unknown (a stream has no end), epochs of T₀, 2T₀, 4T₀, … rewards each take their own length for T. At an epoch's end the gains are kept
 * and only γ shrinks (`keep`: the state stays a sum), or forgotten (`restart`: the doubling trick of the analysis).
 * Cost: n exponentials after an update, nothing before the next; nothing is allocated.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { type RewardScaleOptions, rewardScale } from './reward-scale.ts'
import type { Tuner } from './tuner.ts'

export interface Exp3Options extends RewardScaleOptions {
  /** T: rewards there will be, or `doubling` where that is unknown. Default `doubling`. */
  readonly horizon?: number | 'doubling'
  /** T₀, the length of the first epoch; default 1,000. */
  readonly firstEpoch?: number
  /** What becomes of the gains at an epoch's end; default `keep`. */
  readonly epochEnd?: 'keep' | 'restart'
}

/** γ = min(1, √(n ln n / ((e − 1)T))): the share of draws that are uniform (Auer et al. 2002, corollary 3.2). */
export const exp3Gamma = (candidates: number, horizon: number): number =>
  Math.min(1, Math.sqrt((candidates * Math.log(candidates)) / ((Math.E - 1) * horizon)))

export class Exp3 implements Tuner {
  readonly size: number
  readonly drawn: boolean = true
  /** Rewards learned in all, rewards in this epoch, the epoch's number, a baseline (exp4.ts); then the gain of each candidate. */
  readonly state: Float64Array
  readonly #horizon: number | 'doubling'
  readonly #firstEpoch: number
  readonly #restart: boolean
  protected readonly scale: (reward: number) => number
  readonly #probabilities: Float64Array
  #stale = true
  /** T and γ in force; 0 where the epoch has changed since. */
  #length = 0
  #gamma = 0

  /** @param size n, 1 or more @throws MillraceError INVALID_CONFIG */
  constructor(size: number, options: Exp3Options = {}) {
    const { horizon = 'doubling', firstEpoch = 1_000, epochEnd = 'keep' } = options
    requireCount('candidates', size)
    if (horizon !== 'doubling') requireCount('horizon', horizon)
    requireCount('firstEpoch', firstEpoch)
    if (epochEnd !== 'keep' && epochEnd !== 'restart')
      throw new MillraceError('INVALID_CONFIG', `epochEnd: '${String(epochEnd)}' is not 'keep' or 'restart'`)
    this.size = size
    this.#horizon = horizon
    this.#firstEpoch = firstEpoch
    this.#restart = horizon === 'doubling' && epochEnd === 'restart'
    this.scale = rewardScale(options)
    this.state = new Float64Array(HEADER + size)
    this.#probabilities = new Float64Array(size)
  }

  /** Rewards learned. */
  get learned(): number {
    return this.state[LEARNED]!
  }

  /** γ in force: the share of draws that are uniform. */
  get gamma(): number {
    if (this.#gamma === 0) this.#gamma = exp3Gamma(this.size, this.horizon)
    return this.#gamma
  }

  /** What a gain is multiplied by to become a log-weight. */
  get rate(): number {
    return this.gamma / this.size
  }

  /** Log-weights, a copy: (γ/n)·G. */
  get logWeights(): Float64Array {
    const { rate } = this
    return this.state.slice(HEADER).map((gain) => rate * gain)
  }

  /** p of every candidate; overwritten by the next call. */
  weigh(): Float64Array {
    const p = this.#probabilities
    if (!this.#stale) return p
    this.#stale = false
    const { size, state, gamma, rate } = this
    let largest = state[HEADER]!
    for (let i = 1; i < size; i++) largest = Math.max(largest, state[HEADER + i]!)
    let sum = 0
    for (let i = 0; i < size; i++) {
      const weight = Math.exp(rate * (state[HEADER + i]! - largest))
      p[i] = weight
      sum += weight
    }
    for (let i = 0; i < size; i++) p[i] = gamma / size + ((1 - gamma) * p[i]!) / sum
    return p
  }

  canLearn(reward: number, weight: number): boolean {
    const most = Math.abs(this.scale(reward) * weight)
    for (let i = 0; i < this.size; i++)
      if (!(Math.abs(this.state[HEADER + i]!) + most < Number.MAX_VALUE / 2)) return false
    return true
  }

  learn(reward: number, weights: Float64Array): void {
    this.credit(this.scale(reward), weights)
  }

  /** Learns the reward of the candidate at `index`, drawn with this probability. */
  learnDrawn(reward: number, index: number, probability: number): void {
    const at = HEADER + index
    this.state[at] = this.state[at]! + this.scale(reward) / probability
    this.#count()
  }

  /** Adds gain · weight to each candidate's gain, and counts a reward. */
  protected credit(gain: number, weights: Float64Array): void {
    const { state } = this
    for (let i = 0; i < this.size; i++) state[HEADER + i] = state[HEADER + i]! + gain * weights[i]!
    this.#count()
  }

  changed(): void {
    this.#stale = true
    this.#length = 0
    this.#gamma = 0
  }

  /** T in force: as given, or the length of this epoch. */
  protected get horizon(): number {
    if (this.#length === 0)
      this.#length = this.#horizon === 'doubling' ? this.#firstEpoch * 2 ** this.state[EPOCH]! : this.#horizon
    return this.#length
  }

  #count(): void {
    const { state } = this
    this.#stale = true
    state[LEARNED] = state[LEARNED]! + 1
    if (this.#horizon !== 'doubling') return
    state[IN_EPOCH] = state[IN_EPOCH]! + 1
    if (state[IN_EPOCH] < this.horizon) return
    state[IN_EPOCH] = 0
    state[EPOCH] = state[EPOCH]! + 1
    this.changed()
    if (this.#restart) state.fill(0, HEADER)
  }
}

const LEARNED = 0
const IN_EPOCH = 1
const EPOCH = 2
/** Used by exp4.ts. */
export const BASELINE = 3
const HEADER = 4

const requireCount = (name: string, value: number): void => {
  if (Number.isSafeInteger(value) && value >= 1) return
  throw new MillraceError('INVALID_CONFIG', `${name}: ${String(value)} is not a whole number from 1`)
}
