/**
 * Off-policy estimates: what another policy would have earned, from a log of what one policy did. Each logged step brings its reward r and the weight
 * w = π(a|x)/p: how much likelier the other policy would have taken the logged arm.
 *
 *   IPS    Σwr/n     unbiased where p is true and above 0 wherever π is; heavy weights make it noisy (Horvitz and Thompson 1952)
 *   SNIPS  Σwr/Σw    a little biased, much steadier (Hájek 1971; Swaminathan and Joachims 2015)
 *
 * Weights are not clipped. The effective sample size (Σw)²/Σw² (Kish 1965) says how many steps of its own the other policy's estimate is worth.
 * Cost: constant, time and memory a step. Sums are of rewards less the first one, and the variance of wr is Welford's, so that a large mean costs no digits.
 */

export interface Estimate {
  /** NaN where there is nothing to estimate from. */
  readonly value: number
  /** NaN below two steps. */
  readonly standardError: number
}

export interface OffPolicyReport {
  /** Steps evaluated. */
  readonly steps: number
  /** Mean reward of the log itself. */
  readonly logged: Estimate
  /** The standard error is the sample's deviation of wr over √n. */
  readonly ips: Estimate
  /** The standard error is that of the delta method: √(Σw²(r − SNIPS)²)/Σw. */
  readonly snips: Estimate
  /** Σw; near `steps` where propensities are true. */
  readonly weightSum: number
  readonly maxWeight: number
  /** (Σw)²/Σw²; 0 where no weight is above 0. */
  readonly effectiveSampleSize: number
  /** Whether the effective sample size allows a verdict: at least ENOUGH. */
  readonly enough: boolean
}

/** Effective steps below which nothing should be concluded. */
export const ENOUGH = 100

export class OffPolicyEstimator {
  readonly #rewards = new Moments()
  readonly #terms = new Moments()
  #maxWeight = 0
  /** The first reward, and sums of w, w² and, with s = r less that reward: ws, w²s, w²s². */
  #origin = 0
  #w = 0
  #w2 = 0
  #ws = 0
  #w2s = 0
  #w2s2 = 0

  /** @param weight π(a|x)/p, at least 0 */
  add(weight: number, reward: number): void {
    if (this.#rewards.count === 0) this.#origin = reward
    this.#rewards.add(reward)
    this.#terms.add(weight * reward)
    const s = reward - this.#origin
    const squared = weight * weight
    this.#w += weight
    this.#w2 += squared
    this.#ws += weight * s
    this.#w2s += squared * s
    this.#w2s2 += squared * s * s
    if (weight > this.#maxWeight) this.#maxWeight = weight
  }

  get report(): OffPolicyReport {
    const w = this.#w
    const s = this.#ws / w
    const residual = this.#w2s2 - 2 * s * this.#w2s + s * s * this.#w2
    const steps = this.#rewards.count
    const effectiveSampleSize = w === 0 ? 0 : (w * w) / this.#w2
    return {
      steps,
      logged: this.#rewards.mean,
      ips: this.#terms.mean,
      snips: {
        value: this.#origin + s,
        standardError: steps < 2 ? Number.NaN : Math.sqrt(Math.max(residual, 0)) / w,
      },
      weightSum: w,
      maxWeight: this.#maxWeight,
      effectiveSampleSize,
      enough: effectiveSampleSize >= ENOUGH,
    }
  }
}

/** Mean and variance of a stream (Welford 1962). */
class Moments {
  count = 0
  #mean = 0
  #squares = 0

  add(value: number): void {
    this.count++
    const before = value - this.#mean
    this.#mean += before / this.count
    this.#squares += before * (value - this.#mean)
  }

  get mean(): Estimate {
    const { count } = this
    return {
      value: count === 0 ? Number.NaN : this.#mean,
      standardError: count < 2 ? Number.NaN : Math.sqrt(this.#squares / (count - 1) / count),
    }
  }
}
