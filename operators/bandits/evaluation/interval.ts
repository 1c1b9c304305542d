/**
 * How sure an estimate is. Two intervals of 95%:
 *
 *   normal     estimate ± 1.96 standard errors: right for a number of steps that was fixed before anybody looked
 *   any time   an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, theorem 2.2, "Time-uniform central limit theory and
 *              asymptotic confidence sequences"): right at all numbers of steps at once, so one may look after each and stop when one likes
 *
 * Both lean on the central limit theorem: where a few weights outweigh all others neither is to be trusted, which is why verdicts ask for an effective
 * sample size.
 */

export interface Estimate {
  /** NaN where there is nothing to estimate from. */
  readonly value: number
  /** NaN below two steps. */
  readonly standardError: number
}

export type Interval = readonly [low: number, high: number]

/** The 97.5% quantile of the normal distribution. */
const Z = 1.959963984540054
const ALPHA = 0.05

/** Steps at which the any-time interval is at its tightest, compared with the normal one. */
export const TIGHTEST_AT = 10_000

/** The normal interval of 95%: value ± 1.959963984540054 standard errors. NaN where there is none. */
export const interval = ({ value, standardError }: Estimate): Interval => [
  value - Z * standardError,
  value + Z * standardError,
]

/**
 * The interval of 95% that holds at all numbers of steps at once; about half as wide again as the normal one near `tightestAt` steps, wider away from it.
 * @param steps n, over which the standard error is σ/√n
 */
export const anytimeInterval = (
  { value, standardError }: Estimate,
  steps: number,
  tightestAt = TIGHTEST_AT,
): Interval => {
  // ρ² that makes the interval about as tight as can be at that number of steps.
  const log = -2 * Math.log(ALPHA)
  const rho2 = (log + Math.log(log + 1)) / tightestAt
  const scale = steps * rho2 + 1
  const widths = Math.sqrt((2 * scale * Math.log(Math.sqrt(scale) / ALPHA)) / (steps * rho2))
  return [value - widths * standardError, value + widths * standardError]
}
