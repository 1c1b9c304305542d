/**
 * A real ClickHouse server with nothing installed: the engine of `@chdb/lib-*` as an HTTP server in a child process on loopback. Starts
 * in about 0.3 s and takes about 240 MB. It ends with its parent however that dies, acknowledged rows survive a kill, and two
 * servers never share a data directory (the engine locks it). One machine only: no replication, no TLS; see docs/clickhouse.md.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '../../schemas/errors.ts'
import { serverXml, usersXml } from './embedded-config.ts'
import { packagePath } from './package-root.ts'

export interface EmbeddedOptions {
  /** Where tables live; a temporary directory, removed at the end, where absent. */
  readonly dataDir?: string
  /** A free port where absent. */
  readonly httpPort?: number
  /** The one database its users see (default `millrace`). */
  readonly database?: string
  /** Receives a line when the server starts, stops, or ends by itself. */
  readonly onLog?: (line: string) => void
}

export interface Credentials {
  readonly username: string
  readonly password: string
}

export interface EmbeddedClickHouse extends Credentials {
  readonly url: string
  readonly database: string
  /** A user who can only SELECT from the database. */
  readonly dashboard: Credentials
  readonly pid: number
  readonly dataDir: string
  /** Resolves when the process is gone, however that came. */
  readonly gone: Promise<void>
  /** Ends the server cleanly (within 10 s, else by force); removes a temporary data directory. May be called twice. */
  stop(): Promise<void>
}

const require = createRequire(import.meta.url)
const START_DEADLINE_MS = 30_000
const STOP_DEADLINE_MS = 10_000
const ATTEMPTS = 3

/** @throws MillraceError CLICKHOUSE_UNSUPPORTED_PLATFORM when the engine's library is not there. */
const findLibrary = (): string => {
  const name = `@chdb/lib-${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`
  try {
    require.resolve('ffi-rs')
    return join(dirname(require.resolve(name)), 'libchdb.so')
  } catch (cause) {
    throw new MillraceError(
      'CLICKHOUSE_UNSUPPORTED_PLATFORM',
      `No embedded ClickHouse here: the optional packages ${name} and ffi-rs are not installed (Linux with glibc and macOS have them). ` +
        'Set clickhouse.url in the configuration to a server of yours, version 24.3 or later.',
      { cause },
    )
  }
}

/** Whether the embedded server can run here. */
export const embeddedClickHouseAvailable = (): boolean => {
  try {
    findLibrary()
    return true
  } catch {
    return false
  }
}

