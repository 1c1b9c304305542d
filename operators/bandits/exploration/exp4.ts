/**
 * EXP4: which of n candidates earns most, where each would have chosen among arms by itself and it is known what each would have chosen (Auer, Cesa-Bianchi,
 * Freund and Schapire 2002, section 7). Every reward tells of every candidate: candidate i is credited with (r − b)·π_i(arm)/π(arm), not only the one drawn.
 *
 *   p_i = γ/n + (1 − γ)·w_i/Σw,  w_i = exp(η·G_i),  G_i += (r − b)·π_i(arm)/π(arm);  η = γ = min(1, √(ln n / 2T))
 *
 * b, the mean of about the last 1,000 rewards, takes nothing from the expectation of a difference between candidates (Σ_a π_i(a) = 1 for each) and most of
 * the variance. Where candidates agree they are credited alike, so that nothing but their disagreements moves the weights. EXP3 sees the noise of every
 * draw, a factor of n or more.
 *
 * Not part of Syndicated or RobustBandit. The state is no sum: b depends on the order. Horizons and epochs are those of EXP3.
 */
import { BASELINE, Exp3 } from './exp3.ts'

/** Rewards that the baseline remembers. */
const MEMORY = 1_000

export class Exp4 extends Exp3 {
  override readonly drawn = false

  override get gamma(): number {
    return this.rate
  }

  /** η in force. */
  override get rate(): number {
    return Math.min(1, Math.sqrt(Math.log(this.size) / (2 * this.horizon)))
  }

  override learn(reward: number, weights: Float64Array): void {
    const { state } = this
    const gain = this.scale(reward)
    state[BASELINE] = state[BASELINE]! + (gain - state[BASELINE]!) / Math.min(this.learned + 1, MEMORY)
    this.credit(gain - state[BASELINE]!, weights)
  }
}
