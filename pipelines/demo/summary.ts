/** The numbers that a demo run ends with, every one of them counted in ClickHouse or by the process itself. */
import type { ClickHouse } from '../../infra/clickhouse/connect.ts'

export interface Summary {
  readonly events: number
  readonly decisions: number
  readonly rewards: number
  readonly outcomes: number
  readonly deadLetters: number
  readonly rows: Readonly<Record<string, number>>
  readonly rewardRateFirst: number
  readonly rewardRateLast: number
  readonly eventsPerSecond: number
  readonly firstDecisionMs: number
  readonly rssMaxMb: number
  readonly loopDelayP99Ms: number
  /** Of the job `tag`, where it ran. */
  readonly documents?: {
    /** Documents that a model tagged. */
    readonly tagged: number
    /** Labels that the last model served chooses from. */
    readonly labels: number
    /** Models made. */
    readonly retrains: number
    /** Of each model that was served, on the same documents, none of which a model learned from. */
    readonly precisionAt1: readonly number[]
  }
}

const TABLES = ['decisions', 'outcomes', 'rewards', 'dead_letters', 'metrics'] as const
const TABLES_OF_DOCUMENTS = ['document_labels', 'models'] as const
export type Rows = Readonly<Record<(typeof TABLES)[number], number>> &
  Readonly<Partial<Record<(typeof TABLES_OF_DOCUMENTS)[number], number>>>

/** Rows of each table now. @param documents whether those of documents are wanted too */
export const countRows = async (clickhouse: ClickHouse, documents: boolean): Promise<Rows> => {
  const counts = await Promise.all(
    [...TABLES, ...(documents ? TABLES_OF_DOCUMENTS : [])].map(async (table) => {
      const [row] = await clickhouse.query<{ rows: string }>(`SELECT count() AS rows FROM ${table}`)
      return [table, Number(row?.rows ?? 0)] as const
    }),
  )
  return Object.fromEntries(counts) as unknown as Rows
}

/** Mean reward of the first and of the last tenth of the outcomes, in the order of publication (which request ids keep). */
export const rewardRates = async (
  clickhouse: ClickHouse,
  outcomes: number,
): Promise<{ first: number; last: number }> => {
  const tenth = Math.floor(outcomes / 10)
  if (tenth === 0) return { first: 0, last: 0 }
  const rate = async (order: 'ASC' | 'DESC') => {
    const [row] = await clickhouse.query<{ rate: number }>(
      `SELECT avg(reward) AS rate FROM (SELECT reward FROM outcomes ORDER BY request_id ${order} LIMIT {tenth:UInt64})`,
      { tenth },
    )
    return row?.rate ?? 0
  }
  return { first: await rate('ASC'), last: await rate('DESC') }
}
