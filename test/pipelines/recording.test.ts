/** What is in ClickHouse is what is in the topics: the same rows, every column, once each. */
import { expect, test } from 'vitest'
import type { EventName, EventTypes } from '../../schemas/generated/events.ts'
import { describeWithClickHouse, useClickHouse } from '../clickhouse-server.ts'
import { describeOnClusters, type Stage } from './harness.ts'
import { ids, playRound } from './rounds.ts'

const TIMEOUT = { timeout: 120_000 }

const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** The rows of a table as events with their places; times in milliseconds, 64-bit numbers as numbers. */
const rowsOf = async (stage: Stage, table: string, times: readonly string[], longs: readonly string[]) => {
  const ch = await stage.runtime.clickhouse()
  const replaced = [
    ...times.map((column) => `toUnixTimestamp64Milli(${column}) AS ${column}`),
    ...(table === 'ledgers' ? ['mapApply((reason, n) -> (reason, toInt32(n)), reasons) AS reasons'] : []),
  ].join(', ')
  const rows = await ch.query<Record<string, unknown>>(
    `SELECT * REPLACE (${replaced}) FROM ${table} ORDER BY partition, offset`,
  )
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([column, value]) => [
        camel(column),
        value !== null && [...times, ...longs, 'offset'].includes(column) ? Number(value) : value,
      ]),
    ),
  )
}

const expected = async (stage: Stage, event: EventName) =>
  (await stage.events(event)).map(({ event: value, partition, offset }) => ({
    ...value,
    // Its own partition is the task's; `partition` says where it was read.
    ...(event === 'ledger' ? { task: (value as EventTypes['ledger']).partition } : {}),
    topic: stage.topic(event),
    partition,
    offset,
  }))

describeWithClickHouse('recording', () => {
  const clickhouse = useClickHouse()
  describeOnClusters('record', (open) => {
    test('every column of every decision, outcome and reward is that of its event', TIMEOUT, async () => {
      const stage = await open({ clickhouse })
      stage.start(['decide', 'attribute', 'record'])
      await playRound(stage, ids(0, 50))
      await playRound(stage, ids(50, 50))
      await stage.publish(
        'activation',
        [{ requestId: 'r-000001', occurredAt: 1_700_000_000_123 }].map((event) => ({
          ...event,
          occurredAt: stage.time,
        })),
      )
      await stage.publish('metric', [{ name: 'm', value: 0.1, labels: { b: '2', a: '1' }, at: stage.time }])
      const ledger = {
        kind: 'decisions',
        taken: 9,
        used: 5,
        pending: 3,
        watermark: null,
        at: stage.time,
      } as const
      await stage.publish('ledger', [{ ...ledger, partition: 7, reasons: { late: 1 } }])
      const tables = [
        ['decision', 'decisions', ['occurred_at', 'decided_at'], ['state_offset', 'request_offset']],
        [
          'outcome',
          'outcomes',
          ['occurred_at', 'closed_at', 'reward_occurred_at'],
          ['state_offset', 'request_offset'],
        ],
        ['reward', 'rewards', ['occurred_at'], []],
        ['activation', 'activations', ['occurred_at'], []],
        ['metric', 'metrics', ['at'], []],
        ['ledger', 'ledgers', ['at'], ['taken', 'used', 'pending', 'watermark']],
      ] as const
      for (const [event, table, times, longs] of tables) {
        const wanted = await expected(stage, event)
        expect(wanted.length).toBeGreaterThan(0)
        await stage.until(
          `the rows of ${table}`,
          async () => (await rowsOf(stage, table, times, longs)).length >= wanted.length,
        )
        // More may have come since.
        const ends = new Map(wanted.map(({ partition, offset }) => [partition, offset]))
        const rows = await rowsOf(stage, table, times, longs)
        expect(
          rows.filter((row) => Number(row['offset']) <= (ends.get(Number(row['partition'])) ?? -1)),
        ).toEqual(wanted)
      }
      const ch = await stage.runtime.clickhouse()
      expect(await ch.query('SELECT topic, kind, imbalance FROM ledger_tasks WHERE task = 7')).toEqual([
        { topic: stage.topic('ledger'), kind: 'decisions', imbalance: '0' },
      ])
      const twice = await ch.query(`SELECT request_id FROM outcomes GROUP BY request_id HAVING count() > 1`)
      expect(twice).toEqual([])
    })

    test('what is decided while nobody records is recorded when somebody does', TIMEOUT, async () => {
      const stage = await open({ clickhouse })
      stage.start(['decide', 'attribute'])
      await playRound(stage, ids(0, 30))
      const first = stage.start(['record'])
      const ch = await stage.runtime.clickhouse()
      const count = async () =>
        Number((await ch.query<{ n: string }>('SELECT count() AS n FROM outcomes'))[0]!.n)
      await stage.until('the first rows', async () => (await count()) === 30)
      await first.stop()
      await playRound(stage, ids(30, 30))
      stage.start(['record'], await stage.process())
      await stage.until('all rows', async () => (await count()) === 60)
    })
  })
})
