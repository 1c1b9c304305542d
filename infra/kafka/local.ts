/**
 * A real Apache Kafka on loopback for tests and for `--kafka local`: one broker in KRaft mode, started from jars that Maven fetches
 * (local/install.ts). It answers in about 2 s, takes the first topic at about 4 s and holds 200–250 MB.
 *
 * Promises: the broker that answers is the one started here (it carries the cluster id it was formatted with); it dies with this
 * process, however this ends (a watcher reads a pipe that only this process holds open); Ctrl-C does not reach it, so
 * that its clients can close first; its output is kept in `server.log` in the data folder, a folder of its own is removed on stop.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { MillraceError } from '../../schemas/errors.ts'
import { installKafka } from './local/install.ts'
import { type LocalPorts, type LocalSecurity, scramArguments, serverProperties } from './local/settings.ts'

export { KAFKA_VERSION, localKafkaAvailable } from './local/install.ts'
export type { LocalSecurity } from './local/settings.ts'

export interface LocalKafkaOptions {
  /** Where the log lives, kept when the broker stops; a temporary folder, removed at the end, where absent. */
  readonly dataDir?: string
  /** The only number there is for now. */
  readonly brokers?: 1
  readonly security?: LocalSecurity
  /** Further broker settings, such as `{ 'message.max.bytes': '2000000' }`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Told what takes time. */
  readonly onProgress?: (message: string) => void
}

export interface LocalKafka {
  /** `127.0.0.1:<port>`. */
  readonly bootstrap: string
  readonly pid: number
  /** Folder with the log and `server.log`. */
  readonly dataDir: string
  /** Ends the broker cleanly, SIGKILL after 10 s. */
  stop(): Promise<void>
}

const START_PATIENCE_MS = 60_000
const FAST_JVM = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']

/** 16 random bytes as Kafka writes them; the first is kept small, since an id that begins with `-` would look like an option. */
const newClusterId = (): string => {
  const bytes = randomBytes(16)
  bytes[0]! &= 0x7f
  return bytes.toString('base64url')
}

const freePorts = async (): Promise<LocalPorts> => {
  const servers = [createServer(), createServer(), createServer()]
  const listening = (server: Server) =>
    new Promise<number>((done, failed) => {
      server.once('error', failed)
      server.listen(0, '127.0.0.1', () => done((server.address() as { port: number }).port))
    })
  const [client, internal, controller] = await Promise.all(servers.map(listening))
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return { client: client!, internal: internal!, controller: controller! }
}

/** The id a formatted log carries, or undefined where there is none yet. */
const clusterIdOf = (logFolder: string) =>
  readFile(join(logFolder, 'meta.properties'), 'utf8').then(
    (text) => /^cluster\.id=(.+)$/m.exec(text)?.[1],
    () => undefined,
  )

/** Reads a pipe held by this process alone: at its end, whatever ended it, the broker goes too. */
const watchOver = (pid: number, temporaryFolder: string): ChildProcess => {
  const script =
    'cat >/dev/null; kill -TERM "$1"; for i in 1 2 3 4 5; do sleep 1; kill -0 "$1" || break; done; ' +
    'kill -KILL "$1"; if [ -n "$2" ]; then rm -rf "$2"; fi'
  const watcher = spawn('sh', ['-c', script, 'sh', String(pid), temporaryFolder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watcher.unref()
  ;(watcher.stdin as unknown as { unref?(): void }).unref?.()
  return watcher
}

/** The cluster id told by whoever answers at the internal listener, or undefined while nobody does. */
const whoAnswers = async (address: string): Promise<string | undefined> => {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry: { retries: 0 } })
  const admin = kafka.admin()
  try {
    await admin.connect()
    const { clusterId, brokers } = await admin.describeCluster()
    return brokers.length > 0 ? clusterId : undefined
  } catch {
    return undefined
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

const start = async (classPath: string, options: LocalKafkaOptions): Promise<LocalKafka> => {
  const dataDir = options.dataDir
    ? resolve(options.dataDir)
    : await mkdtemp(join(tmpdir(), 'millrace-kafka-'))
  const logFolder = join(dataDir, 'log')
  await mkdir(logFolder, { recursive: true })
  const ports = await freePorts()
  const propertiesFile = join(dataDir, 'server.properties')
  const security = options.security ?? {}
  await writeFile(propertiesFile, serverProperties(ports, logFolder, security, options.settings ?? {}), {
    mode: 0o600,
  })
  const clusterId = (await clusterIdOf(logFolder)) ?? newClusterId()
  if (
    !(await access(join(logFolder, 'meta.properties')).then(
      () => true,
      () => false,
    ))
  ) {
    const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', propertiesFile]
    await promisify(execFile)('java', [
      '-Xmx64m',
      ...FAST_JVM,
      '-cp',
      classPath,
      ...format,
      ...scramArguments(security),
    ]).catch(async (cause: Error) => {
      if (!options.dataDir) await rm(dataDir, { recursive: true, force: true })
      throw new MillraceError('KAFKA_UNAVAILABLE', `no log for the local Kafka: ${cause.message}`, { cause })
    })
  }

  const output = await open(join(dataDir, 'server.log'), 'a')
  const child = spawn('java', ['-Xmx256m', ...FAST_JVM, '-cp', classPath, 'kafka.Kafka', propertiesFile], {
    stdio: ['ignore', output.fd, output.fd],
    detached: true,
  })
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  const watcher = watchOver(child.pid!, options.dataDir ? '' : dataDir)
  await output.close()
  child.unref()
  void ended.then(() => watcher.kill('SIGKILL'))

  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.ref()
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await ended
      clearTimeout(late)
    }
    if (!options.dataDir) await rm(dataDir, { recursive: true, force: true })
  }

  const deadline = Date.now() + START_PATIENCE_MS
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) {
      const said = (await readFile(join(dataDir, 'server.log'), 'utf8')).trim().slice(-2000)
      await stop()
      throw new MillraceError('KAFKA_UNAVAILABLE', `the local Kafka ended while starting: ${said}`)
    }
    const answer = await whoAnswers(`127.0.0.1:${ports.internal}`)
    if (answer === clusterId) break
    if (answer !== undefined || Date.now() > deadline) {
      await stop()
      const reason = answer === undefined ? 'did not answer within 60 s' : 'found its port taken'
      throw new MillraceError('KAFKA_UNAVAILABLE', `the local Kafka ${reason}`)
    }
    await sleep(100)
  }
  return { bootstrap: `127.0.0.1:${ports.client}`, pid: child.pid!, dataDir, stop }
}

/**
 * Starts a broker on free loopback ports and resolves when it answers.
 * @throws MillraceError JAVA_MISSING where Java or Maven is missing; KAFKA_UNAVAILABLE when it ends or stays silent for 60 s.
 */
export const startLocalKafka = async (options: LocalKafkaOptions = {}): Promise<LocalKafka> => {
  const classPath = await installKafka(options.onProgress ?? (() => {}))
  options.onProgress?.('starting Apache Kafka on loopback')
  return start(classPath, options)
}
