/**
 * A test that may be looked at after every step: does a challenger earn more than the champion whose log is read? Each step brings the weight
 * w = π(a|x)/p of the logged arm and its reward, moved into [0, 1] by the stated range. Two terms have the difference of both policies as their mean:
 *
 *   better  D = (w − 1)·r            E[D] ≤ v(challenger) − v(champion), with equality where the log supports the challenger
 *   worse   D = (w − 1)·(1 − r)      E[D] = v(champion) − v(challenger), where it does
 *
 * Both are at least −1, however large a weight: nothing is clipped. With c, the mean so far or 0 if that is less, and ψ(λ) = −log(1 − λ) − λ, for every
 * λ in [0, 1)
 *
 *   exp(λ·Σ(D − E[D]) − ψ(λ)·Σ(D − c)²)
 *
 * is a supermartingale that begins at 1, since exp(λξ − ψ(λ)ξ²) ≤ 1 + λξ for ξ ≥ −1 (Fan, Grama and Liu 2015, "Exponential inequalities for martingales with
 * applications", lemma 4.1); so is its mean over a fixed grid of λ. By Ville's inequality it ever exceeds 1/α with a probability of at most α
 * (Howard, Ramdas, McAuliffe and Sekhon 2021; for importance weights, and the mirrored term: Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro 2022,
 * "Anytime-valid off-policy inference for contextual bandits"). E[D] is that of each step given all before it: policies may learn, and the bounds are
 * about the mean difference over the steps so far, not about one that never changes.
 *
 * Constant memory and time a step; what it says depends on the steps alone, not on when it was asked.
 */
import { MillraceError } from '../../../schemas/errors.ts'

export interface SequentialReport {
  /** Steps that count. */
  readonly steps: number
  /** Steps whose reward lay outside the range: with one of them nothing is said any more (bounds without end, e-values of 0). */
  readonly outside: number
  /** Mean difference challenger − champion over the steps, in units of the reward: unbiased where the log supports the challenger; NaN without steps. */
  readonly difference: number
  /** Bounds of that mean, one-sided each: each holds at all steps at once with a probability of at least 1 − α. */
  readonly lower: number
  readonly upper: number
  /** log of the e-value against “not better so far”: above log(1/α) says better. */
  readonly logBetter: number
  /** log of the e-value against “not worse so far”: above log(1/α) says worse. Needs a log that supports the challenger. */
  readonly logWorse: number
}

export class SequentialTest {
  readonly #low: number
  readonly #width: number
  readonly #better = new LowerSums()
  readonly #worse = new LowerSums()
  #outside = 0

  /** @param rewards the range that holds every reward. @throws MillraceError INVALID_CONFIG unless it is finite and has a width */
  constructor(rewards: readonly [low: number, high: number] = [0, 1]) {
    const [low, high] = rewards
    this.#low = low
    this.#width = high - low
    if (Number.isFinite(this.#width) && this.#width > 0) return
    throw new MillraceError('INVALID_CONFIG', `rewards: [${low}, ${high}] is not a range`)
  }

  /** @param weight π(a|x)/p, at least 0 and finite, π taken before the reward was learned */
  add(weight: number, reward: number): void {
    const r = (reward - this.#low) / this.#width
    if (!(r >= 0 && r <= 1 && weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
      this.#outside++
      return
    }
    this.#better.add((weight - 1) * r)
    this.#worse.add((weight - 1) * (1 - r))
  }

  /** As in the report, without the cost of bounds. */
  get logBetter(): number {
    return this.#silent ? Number.NEGATIVE_INFINITY : this.#better.logEvidence(0)
  }

  get logWorse(): number {
    return this.#silent ? Number.NEGATIVE_INFINITY : this.#worse.logEvidence(0)
  }

  get #silent(): boolean {
    return this.#better.count === 0 || this.#outside > 0
  }

  /** @param alpha of each of the two bounds, in (0, 1). Cost: about 0.1 ms */
  report(alpha: number): SequentialReport {
    const better = this.#better
    const worse = this.#worse
    const steps = better.count
    const difference = steps === 0 ? Number.NaN : (this.#width * better.sum) / steps
    const silent = this.#silent
    return {
      steps,
      outside: this.#outside,
      difference,
      lower: silent ? Number.NEGATIVE_INFINITY : this.#width * better.lower(alpha),
      upper: silent ? Number.POSITIVE_INFINITY : -this.#width * worse.lower(alpha),
      logBetter: this.logBetter,
      logWorse: this.logWorse,
    }
  }
}

/** λ = 2⁻¹ … 2⁻¹⁶, all with the same share: near the best one for sums of squares from 1 to 10¹⁰, at a price of log 16. */
const LAMBDAS = Float64Array.from({ length: 16 }, (_, k) => 2 ** -(k + 1))
const PSI = LAMBDAS.map((lambda) => -Math.log1p(-lambda) - lambda)
const HALVINGS = 60

/** Sums of terms that are at least −1, and what they say about their conditional means. */
class LowerSums {
  count = 0
  sum = 0
  /** Σ(D − c)², each with the c that was known before it. */
  #squares = 0

  add(term: number): void {
    const centre = this.count === 0 ? 0 : Math.min(0, this.sum / this.count)
    this.#squares += (term - centre) ** 2
    this.sum += term
    this.count++
  }

  /** log of the e-value against a mean of at most `mean` over the steps so far. */
  logEvidence(mean: number): number {
    const excess = this.sum - this.count * mean
    let largest = Number.NEGATIVE_INFINITY
    for (let k = 0; k < LAMBDAS.length; k++)
      largest = Math.max(largest, LAMBDAS[k]! * excess - PSI[k]! * this.#squares)
    let total = 0
    for (let k = 0; k < LAMBDAS.length; k++)
      total += Math.exp(LAMBDAS[k]! * excess - PSI[k]! * this.#squares - largest)
    return largest + Math.log(total / LAMBDAS.length)
  }

  /** The largest mean that is refused at level α; −1, below which no mean can be, where none is. */
  lower(alpha: number): number {
    const wanted = -Math.log(alpha)
    let refused = -1
    if (this.logEvidence(refused) < wanted) return refused
    let kept = this.sum / this.count
    for (let i = 0; i < HALVINGS; i++) {
      const middle = (refused + kept) / 2
      if (this.logEvidence(middle) >= wanted) refused = middle
      else kept = middle
    }
    return refused
  }
}
