import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { OffPolicyEstimator } from '../../../../operators/bandits/evaluation/off-policy.ts'
import { goldenPath } from '../../../golden.ts'

const folder = goldenPath('ope')
const load = (name: string) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8'))

const estimate = (steps: readonly (readonly [weight: number, reward: number])[]) => {
  const estimator = new OffPolicyEstimator()
  for (const [weight, reward] of steps) estimator.add(weight, reward)
  return estimator.report
}

test('the estimates and their errors are those of the reference', () => {
  const { n, K, action, propensity, reward, targetPolicy } = load('logged.json')
  const expected = load('estimates.json')
  const steps = Array.from({ length: n }, (_, i) => {
    const weight = targetPolicy.data[i * K + action[i]] / propensity[i]
    return [weight, reward[i]] as const
  })
  const report = estimate(steps)
  const pairs = [
    [report.logged.value, expected.onPolicyMean.estimate],
    [report.logged.standardError, expected.onPolicyMean.se],
    [report.ips.value, expected.IPS.estimate],
    [report.ips.standardError, expected.IPS.se],
    [report.snips.value, expected.SNIPS.estimate],
    [report.snips.standardError, expected.SNIPS.se],
    [report.effectiveSampleSize, expected.effectiveSampleSize],
    [report.maxWeight, expected.maxWeight],
    [report.weightSum / n, expected.meanWeight],
  ]
  for (const [found, wanted] of pairs) expect(Math.abs(found - wanted)).toBeLessThan(1e-10)
  expect(report).toMatchObject({ steps: 2_000, enough: true })
})

test('rewards far from zero cost no digits', () => {
  const steps = Array.from({ length: 500 }, (_, i) => [(i % 7) / 3, (i % 5) / 4] as const)
  const near = estimate(steps)
  const far = estimate(steps.map(([weight, reward]) => [weight, reward + 2 ** 30]))
  expect(far.snips.value - 2 ** 30).toBeCloseTo(near.snips.value, 6)
  expect(far.snips.standardError).toBeCloseTo(near.snips.standardError, 9)
  expect(far.logged.standardError).toBeCloseTo(near.logged.standardError, 9)
})

test('nothing to estimate from gives NaN and no verdict; a policy that never takes the logged arms, no SNIPS', () => {
  const none = estimate([])
  expect(none).toMatchObject({ steps: 0, weightSum: 0, effectiveSampleSize: 0, enough: false })
  for (const { value, standardError } of [none.ips, none.snips, none.logged])
    expect([value, standardError]).toEqual([Number.NaN, Number.NaN])
  expect(estimate([[1, 3]]).ips).toEqual({ value: 3, standardError: Number.NaN })
  const never = estimate(Array.from({ length: 300 }, () => [0, 1] as const))
  expect(never).toMatchObject({ ips: { value: 0, standardError: 0 }, effectiveSampleSize: 0, enough: false })
  expect(never.snips.value).toBeNaN()
})

test('a verdict needs an effective sample of 100', () => {
  const alike = (count: number) => Array.from({ length: count }, () => [0.5, 1] as const)
  expect(estimate(alike(99)).enough).toBe(false)
  expect(estimate(alike(100)).enough).toBe(true)
  // One weight that outweighs all others leaves little.
  expect(estimate([...alike(1_000), [500, 1]])).toMatchObject({ enough: false, maxWeight: 500 })
})
