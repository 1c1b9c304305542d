import { describe, expect, it } from 'vitest'
import { checkTables } from '../../../pipelines/checks/check-tables.ts'
import { checkPolicies, checkSchemas, checkTopics, finding } from '../../../pipelines/checks/checks.ts'
import { DECISION_EVENTS, ensureTopics } from '../../../pipelines/checks/topics.ts'
import { topicOf } from '../../../pipelines/process/runtime.ts'
import { applyDefinitions } from '../../../pipelines/states/policies.ts'
import {
  describeWithClickHouse,
  describeWithEmbeddedClickHouse,
  useClickHouse,
} from '../../clickhouse-server.ts'
import { configOf, policy, surroundings } from './cluster.ts'
import { useCommandLine } from './millrace.ts'

describe('what check finds', () => {
  it('reads every released schema', async () => {
    expect(await checkSchemas()).toMatchObject([{ ok: true, what: 'schemas' }])
  })

  it('names the topics that are missing, and makes none', async () => {
    const { broker, config } = surroundings({ 'topics.prefix': 'shop.' })
    const [found] = await checkTopics(config, broker)
    expect(found).toMatchObject({ ok: false })
    expect(found!.detail).toMatch(/^MISSING_TOPIC: .*shop\.decisions.*shop\.dead-letters/)
    expect(await broker.admin.describe()).toEqual([])
  })

  it('names topics that are read together and uneven, and dead letters that would not fit', async () => {
    const { broker, config, cluster } = surroundings()
    for (const event of DECISION_EVENTS) {
      const partitions = event === 'reward' ? 3 : 4
      const limit = event === 'dead-letter' ? { 'max.message.bytes': '100000' } : {}
      cluster.create({ topic: topicOf(config, event), partitions, config: limit })
    }
    const details = (await checkTopics(config, broker)).map(({ ok, detail }) => `${ok} ${detail}`)
    expect(details).toEqual([
      expect.stringMatching(/^false PARTITION_MISMATCH: attribute: decisions has 4, rewards has 3/),
      expect.stringMatching(/^false PARTITION_MISMATCH: record: /),
      expect.stringMatching(/^false MESSAGE_TOO_LARGE: dead-letters has max.message.bytes 100000/),
    ])
  })

  it('names topics that the join reads and that keep too little, deferred activations among them', async () => {
    const join = { 'join.window': '1h', 'join.grace': '1m', 'join.dedupHorizon': '59m' }
    const found = async (overrides: Record<string, unknown>) => {
      const { broker, config, cluster } = surroundings({ ...join, ...overrides })
      const settings: Partial<Record<string, Record<string, string>>> = {
        decision: { 'retention.ms': '7200000' },
        reward: { 'retention.ms': '7199999' },
        activation: { 'retention.ms': '-1', 'cleanup.policy': 'compact' },
        // Nothing that the join reads.
        metric: { 'retention.ms': '1' },
      }
      for (const event of DECISION_EVENTS)
        cluster.create({ topic: topicOf(config, event), partitions: 1, config: settings[event] ?? {} })
      return (await checkTopics(config, broker)).map(({ ok, detail }) => `${ok} ${detail}`)
    }
    const decisions = expect.stringMatching(
      /^false RETENTION_TOO_SHORT: decisions has retention.ms 7200000, .*7260000/,
    )
    expect(await found({ 'join.grace': '0ms', 'join.window': '1h', 'join.dedupHorizon': '1h' })).toEqual([
      expect.stringMatching(/^false RETENTION_TOO_SHORT: rewards has retention.ms 7199999/),
    ])
    expect(await found({ 'join.dedupHorizon': '1h', 'join.activation': 'deferred' })).toEqual([
      decisions,
      expect.stringMatching(/^false RETENTION_TOO_SHORT: rewards/),
      expect.stringMatching(/^false RETENTION_TOO_SHORT: activations is compacted/),
    ])
  })

  it('finds topics that millrace made in order', async () => {
    const here = surroundings()
    await ensureTopics(here, true)
    expect(await checkTopics(here.config, here.broker)).toMatchObject([{ ok: true }])
  })

  it('says whether the policies agree with the log', async () => {
    const here = surroundings({ policies: [policy(0.25)] })
    await ensureTopics(here, true)
    const check = () => checkPolicies(here.config, here.broker, undefined)
    expect(await check()).toMatchObject([
      { ok: false, detail: expect.stringMatching(/^POLICY_DIFFERS: "homepage"/) },
    ])
    await applyDefinitions(here)
    expect(await check()).toMatchObject([{ ok: true }])
  })
})

