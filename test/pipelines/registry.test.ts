/** The whole chain in Confluent's framing, its schemas in a real registry. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useClickHouse } from '../clickhouse-server.ts'
import { missingForRegistry, type RegistryServer, startRegistryServer } from '../registry-server.ts'
import { describeOnClusters } from './harness.ts'
import { denseRequest, expectReplayed, ids, playRound } from './rounds.ts'

const missing = await missingForRegistry()
if (missing) console.warn(`SKIPPED: pipelines with a real schema registry, for want of ${missing}`)
if (missing && process.env['MILLRACE_REQUIRE_SERVERS'] === '1')
  throw new Error(`${missing} not found, and MILLRACE_REQUIRE_SERVERS=1`)

describe.skipIf(missing)('with a schema registry', () => {
  const clickhouse = useClickHouse()
  let registry: RegistryServer
  beforeAll(async () => {
    registry = await startRegistryServer()
  }, 300_000)
  afterAll(() => registry?.stop())

  describeOnClusters(
    'the jobs',
    (open) => {
      test('decide, join and record what carries registry ids, and go on past ids that nobody knows', {
        timeout: 120_000,
      }, async () => {
        const stage = await open({ clickhouse, overrides: { 'schemaRegistry.url': registry.url } })
        // Registered once before several ask: this registry refuses two registrations of a subject at one time.
        await stage.runtime.codec.prepare([
          'decision',
          'outcome',
          'outcome-correction',
          'dead-letter',
          'reward',
        ])
        stage.start(['decide', 'attribute', 'record'])
        await playRound(stage, ids(0, 30))
        for (const event of [
          'decision-request',
          'decision',
          'reward',
          'outcome',
          'policy-definition',
        ] as const)
          for (const { value } of await stage.records(stage.topic(event))) expect(value![0]).toBe(0)
        const topic = stage.topic('decision-request')
        const good = stage.runtime.codec.encode('decision-request', denseRequest(stage, 100))
        const unknown = Buffer.concat([Buffer.from('007ffffff0', 'hex'), good.subarray(5)])
        await stage.send([unknown, good].map((value) => ({ topic, partition: 0, key: null, value })))
        await stage.eventually('decision', 31)
        const [letter] = await stage.eventually('dead-letter', 1)
        expect(letter!.event).toMatchObject({
          topic,
          stage: 'decode',
          code: 'UNKNOWN_SCHEMA',
          schemaId: String(0x7ffffff0),
          value: unknown,
        })
        const ch = await stage.runtime.clickhouse()
        const rows = async () =>
          Object.values(
            (
              await ch.query<Record<string, string>>(
                'SELECT (SELECT count() FROM decisions) AS d, (SELECT count() FROM outcomes) AS o, (SELECT count() FROM dead_letters) AS l',
              )
            )[0]!,
          ).map(Number)
        await expect.poll(rows, { timeout: 40_000, interval: 100 }).toEqual([31, 30, 1])
        await expectReplayed(stage)
      })
    },
    ['memory'],
  )
})
