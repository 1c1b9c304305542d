import { beforeEach, expect, it } from 'vitest'
import type { ClickHouse } from '../../../infra/clickhouse/connect.ts'
import { encodeBlock } from '../../../infra/clickhouse/rows.ts'
import { describeWithClickHouse, useClickHouse } from '../../clickhouse-server.ts'
import { EXAMPLES, NOW, outcome } from './events.ts'

const range = (from: number, to: number) => ({ cluster: 'c', topic: 'outcomes', partition: 0, from, to })

/** The block of the outcomes [from, to), the i-th a second after the other from `start`. */
const outcomes = (from: number, to: number, start = NOW) =>
  encodeBlock(
    'outcome',
    range(from, to),
    Array.from({ length: to - from }, (_, i) => ({ event: outcome(from + i, start), offset: from + i })),
  )

describeWithClickHouse('a block of rows', () => {
  const server = useClickHouse()
  let ch: ClickHouse
  beforeEach(async () => {
    ch = await server.open()
  })

  /** Rows of the table, of its rollup, and the reward in both. */
  const counts = async () => {
    const [table] = await ch.query('SELECT toUInt32(count()) AS n, sum(reward) AS reward FROM outcomes')
    const [rollup] = await ch.query(
      'SELECT toUInt32(sum(outcomes)) AS n, sum(reward_sum) AS reward FROM outcomes_per_minute',
    )
    return { table, rollup }
  }
  const both = (n: number, reward: number) => ({ table: { n, reward }, rollup: { n, reward } })

  it('sent three times counts once, in the table and in the rollup', async () => {
    for (const _ of [1, 2, 3]) await ch.insertBlock(outcomes(0, 1_000))
    await ch.insertBlock(outcomes(1_000, 1_500))
    await ch.insertBlock(outcomes(0, 1_000))
    await ch.insertBlock(outcomes(1_000, 1_500))
    expect(await counts()).toEqual(both(1_500, 750))
  })

  it('that spans two months, sent three times, counts once', async () => {
    const start = Date.UTC(2026, 0, 31, 23, 59, 0)
    for (const _ of [1, 2, 3]) await ch.insertBlock(outcomes(0, 120, start))
    expect(await counts()).toEqual(both(120, 60))
    const [{ months }] = (await ch.query(
      'SELECT toUInt32(uniq(toYYYYMM(occurred_at))) AS months FROM outcomes',
    )) as [{ months: number }]
    expect(months).toBe(2)
  })

  it('larger than what the server takes at once, sent twice, counts once', async () => {
    const block = outcomes(0, 200_000)
    for (const _ of [1, 2]) await ch.insertBlock(block)
    expect(await counts()).toEqual(both(200_000, 100_000))
  })

  it('sent by two writers at once counts once', async () => {
    await Promise.all([1, 2, 3, 4].map(() => ch.insertBlock(outcomes(0, 5_000))))
    expect(await counts()).toEqual(both(5_000, 2_500))
  })

  it('of other rows under another token counts, be the rows equal or not', async () => {
    const block = outcomes(0, 10)
    await ch.insertBlock(block)
    await ch.insertBlock({ ...block, token: 'another' })
    expect(await counts()).toEqual(both(20, 10))
  })

  it('whose events lie in very many months is taken whole', async () => {
    const records = Array.from({ length: 300 }, (_, i) => ({
      event: { ...outcome(i), occurredAt: Date.UTC(2000 + Math.floor(i / 12), i % 12, 1) + 400 * 86_400_000 },
      offset: i,
    }))
    for (const _ of [1, 2]) await ch.insertBlock(encodeBlock('outcome', range(0, 300), records))
    // What is older than the time kept may be gone from the tables, never doubled.
    const { rollup, table } = (await counts()) as { rollup: { n: number }; table: { n: number } }
    expect(table.n).toBeGreaterThan(200)
    expect(table.n).toBeLessThanOrEqual(300)
    expect(rollup.n).toBeLessThanOrEqual(300)
  })

  it('with a column the table lacks, or bytes cut off, is refused and leaves no row', async () => {
    const block = outcomes(0, 100)
    const refused = { code: 'CLICKHOUSE_REFUSED' }
    await expect(ch.insertBlock({ ...block, columns: [...block.columns, 'nope'] })).rejects.toMatchObject(
      refused,
    )
    await expect(ch.insertBlock({ ...block, table: 'nope' })).rejects.toMatchObject(refused)
    await expect(ch.insertBlock({ ...block, bytes: block.bytes.subarray(0, -1) })).rejects.toMatchObject(
      refused,
    )
    expect(await counts()).toEqual(both(0, 0))
  })

  it('fills the rollups of decisions, metrics and dead letters too, once', async () => {
    const rows = Array.from({ length: 10 }, (_, i) => i)
    const blocks = [
      encodeBlock(
        'decision',
        range(0, 10),
        rows.map((offset) => ({ event: EXAMPLES.decision, offset })),
      ),
      encodeBlock(
        'metric',
        range(0, 10),
        rows.map((i) => ({ event: { ...EXAMPLES.metric, value: i }, offset: i })),
      ),
      encodeBlock(
        'dead-letter',
        range(0, 10),
        rows.map((offset) => ({ event: EXAMPLES['dead-letter'], offset })),
      ),
    ]
    for (const block of [...blocks, ...blocks]) await ch.insertBlock(block)
    expect(
      await ch.query('SELECT toUInt32(decisions) AS decisions, share, mean_propensity FROM arm_share'),
    ).toEqual([{ decisions: 10, share: 1, mean_propensity: expect.closeTo(0.3) }])
    expect(
      await ch.query('SELECT name, toUInt32(values) AS n, mean, minimum, maximum FROM metric_minutes'),
    ).toEqual([{ name: 'loss', n: 10, mean: 4.5, minimum: 0, maximum: 9 }])
    expect(
      await ch.query('SELECT source_topic, stage, code, toUInt32(dead_letters) AS n FROM dead_letter_counts'),
    ).toEqual([{ source_topic: 'decision-requests', stage: 'decode', code: 'MALFORMED_AVRO', n: 10 }])
  })

  it('shows the reward rate climbing, over time and over tenths', async () => {
    const records = Array.from({ length: 1_000 }, (_, i) => ({
      event: { ...outcome(i), reward: (i * 7) % 1_000 < i ? 1 : 0 },
      offset: i,
    }))
    await ch.insertBlock(encodeBlock('outcome', range(0, 1_000), records))
    const curve = await ch.query<{ tenth: string; outcomes: string; reward_rate: number }>(
      'SELECT * FROM learning_curve',
    )
    expect(curve.map(({ tenth, outcomes }) => [Number(tenth), Number(outcomes)])).toEqual(
      Array.from({ length: 10 }, (_, i) => [i + 1, 100]),
    )
    const first = records.slice(0, 100).reduce((sum, { event }) => sum + event.reward, 0) / 100
    const last = records.slice(-100).reduce((sum, { event }) => sum + event.reward, 0) / 100
    expect([curve[0]?.reward_rate, curve[9]?.reward_rate]).toEqual([first, last])
    const minutes = await ch.query<{ reward_rate: number; outcomes: string; standard_error: number }>(
      "SELECT * FROM reward_rate WHERE policy = 'p'",
    )
    expect(minutes.length).toBeGreaterThan(10)
    expect(minutes.reduce((sum, { outcomes }) => sum + Number(outcomes), 0)).toBe(1_000)
    expect(minutes.at(-2)!.reward_rate).toBeGreaterThan(minutes[1]!.reward_rate + 0.5)
    const rate = minutes[5]!.reward_rate
    expect(minutes[5]!.standard_error).toBeCloseTo(Math.sqrt((rate * (1 - rate)) / 60), 9)
  })
})
