import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Estimate, interval } from '../../../../operators/bandits/evaluation/interval.ts'
import {
  OffPolicyEstimator,
  type OffPolicyOptions,
} from '../../../../operators/bandits/evaluation/off-policy.ts'
import { goldenPath } from '../../../golden.ts'

const folder = goldenPath('ope')
const load = (name: string) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8'))

type Step = readonly [weight: number, reward: number, predicted?: number, expected?: number]

const estimate = (steps: readonly Step[], options: OffPolicyOptions = {}) => {
  const estimator = new OffPolicyEstimator(options)
  for (const step of steps) estimator.add(...step)
  return estimator.report
}

test('the estimates, their errors and intervals are those of the reference', () => {
  const { n, K, action, propensity, reward, targetPolicy, rewardModel } = load('logged.json')
  const expected = load('estimates.json')
  const steps = Array.from({ length: n }, (_, i): Step => {
    const weight = targetPolicy.data[i * K + action[i]] / propensity[i]
    let v = 0
    for (let a = 0; a < K; a++) v += targetPolicy.data[i * K + a] * rewardModel.data[i * K + a]
    return [weight, reward[i], rewardModel.data[i * K + action[i]], v]
  })
  const report = estimate(steps, { clip: expected.clippedIPS.clip, switchAt: expected.switchDR.tau })
  const close = (found: number, wanted: number) => expect(Math.abs(found - wanted)).toBeLessThan(1e-10)
  const pairs: [Estimate, { estimate: number; se: number; ci95: [number, number] }][] = [
    [report.logged, expected.onPolicyMean],
    [report.ips, expected.IPS],
    [report.snips, expected.SNIPS],
    [report.clippedIps, expected.clippedIPS],
    [report.dm, expected.DM],
    [report.dr, expected.DR],
    [report.switchDr, expected.switchDR],
  ]
  for (const [found, wanted] of pairs) {
    close(found.value, wanted.estimate)
    close(found.standardError, wanted.se)
    for (const end of [0, 1] as const) close(interval(found)[end], wanted.ci95[end])
  }
  close(report.sndr.value, expected.SNDR)
  close(report.effectiveSampleSize, expected.effectiveSampleSize)
  close(report.maxWeight, expected.maxWeight)
  close(report.meanWeight.value, expected.meanWeight)
  expect(report).toMatchObject({ steps: 2_000, enough: true, rewards: [0, 1] })
})

/** Logs of up to 60 steps with sensible numbers. */
const logs = fc.array(
  fc.tuple(
    fc.oneof(fc.constant(0), fc.double({ min: 1e-3, max: 50, noNaN: true })),
    fc.double({ min: -10, max: 10, noNaN: true }),
    fc.double({ min: -10, max: 10, noNaN: true }),
    fc.double({ min: -10, max: 10, noNaN: true }),
  ),
  { minLength: 2, maxLength: 60 },
)

const near = (found: number, wanted: number, scale = 1) =>
  expect(Math.abs(found - wanted)).toBeLessThanOrEqual(1e-9 * Math.max(scale, Math.abs(wanted)))

test('a target that is the policy of the log has its mean, its error, no gain, and all of its steps', () => {
  fc.assert(
    fc.property(logs, (log) => {
      const report = estimate(log.map(([, reward, q, v]) => [1, reward, q, v]))
      expect(report.ips).toEqual(report.logged)
      expect(report.gain).toEqual({ value: 0, standardError: 0 })
      expect(report.snips.value).toBe(report.logged.value)
      expect(report.meanWeight).toEqual({ value: 1, standardError: 0 })
      expect(report.clippedIps.value).toBeCloseTo(report.logged.value, 9)
      expect(report).toMatchObject({ effectiveSampleSize: log.length, maxWeight: 1 })
    }),
  )
})

test('a model that knows nothing makes DR of IPS and SNDR of SNIPS; one that knows all makes DM of them', () => {
  fc.assert(
    fc.property(logs, (log) => {
      const none = estimate(log.map(([weight, reward]) => [weight, reward, 0, 0]))
      near(none.dr.value, none.ips.value, 500)
      near(none.dr.standardError, none.ips.standardError, 500)
      if (none.weightSum > 1e-3) near(none.sndr.value, none.snips.value, 100)
      const all = estimate(log.map(([weight, reward, , v]) => [weight, reward, reward, v]))
      for (const found of [all.dr, all.sndr, all.switchDr]) {
        if (Number.isNaN(found.value)) continue
        near(found.value, all.dm.value)
        near(found.standardError, all.dm.standardError)
      }
    }),
  )
})