const freePort = (): Promise<number> =>
  new Promise((done, fail) => {
    const server = createServer().once('error', fail)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => done(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })

/** Only our own server knows the password made for it: another process on the port cannot be mistaken for it. */
const answers = async (url: string, { username, password }: Credentials): Promise<boolean> => {
  try {
    const response = await fetch(`${url}/?query=SELECT%201`, {
      headers: { 'x-clickhouse-user': username, 'x-clickhouse-key': password, connection: 'close' },
    })
    return response.ok && (await response.text()).trim() === '1'
  } catch {
    return false
  }
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

/** First line of what the engine said, without the paths of its log files. */
const complaint = (runtime: string): string => {
  const lines = readFileSync(join(runtime, 'stderr.log'), 'utf8').split('\n')
  return (
    lines.find((line) => line.startsWith('Code:')) ??
    lines.find((line) => line.trim() !== '') ??
    'no reason given'
  )
}

const start = async (options: EmbeddedOptions, library: string): Promise<EmbeddedClickHouse> => {
  const database = options.database ?? 'millrace'
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(database)) {
    throw new MillraceError('INVALID_CONFIG', `clickhouse.database must be a plain name, not '${database}'`)
  }
  const log = options.onLog ?? (() => {})
  const begun = performance.now()
  const runtime = mkdtempSync(join(tmpdir(), 'millrace-clickhouse-'))
  const dataDir = resolve(options.dataDir ?? join(runtime, 'data'))
  mkdirSync(dataDir, { recursive: true })
  const port = options.httpPort ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const owner = { username: 'millrace', password: randomBytes(18).toString('base64url') }
  const dashboard = { username: 'dashboard', password: randomBytes(18).toString('base64url') }

  const usersFile = join(runtime, 'users.xml')
  const passwords = { millrace: owner.password, dashboard: dashboard.password }
  const config = { database, dataDir, usersFile, passwords }
  writeFileSync(usersFile, usersXml(config), { mode: 0o600 })
  writeFileSync(join(runtime, 'config.xml'), serverXml(config), { mode: 0o600 })

  const fifo = join(runtime, 'alive')
  execFileSync('mkfifo', ['-m', '600', fifo])
  // Opened for both directions so that neither side waits for the other; closed on exec, so that only this process holds it.
  const alive = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK)
  const stderr = openSync(join(runtime, 'stderr.log'), 'w', 0o600)
  const args = [
    'clickhouse',
    `--path=${dataDir}`,
    `--http_port=${port}`,
    '--listen_host=127.0.0.1',
    `--config-file=${join(runtime, 'config.xml')}`,
    '--log-level=error',
    '--multiquery',
    `--query=SYSTEM START LISTEN HTTP; SELECT count() FROM file('${fifo}', 'LineAsString', 'line String')`,
  ]
  const program = packagePath('infra', 'clickhouse', 'embedded-child.mjs')
  // A session of its own: Ctrl-C in a terminal reaches the parent alone, which drains and then stops the server.
  const child = spawn(process.execPath, [program, JSON.stringify({ library, args, runtime })], {
    detached: true,
    stdio: ['ignore', 'ignore', stderr],
    env: { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'], TZ: 'UTC' },
  })
  closeSync(stderr)
  child.unref()
  let ending = false
  const gone = new Promise<void>((done) => {
    const died = (how: string) => {
      if (!ending) log(`embedded ClickHouse ended by itself (${how})`)
      if (!ending) closeSync(alive)
      ending = true
      done()
    }
    child.once('exit', (code, signal) => died(signal ?? `exit code ${code}`))
    child.once('error', (error) => died(error.message))
  })

  const end = async (): Promise<void> => {
    if (!ending) {
      ending = true
      child.ref()
      closeSync(alive)
    }
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
    await gone
    clearTimeout(force)
    rmSync(runtime, { recursive: true, force: true })
    log('embedded ClickHouse stopped')
  }
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= end()
    return stopped
  }

  const deadline = begun + START_DEADLINE_MS
  while (!(await answers(url, owner))) {
    if (!hasEnded(child) && performance.now() < deadline) {
      await sleep(20)
      continue
    }
    const why = hasEnded(child) ? complaint(runtime) : `no answer within ${START_DEADLINE_MS / 1000} s`
    await stop()
    throw new MillraceError(
      'CLICKHOUSE_UNAVAILABLE',
      /another server instance/i.test(why)
        ? `Another ClickHouse server uses the data directory ${dataDir}: stop it, or choose another clickhouse.dataDirectory.`
        : `The embedded ClickHouse did not start: ${why}`,
    )
  }
  log(
    `embedded ClickHouse ready at ${url} in ${Math.round(performance.now() - begun)} ms, data in ${dataDir}`,
  )
  return { url, database, ...owner, dashboard, pid: child.pid ?? -1, dataDir, gone, stop }
}

/**
 * Starts the embedded server and waits until it answers.
 * @throws MillraceError CLICKHOUSE_UNSUPPORTED_PLATFORM without its library; CLICKHOUSE_UNAVAILABLE when it does not start, with the
 * reason (another server on the data directory, a directory that cannot be written, a port in use); INVALID_CONFIG for a database name that is not a plain word.
 */
export const startEmbeddedClickHouse = async (options: EmbeddedOptions = {}): Promise<EmbeddedClickHouse> => {
  const library = findLibrary()
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(options, library)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (!(error instanceof MillraceError) && code !== undefined) {
        const message = `The embedded ClickHouse did not start: ${(error as Error).message}`
        throw new MillraceError('CLICKHOUSE_UNAVAILABLE', message, { cause: error })
      }
      // A free port may be taken by another process before the server opens it: choose again.
      const portTaken = error instanceof Error && /address already in use/i.test(error.message)
      if (!portTaken || options.httpPort !== undefined || attempt === ATTEMPTS) throw error
    }
  }
}
