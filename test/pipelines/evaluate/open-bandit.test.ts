/**
 * The Open Bandit sample: what the Thompson policy's click rate should be by the random policy's log, and what it was by its own. The sample lies beside the
 * checkout (or under MILLRACE_DATA) where there is one; elsewhere this is skipped, and says so.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { interval, verdictOf } from '../../../operators/bandits/index.ts'
import { policyOfLog } from '../../../pipelines/evaluate/open-bandit.ts'
import { agreement } from '../../../pipelines/evaluate/report.ts'
import { evaluateFile, evaluatePolicyOfLog } from '../../../pipelines/evaluate.ts'

const root =
  process.env['MILLRACE_DATA'] ?? fileURLToPath(new URL('../../../../shared/data', import.meta.url))
const there = existsSync(`${root}/obd/random/men/men.csv.gz`)
if (!there)
  console.warn(`SKIPPED, no Open Bandit sample in ${root}/obd: the Thompson policy by the random log`)

const log = (policy: 'random' | 'bts', campaign: string) =>
  `${root}/obd/${policy}/${campaign}/${campaign}.csv.gz`

describe.skipIf(!there)('the Thompson policy, by the random policy’s log', () => {
  it.each([
    ['men', 34, 0.0069, { ips: 0.00565627, snips: 0.00573986, dr: 0.0055893 }],
    ['women', 46, 0.0046, { ips: 0.00580569, snips: 0.00583304, dr: 0.00596319 }],
  ] as const)(
    'of %s comes to what its own log says, within the intervals',
    async (campaign, items, mean, expected) => {
      const { report, own } = await evaluatePolicyOfLog(log('random', campaign), log('bts', campaign))
      expect(own).toMatchObject({ rows: 10_000, refused: 0, positions: ['1', '2', '3'] })
      expect(own.items).toHaveLength(items)
      expect(own.mean.value).toBeCloseTo(mean, 12)
      expect(report).toMatchObject({ steps: 10_000, enough: true })
      expect(report.logged.value).toBeCloseTo(0.0046, 12)
      for (const name of ['ips', 'snips', 'dr'] as const) {
        expect(report[name].value).toBeCloseTo(expected[name], 7)
        expect(agreement(report[name], own.mean)).toMatchObject({ inside: true })
        expect(agreement(report[name], own.mean).errors).toBeLessThan(1)
      }
      // Propensities are those by which items were drawn: weights are 1 on average.
      expect(Math.abs(report.meanWeight.value - 1)).toBeLessThan(2 * report.meanWeight.standardError)
      // 46 clicks in the log do not suffice to say that it is better.
      expect(verdictOf(report)).toMatchObject({ is: 'undecided' })
    },
  )

  it('does not come the other way round where its propensities are as small as 1e-6', async () => {
    const { report } = await evaluatePolicyOfLog(log('bts', 'women'), log('random', 'women'))
    expect(report.maxWeight).toBeGreaterThan(20_000)
    expect(report.effectiveSampleSize).toBeLessThan(3)
    expect(verdictOf(report)).toMatchObject({ is: 'refused', code: 'TOO_FEW' })
  })

  it('has frequencies that sum to 1 where its logged propensities change with time', async () => {
    const own = await policyOfLog(log('bts', 'men'))
    for (const position of own.positions) {
      const sum = own.probabilities(position)!.reduce((total, share) => total + share, 0)
      expect(sum).toBeCloseTo(1, 12)
    }
  })

  it('is no other than any policy: LinUCB over its features is evaluated too', {
    timeout: 60_000,
  }, async () => {
    const report = await evaluateFile(log('random', 'men'), {
      name: 'items',
      definition: {
        algorithm: { kind: 'linUcb', variant: 'disjoint', alpha: 0.1, lambda: 1 },
        features: { context: { names: ['position=1', 'position=2', 'position=3'] }, ignoreUnknown: true },
        explorationFloor: 0.1,
      },
    })
    expect(report).toMatchObject({ steps: 10_000 })
    const [low, high] = interval(report.snips)
    expect(low).toBeLessThan(0.0046)
    expect(high).toBeGreaterThan(0.0046)
  })
})
