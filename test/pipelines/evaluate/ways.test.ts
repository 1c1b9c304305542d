/** One log, read in three ways (topics, ClickHouse, a file): the same figures, to the last bit. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { PolicyConfig } from '../../../infra/config/policy.ts'
import { verdictOf } from '../../../operators/bandits/index.ts'
import { evaluateFile, evaluateRecorded } from '../../../pipelines/evaluate.ts'
import { replay } from '../../../pipelines/replay.ts'
import type { DecisionRequest, Outcome } from '../../../schemas/generated/events.ts'
import { describeWithClickHouse, useClickHouse } from '../../clickhouse-server.ts'
import { describeOnClusters, failureCode, POLICIES, type Stage } from '../harness.ts'
import { BEGINNING, STEP_MS, writeLog } from '../replay-log.ts'

const TIMEOUT = { timeout: 120_000 }
const ALL = { from: 'beginning', to: 'end' } as const
const COUNT = 300
const ALONE = { policies: [POLICIES[0]] }

const folder = mkdtempSync(join(tmpdir(), 'millrace-ways-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** The stage's policy with another algorithm. */
const otherDense = ({ config }: Stage, algorithm: object, of: object = {}): PolicyConfig => {
  const { name, definition } = config.policies[0]!
  return {
    name,
    definition: { ...definition, ...of, algorithm: { ...definition.algorithm, ...algorithm } },
  }
}

const overTopics = async (stage: Stage, other: PolicyConfig) => {
  const [one] = await replay(stage.runtime, { ...ALL, others: [other], evaluation: {} })
  return one!.other!.report
}

const fileOf = (name: string, requests: readonly DecisionRequest[], outcomes: readonly Outcome[]): string => {
  const byId = new Map(requests.map((request) => [request.requestId, request]))
  const lines = outcomes.map(({ requestId, arm, propensity, probabilities, reward }) => {
    const { context, arms } = byId.get(requestId)!
    return JSON.stringify({ requestId, context, arms, action: arm, propensity, probabilities, reward })
  })
  const file = join(folder, name)
  writeFileSync(file, lines.join('\n'))
  return file
}

describeOnClusters('evaluation over topics', (open) => {
  test('has the figures of the same log in a file', TIMEOUT, async () => {
    const stage = await open({ overrides: ALONE })
    const { requests, outcomes } = await writeLog(stage, COUNT)
    const other = otherDense(stage, { alpha: 1, lambda: 5 })
    const report = await overTopics(stage, other)
    expect(report).toEqual(await evaluateFile(fileOf(`${stage.kind}.jsonl`, requests, outcomes), other))
    expect(report).toMatchObject({ steps: COUNT, support: { missing: 0, unknown: 0 } })
    expect(report.dr.value).not.toBeNaN()
  })

  test('takes the logged policy itself as another, where it is asked to evaluate', TIMEOUT, async () => {
    const stage = await open({ overrides: ALONE })
    await writeLog(stage, COUNT)
    const report = await overTopics(stage, stage.config.policies[0]!)
    // It decides with all outcomes before; the log's decisions were made a few outcomes earlier, and some would have been others.
    expect(report).toMatchObject({ steps: COUNT, support: { missing: 0, supported: true } })
    expect(report.support.expectedSquare).toBeGreaterThan(1)
    expect(report.refused.size + report.unlearned.size).toBe(0)
  })

  test('refuses invalid probabilities, and says where the log gives no support', TIMEOUT, async () => {
    const stage = await open({ overrides: ALONE })
    await writeLog(stage, COUNT, (outcome, i) => {
      if (i === 10) return { ...outcome, propensity: 0 }
      if (i === 11) return { ...outcome, propensity: 1.5 }
      if (i === 12) return { ...outcome, probabilities: outcome.probabilities.map((p) => p + 1e-3) }
      if (i === 13) return { ...outcome, probabilities: [] }
      // As from a policy that has no floor.
      return {
        ...outcome,
        propensity: 1,
        probabilities: outcome.arms.map((id) => (id === outcome.arm ? 1 : 0)),
      }
    })
    const report = await overTopics(stage, otherDense(stage, { alpha: 1 }))
    expect(report.steps).toBe(COUNT - 4)
    expect(Object.fromEntries(report.refused)).toEqual({ INVALID_PROPENSITY: 4 })
    expect(report.support).toMatchObject({ steps: COUNT - 4, supported: false })
    expect(verdictOf(report)).toMatchObject({ is: 'refused', code: 'NO_SUPPORT' })
  })
})

describeWithClickHouse('evaluation over ClickHouse', () => {
  const clickhouse = useClickHouse()
  describeOnClusters(
    'what was recorded',
    (open) => {
      test('has the figures of the topics; ranges are times', TIMEOUT, async () => {
        const stage = await open({ clickhouse, overrides: { ...ALONE, 'clickhouse.retentionDays': 10_000 } })
        await writeLog(stage, COUNT)
        const recording = stage.start(['record'])
        const ch = await stage.runtime.clickhouse()
        await stage.until('rows', async () => {
          const [row] = await ch
            .query<{ n: number }>('SELECT toInt32(count()) AS n FROM outcomes')
            .catch(() => [])
          return row?.n === COUNT
        })
        await recording.stop()
        const other = otherDense(stage, { alpha: 1, lambda: 5 })
        let told = [0, 0]
        const { report, policy } = await evaluateRecorded(
          ch,
          stage.config.policies,
          other,
          {},
          {},
          (...passed) => {
            told = passed
          },
        )
        expect(policy).toBe('dense')
        expect(told).toEqual([COUNT, COUNT])
        expect(report).toEqual(await overTopics(stage, other))
        const range = { from: BEGINNING + 100 * STEP_MS, to: BEGINNING + 150 * STEP_MS }
        const part = await evaluateRecorded(ch, stage.config.policies, other, range)
        expect(part.report.steps).toBe(50)
        // Recorded by a definition that is not the configured one: their vectors may mean something else.
        const changed = await evaluateRecorded(ch, [otherDense(stage, { alpha: 9 })], other, {})
        expect(Object.fromEntries(changed.report.refused)).toEqual({ POLICY_DIFFERS: COUNT })
      })

      test(
        'refuses policies of which the tables cannot tell what they would have chosen',
        TIMEOUT,
        async () => {
          const stage = await open({ clickhouse })
          const ch = await stage.runtime.clickhouse()
          const failed = (logged: readonly PolicyConfig[], other: PolicyConfig) =>
            evaluateRecorded(ch, logged, other, {}).catch((error: unknown) => error)
          const { policies } = stage.config
          const shared = policies.find(({ name }) => name === 'shared')!
          const cases: [readonly PolicyConfig[], PolicyConfig, string][] = [
            [policies, shared, 'arms have features of their own'],
            [
              policies,
              otherDense(stage, {}, { features: { context: { dense: 3 } } }),
              '--policy defines others',
            ],
            [[], policies[0]!, 'the configuration must define the logged policy "dense"'],
          ]
          for (const [logged, other, message] of cases) {
            const error = await failed(logged, other)
            expect(failureCode(error)).toBe('INVALID_CONFIG')
            expect(String(error)).toContain(message)
          }
        },
      )
    },
    ['memory'],
  )
})
