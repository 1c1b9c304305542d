import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { migrate, readMigrations } from '../../../infra/clickhouse/migrations.ts'
import { packagePath } from '../../../infra/clickhouse/package-root.ts'
import { encodeBlock } from '../../../infra/clickhouse/rows.ts'
import { checkTables } from '../../../infra/clickhouse/tables.ts'
import { describeWithClickHouse, useClickHouse } from '../../clickhouse-server.ts'
import { NOW } from './events.ts'

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

describeWithClickHouse('the ledgers', () => {
  const server = useClickHouse()

  it('show the newest of each task, the totals, and what is missing', async () => {
    const ch = await server.open()
    const ledger = (partition: number, kind: 'decisions' | 'rewards', taken: number, late: number) => ({
      ...{ partition, kind, taken, used: 5, pending: 2, watermark: partition === 0 ? null : NOW, at: NOW },
      reasons: { late, duplicate: 1 } as Record<string, number>,
    })
    const block = (events: readonly ReturnType<typeof ledger>[], from: number) =>
      encodeBlock(
        'ledger',
        { cluster: 'c', topic: 'ledgers', partition: 0, from, to: from + events.length },
        events.map((event, i) => ({ event, offset: from + i })),
      )
    const older = block(
      [ledger(0, 'decisions', 8, 0), ledger(0, 'decisions', 9, 1), ledger(1, 'decisions', 8, 0)],
      0,
    )
    await ch.insertBlock(block([ledger(0, 'decisions', 10, 2), ledger(0, 'rewards', 9, 0)], 3))
    // What comes late, or twice, is not the newest.
    await ch.insertBlock(older)
    await ch.insertBlock(older)
    expect(
      await ch.query(
        'SELECT task, kind, taken, reasons, reason_sum, imbalance, watermark FROM ledger_tasks WHERE topic = {topic:String}',
        { topic: 'ledgers' },
      ),
    ).toEqual([
      {
        task: 0,
        kind: 'decisions',
        taken: '10',
        reasons: { duplicate: '1', late: '2' },
        reason_sum: '3',
        imbalance: '0',
        watermark: null,
      },
      {
        task: 1,
        kind: 'decisions',
        taken: '8',
        reasons: { duplicate: '1', late: '0' },
        reason_sum: '1',
        imbalance: '0',
        watermark: String(NOW),
      },
      {
        task: 0,
        kind: 'rewards',
        taken: '9',
        reasons: { duplicate: '1', late: '0' },
        reason_sum: '1',
        imbalance: '1',
        watermark: null,
      },
    ])
    expect(
      await ch.query(
        'SELECT kind, tasks, taken, used, pending, reasons, reason_sum, imbalance FROM ledger_totals',
      ),
    ).toEqual([
      {
        kind: 'decisions',
        tasks: '2',
        taken: '18',
        used: '10',
        pending: '4',
        reasons: { duplicate: '2', late: '2' },
        reason_sum: '4',
        imbalance: '0',
      },
      {
        kind: 'rewards',
        tasks: '1',
        taken: '9',
        used: '5',
        pending: '2',
        reasons: { duplicate: '1', late: '0' },
        reason_sum: '1',
        imbalance: '1',
      },
    ])
    expect(await ch.query('SELECT toUInt32(count()) AS n FROM ledgers')).toEqual([{ n: 5 }])
  })
})
