/**
 * Off-policy estimates: what another policy would have earned, from a log of what one policy did. Each logged step brings its reward r and the weight
 * w = π(a|x)/p: how much likelier the other policy would have taken the logged arm. With a model q(x,a) of the reward, e = r − q(x,a) is what it missed, and
 * v = Σ_a π(a|x)q(x,a) what it expects of the other policy.
 *
 *   IPS         Σwr/n                unbiased where p is true and above 0 wherever π is; heavy weights make it noisy (Horvitz and Thompson 1952)
 *   SNIPS       Σwr/Σw               a little biased, much steadier (Hájek 1971; Swaminathan and Joachims 2015)
 *   clipped IPS Σmin(w,M)r/n         steadier and biased: downwards for rewards of at least 0 (Ionides 2008)
 *   DM          Σv/n                 as good as the model, no better
 *   DR          Σ(v + we)/n          unbiased where p or the model is true; may leave the range of the rewards (Dudík, Langford and Li 2011)
 *   SNDR        Σv/n + Σwe/Σw        DR with SNIPS's weights (Thomas and Brunskill 2016)
 *   switch-DR   Σ(v + we·1[w≤τ])/n   DR that trusts the model where weights are heavy (Wang, Agarwal and Dudík 2017)
 *
 * All but the two that say so take weights as they are. The effective sample size (Σw)²/Σw² (Kish 1965) says how many steps of its own the other policy's
 * estimate is worth. One pass; cost: constant, time and memory a step. Sums are of rewards less the first one, and all standard errors come from co-moments, so
 * that a large mean costs no digits.
 */
import { CoMoments } from './co-moments.ts'
import type { Estimate } from './interval.ts'

export type { Estimate } from './interval.ts'

export interface OffPolicyOptions {
  /** M: clipped IPS takes no weight for more than this (default 10). */
  readonly clip?: number
  /** τ: switch-DR takes heavier weights for 0 (default 10). */
  readonly switchAt?: number
}

export interface OffPolicyReport {
  /** Steps evaluated. */
  readonly steps: number
  /** Mean reward of the log itself. */
  readonly logged: Estimate
  /** The standard error is the sample's deviation of wr over √n; so for the others, where nothing else is said. */
  readonly ips: Estimate
  /** The standard error is that of the delta method: √(Σw²(r − SNIPS)²)/Σw. */
  readonly snips: Estimate
  readonly clippedIps: Estimate
  /** NaN, as are the three after it, unless every step had a model's estimates. */
  readonly dm: Estimate
  readonly dr: Estimate
  /** The standard error is that of the delta method. */
  readonly sndr: Estimate
  readonly switchDr: Estimate
  /** M and τ of these figures. */
  readonly clip: number
  readonly switchAt: number
  /** SNIPS less the logged mean, its standard error that of the difference: both are of the same steps. */
  readonly gain: Estimate
  /** Σw; near `steps` where propensities are true. */
  readonly weightSum: number
  /** Σw/n: 1 within its error where propensities are true and the log supports the target. */
  readonly meanWeight: Estimate
  readonly maxWeight: number
  /** (Σw)²/Σw²; 0 where no weight is above 0. */
  readonly effectiveSampleSize: number
  /** Whether the effective sample size allows a verdict: at least ENOUGH. */
  readonly enough: boolean
  /** Smallest and largest reward: what lies outside is no mean reward. */
  readonly rewards: readonly [smallest: number, largest: number]
}

/** Effective steps below which nothing should be concluded. */
export const ENOUGH = 100

const CLIP = 10
const SWITCH_AT = 10

/** Components of a step: s is the reward less the first one. */
const [S, W, WS, V, WE, CLIPPED, SWITCHED, SIZE] = [0, 1, 2, 3, 4, 5, 6, 7]

export class OffPolicyEstimator {
  readonly #clip: number
  readonly #switchAt: number
  readonly #moments = new CoMoments(SIZE)
  readonly #values = new Float64Array(SIZE)
  #maxWeight = 0
  #smallest = Number.POSITIVE_INFINITY
  #largest = Number.NEGATIVE_INFINITY
  #origin = 0
  #w = 0
  #w2 = 0

  constructor({ clip = CLIP, switchAt = SWITCH_AT }: OffPolicyOptions = {}) {
    this.#clip = clip
    this.#switchAt = switchAt
  }

  /**
   * @param weight π(a|x)/p, at least 0
   * @param predicted q(x,a) of the logged arm, by a model that has not seen this reward
   * @param expected Σ_a π(a|x)q(x,a), by the same model
   */
  add(weight: number, reward: number, predicted = Number.NaN, expected = Number.NaN): void {
    if (this.#moments.count === 0) this.#origin = reward
    const values = this.#values
    const s = reward - this.#origin
    const correction = weight * (reward - predicted)
    values[S] = s
    values[W] = weight
    values[WS] = weight * s
    values[V] = expected
    values[WE] = correction
    values[CLIPPED] = Math.min(weight, this.#clip) * reward
    values[SWITCHED] = weight <= this.#switchAt ? correction : 0
    this.#moments.add(values)
    this.#w += weight
    this.#w2 += weight * weight
    if (weight > this.#maxWeight) this.#maxWeight = weight
    if (reward < this.#smallest) this.#smallest = reward
    if (reward > this.#largest) this.#largest = reward
  }

  get report(): OffPolicyReport {
    const moments = this.#moments
    const mean = (component: number) => moments.mean(component)
    const error = (...terms: readonly (readonly [number, number])[]) => moments.standardError(...terms)
    const w = this.#w
    const weight = mean(W)
    // Σws/Σw and Σwe/Σw.
    const ratio = mean(WS) / weight
    const corrected = mean(WE) / weight
    const logged = { value: this.#origin + mean(S), standardError: error([S, 1]) }
    // The sum of w(r − SNIPS) is 0, so that its squares are the co-moments; the delta method divides by n.
    const squares = Math.sqrt((moments.count - 1) / moments.count)
    const snips = {
      value: this.#origin + ratio,
      standardError: squares * error([WS, 1 / weight], [W, -ratio / weight]),
    }
    const gain = error([WS, 1 / weight], [W, -ratio / weight], [S, -1])
    const effectiveSampleSize = w === 0 ? 0 : (w * w) / this.#w2
    return {
      steps: moments.count,
      logged,
      ips: {
        value: this.#origin * weight + mean(WS),
        standardError: error([WS, 1], [W, this.#origin]),
      },
      snips,
      clippedIps: { value: mean(CLIPPED), standardError: error([CLIPPED, 1]) },
      dm: { value: mean(V), standardError: error([V, 1]) },
      dr: { value: mean(V) + mean(WE), standardError: error([V, 1], [WE, 1]) },
      sndr: {
        value: mean(V) + corrected,
        standardError: error([V, 1], [WE, 1 / weight], [W, -corrected / weight]),
      },
      switchDr: { value: mean(V) + mean(SWITCHED), standardError: error([V, 1], [SWITCHED, 1]) },
      clip: this.#clip,
      switchAt: this.#switchAt,
      gain: { value: ratio - mean(S), standardError: gain },
      weightSum: w,
      meanWeight: { value: weight, standardError: error([W, 1]) },
      maxWeight: this.#maxWeight,
      effectiveSampleSize,
      enough: effectiveSampleSize >= ENOUGH,
      rewards: [this.#smallest, this.#largest],
    }
  }
}
