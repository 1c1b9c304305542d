/** ClickHouse before the oracle: every record of the topics is one row of its table, and counts once in the rollups. */
import type { ClickHouse } from '../../infra/clickhouse/connect.ts'
import { compare, expectEqual, type Verdict } from './tally.ts'
import type { TopicLog } from './topic-log.ts'

/** Tables that are held against their topics, and the field that names a row in both. */
const TABLES = {
  decisions: 'decisions',
  outcomes: 'outcomes',
  rewards: 'rewards',
  dead_letters: 'dead-letters',
} as const

type Table = keyof typeof TABLES

/** How many rows each table should have; rewards that became dead letters are in no table of rewards. */
export const expectedRows = (log: TopicLog, prefix: string): Record<Table, number> =>
  Object.fromEntries(
    Object.entries(TABLES).map(([table, topic]) => [table, recordsOf(log, prefix + topic).length]),
  ) as Record<Table, number>

const recordsOf = (log: TopicLog, topic: string) =>
  log.records(topic).filter(({ value, headers }) => value !== null && headers['expect'] === undefined)

/** Rows in each table now. */
export const rowsNow = async (clickhouse: ClickHouse): Promise<Record<Table, number>> => {
  const counts = Object.keys(TABLES).map(
    async (table) =>
      [
        table,
        Number((await clickhouse.query<{ n: string }>(`SELECT count() AS n FROM ${table}`))[0]!.n),
      ] as const,
  )
  return Object.fromEntries(await Promise.all(counts)) as Record<Table, number>
}

export const judgeClickHouse = async (
  verdict: Verdict,
  clickhouse: ClickHouse,
  log: TopicLog,
  prefix: string,
): Promise<void> => {
  for (const [table, topic] of Object.entries(TABLES)) {
    const rows = await clickhouse.query<{ place: string }>(
      `SELECT concat(toString(partition), '/', toString(offset)) AS place FROM ${table}`,
    )
    compare(
      verdict,
      `rows of ${table}`,
      recordsOf(log, prefix + topic).map(({ partition, offset }) => `${partition}/${offset}`),
      rows.map(({ place }) => place),
    )
  }
  const number = async (sql: string) => Number((await clickhouse.query<{ n: string }>(sql))[0]!.n)
  const expected = expectedRows(log, prefix)
  const decided = await number('SELECT sum(decisions) AS n FROM decisions_per_minute')
  rollup(verdict, 'decisions_per_minute', expected.decisions, decided)
  const closed = await number('SELECT sum(outcomes) AS n FROM outcomes_per_minute')
  rollup(verdict, 'outcomes_per_minute', expected.outcomes, closed)
  const [rewards] = await clickhouse.query<{ raw: number; rolled: number }>(
    'SELECT (SELECT sum(reward) FROM outcomes) AS raw, (SELECT sum(reward_sum) FROM outcomes_per_minute) AS rolled',
  )
  expectEqual(
    verdict,
    'rewards summed in outcomes_per_minute',
    rewards!.raw.toFixed(6),
    rewards!.rolled.toFixed(6),
  )
}

const rollup = (verdict: Verdict, what: string, expected: number, found: number): void => {
  if (found < expected) verdict.lost += expected - found
  if (found > expected) verdict.doubled += found - expected
  expectEqual(verdict, what, expected, found)
}
