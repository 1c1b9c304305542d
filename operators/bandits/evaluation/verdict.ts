/**
 * What a report allows to be said: better or worse than the policy that wrote the log, not to be told apart, or nothing at all, with the reason.
 * Judged is the gain, SNIPS less the logged mean, by the normal interval of 95% of that difference.
 *
 * Where the log holds all probabilities, weights that are to be expected count beside those that came: the effective sample size may not be less by the one than
 * by the other (n/E[w²]), and the error of the gain is at least σ√((E[w²] − 1)/n), σ being the deviation of the rewards. Without this a policy that differs from
 * the logged one in few steps looks better than it on luck alone: all weights seen are 1 or small, and the heavy ones would come in one log of many.
 */
import type { EvaluationReport } from './evaluation.ts'
import { type Interval, interval } from './interval.ts'
import { ENOUGH } from './off-policy.ts'

export type Verdict =
  | { readonly is: 'better' | 'worse' | 'undecided'; readonly gain: number; readonly between: Interval }
  | { readonly is: 'refused'; readonly code: 'NO_SUPPORT' | 'TOO_FEW'; readonly why: string }

export const verdictOf = (report: EvaluationReport): Verdict => {
  const { support, gain, logged } = report
  if (!support.supported) {
    const share = `${percent(support.missing)} of the target's probability`
    const why = `${share} lies on arms that the log never takes (in ${support.steps} steps, at most ${percent(support.largest)} of one): no weighting can say what they would have earned`
    return { is: 'refused', code: 'NO_SUPPORT', why }
  }
  const { effectiveSampleSize } = report
  const expectedSize = expectedSampleSize(report)
  const sample = Math.min(effectiveSampleSize, expectedSize)
  if (!(sample >= ENOUGH)) {
    const by = expectedSize < effectiveSampleSize ? ' by the logged probabilities' : ''
    const why = `the effective sample size is ${sample.toFixed(1)}${by}, below ${ENOUGH}`
    return { is: 'refused', code: 'TOO_FEW', why }
  }
  const { expectedSquare } = support
  const expected = Number.isNaN(expectedSquare) ? 0 : Math.sqrt(Math.max(expectedSquare - 1, 0))
  const standardError = Math.max(gain.standardError, logged.standardError * expected)
  const between = interval({ value: gain.value, standardError })
  const is = between[0] > 0 ? 'better' : between[1] < 0 ? 'worse' : 'undecided'
  return { is, gain: gain.value, between }
}

/** n/E[w²]: the effective sample size that the logged probabilities let expect; infinite where they are not known. */
export const expectedSampleSize = ({ steps, support }: EvaluationReport): number =>
  support.expectedSquare > 0 ? steps / support.expectedSquare : Number.POSITIVE_INFINITY

const percent = (share: number): string => `${Number((100 * share).toPrecision(3))}%`
