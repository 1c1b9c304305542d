/**
 * Brings the tables to the newest version: numbered SQL files of `schemas/clickhouse`, each applied once and recorded with its
 * checksum in the table `migrations`. A file changed after it was applied is refused. Statements may be repeated, so a migration
 * that was cut off, or ran in two processes at once, is simply run again.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '../../schemas/errors.ts'
import { type ClickHouse, quoted } from './connect.ts'
import { packagePath } from './package-root.ts'

export interface MigrationOptions {
  /**
   * Days for which events are kept (default 180, at most 10,000), by their own time: what is older when it arrives is dropped at once.
   * Holds for tables made from now on.
   */
  readonly eventDays?: number
  /** Days for which sums a minute are kept (default 730, at most 10,000). */
  readonly rollupDays?: number
  /** Folder of the SQL files (default: those of this package). */
  readonly directory?: string
}

interface Migration {
  readonly number: number
  readonly name: string
  readonly sha256: string
  readonly sql: string
}

const FILE_NAME = /^(\d{3})-([a-z0-9-]+)\.sql$/

/** The migrations of a folder, in order. */
export const readMigrations = (directory = packagePath('schemas', 'clickhouse')): Migration[] =>
  readdirSync(directory)
    .sort()
    .flatMap((file) => {
      const [, number, name] = FILE_NAME.exec(file) ?? []
      if (number === undefined || name === undefined) return []
      const sql = readFileSync(join(directory, file), 'utf8').replaceAll('\r\n', '\n')
      return [{ number: Number(number), name, sha256: createHash('sha256').update(sql).digest('hex'), sql }]
    })

/** Beyond, the TTL of a late time would leave what DateTime can hold, and rows would vanish. */
const MOST_DAYS = 10_000

const days = (name: string, value: number): string => {
  if (Number.isSafeInteger(value) && value > 0 && value <= MOST_DAYS) return String(value)
  throw new MillraceError(
    'INVALID_CONFIG',
    `${name} must be a whole number of days from 1 to ${MOST_DAYS}, not ${value}`,
  )
}

/** The statements of a file: comments dropped, `{…}` filled in. A statement ends with `;` at the end of a line. */
const statements = (sql: string, ch: ClickHouse, options: MigrationOptions): string[] => {
  // Replicated engines take their path and replica name from the cluster's macros.
  const replicated = ch.cluster === undefined ? '' : 'Replicated'
  const fill = new Map([
    ['cluster', ch.cluster === undefined ? '' : `ON CLUSTER ${quoted(ch.cluster)}`],
    ['MergeTree', `${replicated}MergeTree`],
    ['AggregatingMergeTree', `${replicated}AggregatingMergeTree`],
    ['ReplacingMergeTree', `${replicated}ReplacingMergeTree`],
    ['event_days', days('eventDays', options.eventDays ?? 180)],
    ['rollup_days', days('rollupDays', options.rollupDays ?? 730)],
  ])
  return sql
    .replaceAll(/^\s*--.*$/gm, '')
    .replaceAll(/\{(\w+)\}/g, (whole, name: string) => fill.get(name) ?? whole)
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}

const RECORD = `CREATE TABLE IF NOT EXISTS migrations {cluster}
(number UInt32, name String, sha256 String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = {ReplacingMergeTree} ORDER BY number`

/**
 * Creates the database unless it exists and applies what is missing.
 * @returns the number of the newest migration, and the names of those applied now.
 * @throws MillraceError MIGRATION_CHANGED when a file differs from what was applied; CLICKHOUSE_REFUSED, CLICKHOUSE_UNAVAILABLE;
 * INVALID_CONFIG for days out of range.
 */
export const migrate = async (
  ch: ClickHouse,
  options: MigrationOptions = {},
): Promise<{ version: number; applied: string[] }> => {
  const migrations = readMigrations(options.directory)
  await ch.createDatabase()
  for (const statement of statements(RECORD, ch, options)) await ch.command(statement)
  const recorded = await ch.query<{ number: number; sha256: string }>(
    'SELECT number, sha256 FROM migrations FINAL ORDER BY number',
  )
  const checksums = new Map(recorded.map(({ number, sha256 }) => [number, sha256]))
  // All are compared before any is applied.
  for (const { number, name, sha256 } of migrations) {
    if ((checksums.get(number) ?? sha256) === sha256) continue
    throw new MillraceError(
      'MIGRATION_CHANGED',
      `migration ${number} (${name}) differs from what was applied to database ${ch.database}: restore the file, or put the change into a new migration.`,
    )
  }
  const applied: string[] = []
  for (const { number, name, sha256, sql } of migrations) {
    if (checksums.has(number)) continue
    for (const statement of statements(sql, ch, options)) await ch.command(statement)
    await ch.command(
      'INSERT INTO migrations (number, name, sha256) VALUES ({number:UInt32}, {name:String}, {sha256:String})',
      { number, name, sha256 },
    )
    applied.push(name)
  }
  return { version: migrations.at(-1)?.number ?? 0, applied }
}
