import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, it } from 'vitest'
import { connectClickHouse } from '../../../infra/clickhouse/connect.ts'
import { type EmbeddedClickHouse, startEmbeddedClickHouse } from '../../../infra/clickhouse/embedded.ts'
import { migrate } from '../../../infra/clickhouse/migrations.ts'
import { describeWithEmbeddedClickHouse } from '../../clickhouse-server.ts'

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const diesWithin = async (pid: number, ms: number): Promise<boolean> => {
  const deadline = performance.now() + ms
  while (isAlive(pid) && performance.now() < deadline) await sleep(20)
  return !isAlive(pid)
}

/** Asks as a user of the server's own, without the client. */
const ask = async (url: string, username: string, password: string, sql: string): Promise<string> => {
  const headers = { 'x-clickhouse-user': username, 'x-clickhouse-key': password, connection: 'close' }
  return (await fetch(url, { method: 'POST', body: sql, headers })).text()
}

describeWithEmbeddedClickHouse('the embedded ClickHouse server', () => {
  const servers: EmbeddedClickHouse[] = []
  const folders: string[] = []
  const start: typeof startEmbeddedClickHouse = async (options) => {
    const server = await startEmbeddedClickHouse(options)
    servers.push(server)
    return server
  }
  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), 'millrace-test-'))
    folders.push(path)
    return path
  }
  afterAll(async () => {
    for (const server of servers) await server.stop()
    for (const path of folders) rmSync(path, { recursive: true, force: true })
  })

  it('starts on loopback, answers its user, and stops leaving no process and no temporary directory', async () => {
    const log: string[] = []
    const server = await start({ onLog: (line) => log.push(line) })
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect(await ask(server.url, server.username, server.password, 'SELECT 40 + 2')).toBe('42\n')
    await server.stop()
    await server.gone
    expect(isAlive(server.pid)).toBe(false)
    expect(existsSync(server.dataDir)).toBe(false)
    expect(log.map((line) => line.split(' ').slice(2, 3)[0])).toEqual(['ready', 'stopped'])
  })

  it('lets nobody in as default, whatever settings they bring', async () => {
    const { url } = await start()
    for (const settings of ['', '?max_sessions_for_user=0', '?max_sessions_for_user=100']) {
      expect(await ask(`${url}/${settings}`, 'default', '', 'SELECT 1')).toContain(
        'USER_SESSION_LIMIT_EXCEEDED',
      )
    }
    expect(await ask(url, 'millrace', '', 'SELECT 1')).toContain('AUTHENTICATION_FAILED')
  })

  it('gives its dashboard user SELECT on the tables and nothing else', async () => {
    const server = await start()
    const owner = await connectClickHouse(server)
    await migrate(owner)
    await owner.command('CREATE DATABASE millrace_other')
    await owner.command('CREATE TABLE millrace_other.secrets (a String) ENGINE = Memory')
    await owner.close()
    const { username, password } = server.dashboard
    const select = (sql: string) => ask(`${server.url}/?database=millrace`, username, password, sql)
    expect(await select('SELECT count() FROM decisions')).toBe('0\n')
    expect(await select('SELECT count() FROM reward_rate')).toBe('0\n')
    for (const sql of [
      "INSERT INTO metrics (name, value) VALUES ('m', 1)",
      'ALTER TABLE decisions DELETE WHERE 1',
      'DROP TABLE decisions',
      'CREATE TABLE t (a UInt8) ENGINE = Memory',
      'TRUNCATE TABLE decisions',
      'SELECT * FROM millrace_other.secrets',
      "SELECT * FROM file('/etc/hostname', 'LineAsString', 'line String')",
      "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString', 'line String')",
      "SELECT * FROM executable('true', 'TSV', 'a String')",
      "INSERT INTO FUNCTION file('/tmp/millrace-never', 'TSV', 'a String') VALUES ('x')",
      "SELECT * FROM remote('127.0.0.1', 'system', 'one')",
      'SYSTEM SHUTDOWN',
    ]) {
      expect(await select(sql), sql).toMatch(/ACCESS_DENIED|READONLY|Cannot execute query in readonly mode/)
    }
    expect(await select('SELECT 1 SETTINGS max_memory_usage = 100000000000')).toContain(
      'SETTING_CONSTRAINT_VIOLATION',
    )
    expect(await select('SELECT 1 SETTINGS readonly = 0')).toContain('READONLY')
  })

  it('keeps acknowledged rows when it is killed', async () => {
    const dataDir = folder()
    const first = await start({ dataDir })
    const writer = await connectClickHouse(first)
    await writer.createDatabase()
    await writer.command('CREATE TABLE kept (a UInt64) ENGINE = MergeTree ORDER BY a')
    for (let i = 0; i < 20; i++) await writer.command(`INSERT INTO kept VALUES (${i})`)
    process.kill(first.pid, 'SIGKILL')
    await first.gone
    await writer.close()
    const second = await start({ dataDir })
    const reader = await connectClickHouse(second)
    expect(await reader.query('SELECT count() AS n, sum(a) AS sum FROM kept')).toEqual([
      { n: '20', sum: '190' },
    ])
    await reader.close()
    await second.stop()
    expect(existsSync(dataDir)).toBe(true)
  })

  it('refuses a data directory that another server uses, and a port that is taken', async () => {
    const first = await start({ dataDir: folder() })
    await expect(startEmbeddedClickHouse({ dataDir: first.dataDir })).rejects.toMatchObject({
      code: 'CLICKHOUSE_UNAVAILABLE',
      message: expect.stringContaining('Another ClickHouse server uses the data directory'),
    })
    await expect(
      startEmbeddedClickHouse({ httpPort: Number(new URL(first.url).port) }),
    ).rejects.toMatchObject({
      code: 'CLICKHOUSE_UNAVAILABLE',
      message: expect.stringContaining('Address already in use'),
    })
    expect(await ask(first.url, first.username, first.password, 'SELECT 1')).toBe('1\n')
  })

  it('refuses a database name that is not a plain word', async () => {
    await expect(startEmbeddedClickHouse({ database: 'a.*</query>' })).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
    })
  })

  it.each(['SIGKILL', 'SIGTERM'] as const)(
    'dies within 2 s of a parent ended by %s, and cleans up',
    async (signal) => {
      const program = `
      import { startEmbeddedClickHouse } from './infra/clickhouse/embedded.ts'
      const { pid, dataDir } = await startEmbeddedClickHouse()
      console.log(JSON.stringify({ pid, dataDir }))
      setInterval(() => {}, 1000)`
      const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const line = await new Promise<string>((done) =>
        parent.stdout.once('data', (data) => done(String(data))),
      )
      const { pid, dataDir } = JSON.parse(line) as { pid: number; dataDir: string }
      expect(isAlive(pid)).toBe(true)
      parent.kill(signal)
      expect(await diesWithin(pid, 2_000)).toBe(true)
      expect(existsSync(dataDir)).toBe(false)
    },
  )
})
