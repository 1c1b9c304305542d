/**
 * The exploration that theory asks of LinUCB (Abbasi-Yadkori, Pál and Szepesvári 2011, theorem 2): with probability 1 − δ,
 * |xᵀ(θ̂ − θ)| ≤ α(t)·√(xᵀV⁻¹x) for every x at every t at once.
 */
import type { OptionRule } from '../models/linear-options.ts'

export interface TheoreticalAlpha {
  /** Standard deviation (sub-Gaussian constant) of a reward's noise; default 1. */
  readonly sigma?: number
  /** Probability of ever being wrong, in (0, 1); default 0.1. */
  readonly delta?: number
  /** Largest length ‖x‖ of a vector; default 1. */
  readonly maxNorm?: number
}

/**
 * α(t) = σ√(d·ln((t·L²/λ + 1)/δ)) + √λ.
 * @param t samples so far, from 0
 */
export const theoreticalAlpha = (
  t: number,
  dimension: number,
  lambda: number,
  { sigma = 1, delta = 0.1, maxNorm = 1 }: TheoreticalAlpha = {},
): number =>
  sigma * Math.sqrt(dimension * Math.log(((t * maxNorm ** 2) / lambda + 1) / delta)) + Math.sqrt(lambda)

/** What an exploration that may be `theory` must hold, and what that assumes. */
export const alphaRules = (
  alpha: number | 'theory',
  { sigma = 1, delta = 0.1, maxNorm = 1 }: TheoreticalAlpha,
): OptionRule[] => [
  ['alpha', alpha, alpha === 'theory' || (Number.isFinite(alpha) && alpha >= 0), "at least 0, or 'theory'"],
  ['theory.sigma', sigma, Number.isFinite(sigma) && sigma >= 0, 'at least 0'],
  ['theory.delta', delta, delta > 0 && delta < 1, 'between 0 and 1'],
  ['theory.maxNorm', maxNorm, Number.isFinite(maxNorm) && maxNorm >= 0, 'at least 0'],
]