test('standard errors are those of the terms, written out', () => {
  const errorOf = (terms: readonly number[], divisor = terms.length - 1) => {
    const mean = terms.reduce((sum, term) => sum + term, 0) / terms.length
    return Math.sqrt(terms.reduce((sum, term) => sum + (term - mean) ** 2, 0) / divisor / terms.length)
  }
  fc.assert(
    fc.property(logs, (log) => {
      const report = estimate(log, { clip: 7, switchAt: 9 })
      const total = (of: (step: (typeof log)[number]) => number) =>
        log.reduce((sum, step) => sum + of(step), 0)
      const sum = total(([w]) => w)
      fc.pre(sum > 1)
      const n = log.length
      const snips = total(([w, r]) => w * r) / sum
      const corrected = total(([w, r, q]) => w * (r - q)) / sum
      const terms: [Estimate, readonly number[]][] = [
        [report.logged, log.map(([, r]) => r)],
        [report.ips, log.map(([w, r]) => w * r)],
        [report.clippedIps, log.map(([w, r]) => Math.min(w, 7) * r)],
        [report.dm, log.map(([, , , v]) => v)],
        [report.dr, log.map(([w, r, q, v]) => v + w * (r - q))],
        [report.switchDr, log.map(([w, r, q, v]) => v + (w <= 9 ? w * (r - q) : 0))],
        [report.sndr, log.map(([w, r, q, v]) => v + (n / sum) * w * (r - q - corrected))],
        [report.gain, log.map(([w, r]) => (n / sum) * w * (r - snips) - r)],
        [report.meanWeight, log.map(([w]) => w)],
      ]
      for (const [found, wanted] of terms)
        expect(Math.abs(found.standardError - errorOf(wanted))).toBeLessThan(1e-4 * (1 + errorOf(wanted)))
    }),
  )
})

test('rewards far from zero cost no digits', () => {
  const steps = Array.from({ length: 500 }, (_, i) => [(i % 7) / 3, (i % 5) / 4] as const)
  const near = estimate(steps)
  const far = estimate(steps.map(([weight, reward]) => [weight, reward + 2 ** 30]))
  expect(far.snips.value - 2 ** 30).toBeCloseTo(near.snips.value, 6)
  expect(far.snips.standardError).toBeCloseTo(near.snips.standardError, 9)
  expect(far.logged.standardError).toBeCloseTo(near.logged.standardError, 9)
  expect(far.gain.value).toBeCloseTo(near.gain.value, 9)
  expect(far.gain.standardError).toBeCloseTo(near.gain.standardError, 9)
})

test('nothing to estimate from gives NaN and no verdict; a policy that never takes the logged arms, no SNIPS', () => {
  const none = estimate([])
  expect(none).toMatchObject({ steps: 0, weightSum: 0, effectiveSampleSize: 0, enough: false })
  for (const { value, standardError } of [none.ips, none.snips, none.logged, none.dr])
    expect([value, standardError]).toEqual([Number.NaN, Number.NaN])
  expect(estimate([[1, 3]]).ips).toEqual({ value: 3, standardError: Number.NaN })
  const never = estimate(Array.from({ length: 300 }, () => [0, 1] as const))
  expect(never).toMatchObject({ ips: { value: 0, standardError: 0 }, effectiveSampleSize: 0, enough: false })
  expect(never.snips.value).toBeNaN()
})

test('without a model there is no DM and no DR, and the rest is as it was', () => {
  const steps = [
    [1, 2],
    [2, 3],
    [0.5, 1],
  ] as const
  const report = estimate(steps)
  for (const { value } of [report.dm, report.dr, report.sndr, report.switchDr]) expect(value).toBeNaN()
  const modelled = estimate(steps.map(([weight, reward]) => [weight, reward, 1, 1]))
  expect(modelled.ips).toEqual(report.ips)
  expect(modelled.snips).toEqual(report.snips)
})

test('a verdict needs an effective sample of 100', () => {
  const alike = (count: number) => Array.from({ length: count }, () => [0.5, 1] as const)
  expect(estimate(alike(99)).enough).toBe(false)
  expect(estimate(alike(100)).enough).toBe(true)
  // One weight that outweighs all others leaves little.
  expect(estimate([...alike(1_000), [500, 1]])).toMatchObject({ enough: false, maxWeight: 500 })
})
