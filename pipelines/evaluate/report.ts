/** What an evaluation has to say, as lines and as JSON: the same for every way that a log is read. */
import {
  anytimeInterval,
  type Estimate,
  expectedSampleSize,
  type Interval,
  interval,
  type Verdict,
  verdictOf,
} from '../../operators/bandits/index.ts'
import type { Evaluated } from '../evaluate.ts'
import type { PolicyOfLog } from './open-bandit.ts'

/** Standard errors from 1 at which the mean weight is told to be off. */
const MANY = 4

/** Estimates that are compared with a policy's own log. */
const COMPARED = ['IPS', 'SNIPS', 'DR']

/** A table of text. */
export type Table = (headings: readonly string[], rows: readonly (readonly string[])[]) => string

/** A line each; the last is the verdict, or why there is none. */
export const reportLines = (report: Evaluated, table: Table): string[] => {
  const { steps, maxWeight, meanWeight, refused, unlearned } = report
  const headings = ['', 'estimate', 'standard error', '95% interval', '95% at any time']
  const rows = estimatesOf(report).map(([name, estimate]) => rowOf(name, estimate, steps))
  return [
    `${steps} steps evaluated${reasons(refused, ', refused')}${reasons(unlearned, ', evaluated and not learned')}`,
    ...table(headings, rows).split('\n'),
    `effective sample size ${sampleSize(report)}, largest weight ${short(maxWeight)}, mean weight ${short(meanWeight.value)} ± ${short(meanWeight.standardError)}`,
    ...notes(report),
    verdictLine(verdictOf(report)),
  ]
}

const sampleSize = (report: Evaluated): string => {
  const { steps, effectiveSampleSize } = report
  const expected = expectedSampleSize(report)
  const beside = Number.isFinite(expected) ? ` (${expected.toFixed(1)} by the logged probabilities)` : ''
  return `${effectiveSampleSize.toFixed(1)} of ${steps}${beside}`
}

const estimatesOf = (report: Evaluated): readonly (readonly [string, Estimate])[] => {
  const { logged, ips, snips, clippedIps, clip, dm, dr, sndr, switchDr, switchAt } = report
  const modelled: readonly (readonly [string, Estimate])[] = [
    ['DM', dm],
    ['DR', dr],
    ['SNDR', sndr],
    [`switch-DR (at ${switchAt})`, switchDr],
  ]
  return [
    ['logged mean', logged],
    ['IPS', ips],
    ['SNIPS', snips],
    [`clipped IPS (at ${clip})`, clippedIps],
    ...modelled.filter(([, { value }]) => !Number.isNaN(value)),
  ]
}

const rowOf = (name: string, estimate: Estimate, steps: number): string[] =>
  Number.isNaN(estimate.value)
    ? [name, 'none']
    : [
        name,
        short(estimate.value, 6),
        short(estimate.standardError, 3),
        between(interval(estimate)),
        between(anytimeInterval(estimate, steps)),
      ]

const notes = (report: Evaluated): string[] => {
  const { steps, support, meanWeight, rewards, dr } = report
  const found: string[] = []
  if (support.unknown > 0)
    found.push(
      `support is not known for ${support.unknown} steps: the log holds the probability of the arm taken alone`,
    )
  if (support.steps > 0 && support.supported)
    found.push(
      `support: ${percent(support.missing)} of the target's probability lies on arms that the log never takes: tolerated`,
    )
  const expected = Math.sqrt(Math.max(0, support.expectedSquare - 1) / steps)
  const error = Math.max(meanWeight.standardError, Number.isNaN(expected) ? 0 : expected)
  // Rounding alone may keep a weight of all steps from being just 1.
  if (steps > 1 && Math.abs(meanWeight.value - 1) > MANY * error + 1e-6)
    found.push(
      'the mean weight should be 1 within its error, and is not: logged propensities are wrong, arms lack support, or a few heavy weights are yet to come',
    )
  if (dr.value < rewards[0] || dr.value > rewards[1])
    found.push(
      `DR lies outside the rewards seen (${short(rewards[0])} to ${short(rewards[1])}), which it may: its terms are corrections, and the sample is small for these weights`,
    )
  return found
}

const verdictLine = (verdict: Verdict): string => {
  if (verdict.is === 'refused')
    return `no verdict: ${verdict.code === 'NO_SUPPORT' ? `${verdict.code}: ` : ''}${verdict.why}`
  const { is, gain, between: ends } = verdict
  const amount = `${gain >= 0 ? '+' : ''}${short(gain)} a decision, ${between(ends)}, by SNIPS`
  return is === 'undecided'
    ? `verdict: this log does not tell them apart (${amount})`
    : `verdict: ${is} than the logged policy (${amount})`
}

/** How the policy's own log, taken at the same time, compares with what was estimated of it. */
export const ownLogLines = ({ own, report }: { own: PolicyOfLog; report: Evaluated }): string[] => [
  `the policy's own log: mean reward ${short(own.mean.value, 6)} ± ${short(own.mean.standardError, 3)}, ${between(interval(own.mean))}, over ${own.rows} steps${own.refused > 0 ? `, ${own.refused} refused` : ''}`,
  ...estimatesOf(report)
    .filter(([name]) => COMPARED.includes(name))
    .map(([name, estimate]) => {
      const { errors, inside } = agreement(estimate, own.mean)
      return `it lies ${inside ? 'within' : 'outside'} the interval of ${name}: they are ${errors.toFixed(2)} standard errors of their difference apart`
    }),
]

/** Whether a mean lies within an estimate's interval, and how many standard errors of the difference lie between them, the logs being independent. */
export const agreement = (
  estimate: Estimate,
  mean: Estimate,
): { readonly inside: boolean; readonly errors: number } => {
  const [low, high] = interval(estimate)
  const apart = Math.abs(estimate.value - mean.value)
  return {
    inside: mean.value >= low && mean.value <= high,
    errors: apart / Math.hypot(estimate.standardError, mean.standardError),
  }
}

/** All of a report as JSON can hold it: intervals beside estimates, null for what there is not. */
export const reportJson = (report: Evaluated): Record<string, unknown> => {
  const { refused, unlearned, ...rest } = report
  const members = Object.entries(rest).map(([key, value]) => [
    key,
    isEstimate(value)
      ? { ...value, interval: interval(value), anytime: anytimeInterval(value, report.steps) }
      : value,
  ])
  return {
    ...Object.fromEntries(members),
    refused: Object.fromEntries(refused),
    ...(unlearned === undefined ? {} : { unlearned: Object.fromEntries(unlearned) }),
    verdict: verdictOf(report),
  }
}

const isEstimate = (value: unknown): value is Estimate =>
  typeof value === 'object' && value !== null && 'standardError' in value

const between = ([low, high]: Interval): string => `${short(low)} to ${short(high)}`

/** Digits enough to read. */
const short = (value: number, digits = 4): string =>
  Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : 'none'

const percent = (share: number): string => `${short(100 * share, 3)}%`

export const reasons = (counts: ReadonlyMap<string, number> | undefined, what: string): string =>
  counts === undefined || counts.size === 0
    ? ''
    : `${what}: ${[...counts].map(([code, count]) => `${code} ${count}`).join(', ')}`
