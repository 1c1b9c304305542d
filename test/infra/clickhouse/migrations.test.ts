import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { migrate, readMigrations } from '../../../infra/clickhouse/migrations.ts'
import { packagePath } from '../../../infra/clickhouse/package-root.ts'
import { checkTables } from '../../../infra/clickhouse/tables.ts'
import { describeWithClickHouse, useClickHouse } from '../../clickhouse-server.ts'

describeWithClickHouse('migrations', () => {
  const server = useClickHouse()
  const directory = mkdtempSync(join(tmpdir(), 'millrace-migrations-'))
  cpSync(packagePath('schemas', 'clickhouse'), directory, { recursive: true })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  it('make every table once, and change nothing when run again', async () => {
    const ch = await server.open(false)
    await expect(checkTables(ch)).rejects.toMatchObject({ code: 'MISSING_TABLE' })
    const all = readMigrations()
    const { version, applied } = await migrate(ch)
    expect(applied).toEqual(all.map(({ name }) => name))
    expect(version).toBe(all.at(-1)?.number)
    const tables = () =>
      ch.query(
        'SELECT name, uuid, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name',
      )
    const before = await tables()
    expect(await migrate(ch)).toEqual({ version, applied: [] })
    expect(await tables()).toEqual(before)
    await checkTables(ch)
  })

  it('run by two processes at once, or cut off half-way, end in the same tables', async () => {
    const ch = await server.open(false)
    await ch.createDatabase()
    await ch.command('CREATE TABLE dead_letters_per_minute AS system.one ENGINE = Memory')
    await ch.command('DROP TABLE dead_letters_per_minute SYNC')
    const runs = await Promise.all([migrate(ch), migrate(ch), migrate(ch)])
    expect(new Set(runs.map(({ version }) => version)).size).toBe(1)
    await checkTables(ch)
    const [row] = await ch.query('SELECT toUInt32(count()) AS n FROM migrations FINAL')
    expect(row).toEqual({ n: readMigrations().length })
  })

  it('refuse a file that changed after it was applied, and apply a new one', async () => {
    const ch = await server.open(false)
    await migrate(ch, { directory })
    writeFileSync(
      join(directory, '900-note.sql'),
      "-- a note; with a semicolon\nCREATE TABLE IF NOT EXISTS note {cluster} (a String)\nENGINE = {MergeTree} ORDER BY a;\nINSERT INTO note VALUES ('a;b');\n",
    )
    expect((await migrate(ch, { directory })).applied).toEqual(['note'])
    expect(await ch.query('SELECT a FROM note')).toEqual([{ a: 'a;b' }])
    writeFileSync(join(directory, '900-note.sql'), 'DROP TABLE note;\n')
    await expect(migrate(ch, { directory })).rejects.toMatchObject({
      code: 'MIGRATION_CHANGED',
      message: expect.stringContaining('900 (note)'),
    })
    expect(await ch.query('SELECT a FROM note')).toEqual([{ a: 'a;b' }])
  })

  it('keep events for as long as told, and refuse what cannot be kept', async () => {
    const ch = await server.open(false)
    await migrate(ch, { eventDays: 30, rollupDays: 365 })
    const [row] = await ch.query(
      "SELECT extract(engine_full, 'toIntervalDay\\\\((\\\\d+)\\\\)') AS days FROM system.tables WHERE database = currentDatabase() AND name = 'outcomes'",
    )
    expect(row).toEqual({ days: '30' })
    for (const eventDays of [0, 1.5, Number.NaN, 10_001]) {
      await expect(migrate(ch, { eventDays })).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
    }
  })
})

describeWithClickHouse('the check of the tables', () => {
  const server = useClickHouse()

  it('names what is missing', async () => {
    const ch = await server.open()
    await ch.command('DROP TABLE rewards SYNC')
    await expect(checkTables(ch)).rejects.toMatchObject({
      code: 'MISSING_TABLE',
      message: expect.stringContaining('lacks rewards:'),
    })
  })

  it.each(['outcomes', 'outcomes_per_minute'])('refuses %s without a deduplication window', async (table) => {
    const ch = await server.open()
    await ch.command(`ALTER TABLE ${table} MODIFY SETTING non_replicated_deduplication_window = 0`)
    await expect(checkTables(ch)).rejects.toMatchObject({
      code: 'NO_DEDUPLICATION_WINDOW',
      message: expect.stringContaining(`.${table} `),
    })
    await ch.command(`ALTER TABLE ${table} MODIFY SETTING non_replicated_deduplication_window = 100`)
    await checkTables(ch)
  })

  it('refuses a view of the user that fills a table without the window, at any depth', async () => {
    const ch = await server.open()
    await ch.command(
      'CREATE MATERIALIZED VIEW inner_view ENGINE = SummingMergeTree ORDER BY policy AS SELECT policy, count() AS n FROM outcomes GROUP BY policy',
    )
    await expect(checkTables(ch)).rejects.toMatchObject({ code: 'NO_DEDUPLICATION_WINDOW' })
    await ch.command('DROP TABLE inner_view SYNC')
    await checkTables(ch)
    await ch.command('CREATE TABLE deep (policy String) ENGINE = MergeTree ORDER BY policy')
    await ch.command('CREATE MATERIALIZED VIEW to_deep TO deep AS SELECT policy FROM outcomes_per_minute')
    await expect(checkTables(ch)).rejects.toMatchObject({
      code: 'NO_DEDUPLICATION_WINDOW',
      message: expect.stringContaining('.deep '),
    })
  })
})
