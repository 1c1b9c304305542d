/**
 * Whether the tables are fit to be written to: all are there, and every one of them, and every table that a materialised view fills from
 * them, drops a block it has seen. Without that a repeated block would count twice, so recording does not start.
 */
import { MillraceError } from '../../schemas/errors.ts'
import type { ClickHouse } from './connect.ts'
import { RECORDED, tableOf } from './rows.ts'

interface Table {
  /** `database.name` */
  readonly id: string
  readonly uuid: string
  readonly engine: string
  readonly definition: string
  /** Ids of the materialised views that read it. */
  readonly views: readonly string[]
}

/** The storage of a replicated table has a window of its own accord, unless it was set to 0. */
const deduplicates = ({ engine, definition }: Table): boolean =>
  /^(Replicated|Shared)/.test(engine)
    ? !/\breplicated_deduplication_window = 0\b/.test(definition)
    : engine === 'Null' || /\bnon_replicated_deduplication_window = [1-9]/.test(definition)

/** Where a materialised view writes: the table it names, else the one hidden inside it. */
const targetOf = ({ id, uuid, definition }: Table): string => {
  const [, named] = /^CREATE MATERIALIZED VIEW \S+ TO (\S+)/.exec(definition) ?? []
  return named?.replaceAll('`', '') ?? `${id.slice(0, id.indexOf('.'))}..inner_id.${uuid}`
}

/**
 * Checks every table that millrace writes to, and all that depends on them.
 * @throws MillraceError MISSING_TABLE, naming all that are missing; NO_DEDUPLICATION_WINDOW, naming the first table that has none.
 */
export const checkTables = async (ch: ClickHouse): Promise<void> => {
  const rows = await ch
    .query<Table>(
      `SELECT concat(database, '.', name) AS id, toString(uuid) AS uuid, engine, create_table_query AS definition,
            arrayMap((d, t) -> concat(d, '.', t), dependencies_database, dependencies_table) AS views
     FROM system.tables WHERE database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema')`,
    )
    .catch((error: Error) => {
      if (error.message.includes('UNKNOWN_DATABASE')) return []
      throw error
    })
  const tables = new Map(rows.map((table) => [table.id, table]))
  const names = RECORDED.map(tableOf)
  const missing = names.filter((name) => !tables.has(`${ch.database}.${name}`))
  if (missing.length > 0) {
    throw new MillraceError(
      'MISSING_TABLE',
      `database ${ch.database} at ${ch.url} lacks ${missing.join(', ')}: run the migrations first.`,
    )
  }
  const open = names.map((name) => `${ch.database}.${name}`)
  const seen = new Set(open)
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const table = tables.get(id)
    // Not visible to this user: its rights do not reach so far.
    if (table === undefined) continue
    if (!deduplicates(table)) {
      throw new MillraceError(
        'NO_DEDUPLICATION_WINDOW',
        `table ${id} would count repeated blocks twice: ALTER TABLE ${id} MODIFY SETTING non_replicated_deduplication_window = 10000, or drop the view that writes to it.`,
      )
    }
    for (const view of table.views) {
      const target = tables.has(view) ? targetOf(tables.get(view)!) : undefined
      if (target === undefined || seen.has(target)) continue
      seen.add(target)
      open.push(target)
    }
  }
}
