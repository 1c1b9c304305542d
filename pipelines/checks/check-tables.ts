/** The tables as `millrace check` sees them: what is there, what the next start would make, and nothing changed. */
import { type ClickHouse, connectClickHouse } from '../../infra/clickhouse/connect.ts'
import { embeddedClickHouseAvailable } from '../../infra/clickhouse/embedded.ts'
import { readMigrations } from '../../infra/clickhouse/migrations.ts'
import { checkTables as checkWindows } from '../../infra/clickhouse/tables.ts'
import { clickhouseConnection } from '../../infra/config/connections.ts'
import type { Config } from '../../infra/config/schema.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Finding } from './checks.ts'

/**
 * The embedded ClickHouse is not started: only its library is looked for.
 * @param patienceMs how long a server that does not answer is tried.
 * @throws MillraceError CLICKHOUSE_UNAVAILABLE, CLICKHOUSE_REFUSED, MIGRATION_CHANGED, MISSING_TABLE, NO_DEDUPLICATION_WINDOW
 */
export const checkTables = async (config: Config, patienceMs: number): Promise<Finding[]> => {
  const connection = clickhouseConnection(config)
  if (connection === undefined) return [embedded(config)]
  const clickhouse = await connectClickHouse({ ...connection, patienceMs })
  try {
    const pending = await pendingMigrations(clickhouse)
    const where = `database ${clickhouse.database} at ${clickhouse.url}`
    const detail =
      pending.length === 0
        ? `${where} has every migration and deduplicates`
        : `${where} will be brought up to date when record starts: ${pending.join(', ')}`
    if (pending.length === 0) await checkWindows(clickhouse)
    return [{ ok: true, what: 'tables', detail }]
  } finally {
    await clickhouse.close()
  }
}

const embedded = ({ clickhouse }: Config): Finding => {
  const what = 'tables'
  if (embeddedClickHouseAvailable()) {
    const detail = `no clickhouse.url: an embedded ClickHouse will be started, data in ${clickhouse.dataDirectory}`
    return { ok: true, what, detail }
  }
  const detail =
    'CLICKHOUSE_UNSUPPORTED_PLATFORM: no clickhouse.url, and the library of the embedded ClickHouse is not installed: set clickhouse.url'
  return { ok: false, what, detail }
}

/** Names of the migrations that are not applied. @throws MillraceError MIGRATION_CHANGED */
const pendingMigrations = async (clickhouse: ClickHouse): Promise<string[]> => {
  const recorded = await clickhouse
    .query<{ number: number; sha256: string }>('SELECT number, sha256 FROM migrations FINAL')
    .catch((error: Error) => {
      if (/UNKNOWN_(DATABASE|TABLE)/.test(error.message)) return []
      throw error
    })
  const checksums = new Map(recorded.map(({ number, sha256 }) => [number, sha256]))
  const migrations = readMigrations()
  const changed = migrations.find(({ number, sha256 }) => (checksums.get(number) ?? sha256) !== sha256)
  if (changed !== undefined)
    throw new MillraceError(
      'MIGRATION_CHANGED',
      `migration ${changed.number} (${changed.name}) differs from what was applied to database ${clickhouse.database}`,
    )
  return migrations.filter(({ number }) => !checksums.has(number)).map(({ name }) => name)
}