describeWithClickHouse('what check finds in ClickHouse', () => {
  const server = useClickHouse()
  const check = async (database: string) => {
    const { url, username, password } = await server.options()
    const config = configOf({
      clickhouse: { url, username, database, ...(password === '' ? {} : { password }) },
    })
    return finding('tables', () => checkTables(config, 1_000))
  }

  it('names the migrations that a start would apply, and applies none', async () => {
    const ch = await server.open(false)
    for (let twice = 0; twice < 2; twice++)
      expect(await check(ch.database)).toMatchObject([
        {
          ok: true,
          detail: expect.stringMatching(
            /brought up to date .*: events, rollups, views, ledgers, simulations, tags$/,
          ),
        },
      ])
  })

  it('finds tables as they were made in order, and says what was changed', async () => {
    const ch = await server.open()
    expect(await check(ch.database)).toMatchObject([
      { ok: true, detail: expect.stringMatching(/every migration/) },
    ])
    await ch.command('ALTER TABLE decisions MODIFY SETTING non_replicated_deduplication_window = 0')
    expect(await check(ch.database)).toMatchObject([
      { ok: false, detail: expect.stringMatching(/^NO_DEDUPLICATION_WINDOW/) },
    ])
    await ch.command('DROP TABLE decisions')
    expect(await check(ch.database)).toMatchObject([
      { ok: false, detail: expect.stringMatching(/^MISSING_TABLE/) },
    ])
  })
})

describeWithEmbeddedClickHouse('millrace check', () => {
  const millrace = useCommandLine()
  const SOURCES = `kafka: { adapter: memory }
sources:
  - topic: clicks
    event: reward
    sample: click.json
    fields: { requestId: $.id, value: $.amount, occurredAt: $.at }
`

  it('shows what a sample becomes, and is well', async () => {
    millrace.write('sources.yaml', SOURCES)
    millrace.write('click.json', '{"id": "r1", "amount": 2, "at": 1700000000000}')
    const { code, stdout } = await millrace.run('check', '--config', 'sources.yaml')
    expect(code).toBe(0)
    expect(stdout).toContain(
      'ok   mapping clicks: the sample gives reward {"requestId":"r1","rewardId":"","value":2,"occurredAt":1700000000000}',
    )
    expect(stdout).toContain('ok   tables: no clickhouse.url: an embedded ClickHouse will be started')
    expect(stdout).not.toContain('FAIL')
  })

  it('runs every check whatever the others found, and has one exit code', async () => {
    millrace.write(
      'broken.yaml',
      `${SOURCES.replace('click.json', 'broken.json')}clickhouse: { url: 'http://127.0.0.1:1', patience: 0 }\n`,
    )
    millrace.write('broken.json', '{"id": "r1", "amount": "many", "at": 1}')
    const { code, stdout, stderr } = await millrace.run('check', '--config', 'broken.yaml')
    expect(code).toBe(1)
    expect(stderr).toBe('')
    const verdicts = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(':')[0])
    expect(verdicts).toEqual([
      'ok   schemas',
      'ok   configuration',
      'FAIL mapping clicks',
      'ok   registry',
      'ok   kafka',
      'ok   topics',
      'ok   policies',
      'FAIL tables',
    ])
    expect(stdout).toMatch(/FAIL mapping clicks: MAPPING_FAILED: .*value/)
    expect(stdout).toContain('FAIL tables: CLICKHOUSE_UNAVAILABLE')
  })
})
