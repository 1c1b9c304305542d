/**
 * One broker of a local Kafka, which is one of its controllers too: a folder with its log, its properties and what it printed, its
 * ports for good, and a process that comes and goes.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { MillraceError } from '../../../schemas/errors.ts'

const START_PATIENCE_MS = 60_000
const STOP_PATIENCE_MS = 10_000
const FAST_JVM = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']

export interface NodeSetting {
  /** From 1 on. */
  readonly id: number
  readonly folder: string
  readonly classPath: string
  readonly clusterId: string
  /** Text of server.properties. */
  readonly properties: string
  /** Further arguments of the format command. */
  readonly formatArguments: readonly string[]
  /** Port of the listener for clients, and of that for the cluster itself. */
  readonly port: number
  readonly internalPort: number
  /** Told after the process began, and after it ended. */
  readonly onChange: () => void
}

export const logFolderOf = (folder: string): string => join(folder, 'log')

/** The id that a formatted log carries, or undefined where there is none yet. */
export const clusterIdOf = (folder: string): Promise<string | undefined> =>
  readFile(join(logFolderOf(folder), 'meta.properties'), 'utf8').then(
    (text) => /^cluster\.id=(.+)$/m.exec(text)?.[1],
    () => undefined,
  )

/** What is told by whoever answers at the address, or undefined while nobody does. */
const whoAnswers = async (address: string) => {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry: { retries: 0 } })
  const admin = kafka.admin()
  try {
    await admin.connect()
    const { clusterId, brokers } = await admin.describeCluster()
    return { clusterId, nodes: brokers.map(({ nodeId }) => nodeId) }
  } catch {
    return undefined
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

export class LocalNode {
  readonly id: number
  readonly port: number
  readonly #setting: NodeSetting
  #child: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()

  constructor(setting: NodeSetting) {
    this.#setting = setting
    this.id = setting.id
    this.port = setting.port
  }

  /** Of the process that was started last; -1 before. */
  get pid(): number {
    return this.#child?.pid ?? -1
  }

  get alive(): boolean {
    const child = this.#child
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  /** Writes the properties, and formats the log where there is none. */
  async prepare(): Promise<void> {
    const { folder, properties, classPath, clusterId, formatArguments } = this.#setting
    await mkdir(logFolderOf(folder), { recursive: true })
    await writeFile(this.#propertiesFile, properties, { mode: 0o600 })
    if (await clusterIdOf(folder)) return
    const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', this.#propertiesFile]
    const jvm = ['-Xmx64m', ...FAST_JVM, '-cp', classPath]
    await promisify(execFile)('java', [...jvm, ...format, ...formatArguments]).catch((cause: Error) => {
      throw new MillraceError('KAFKA_UNAVAILABLE', `no log for the local Kafka: ${cause.message}`, { cause })
    })
  }

  /**
   * Starts the process and resolves when it answers, as a member of its cluster.
   * @throws MillraceError KAFKA_UNAVAILABLE when it ends or stays silent for 60 s; it is stopped then.
   */
  async start(): Promise<void> {
    if (this.alive) return
    await this.#spawn()
    const { id, internalPort, clusterId } = this.#setting
    const deadline = Date.now() + START_PATIENCE_MS
    for (;;) {
      if (!this.alive) {
        const said = (await readFile(this.#outputFile, 'utf8')).trim().slice(-2000)
        throw new MillraceError('KAFKA_UNAVAILABLE', `the local Kafka ended while starting: ${said}`)
      }
      const answer = await whoAnswers(`127.0.0.1:${internalPort}`)
      if (answer?.clusterId === clusterId && answer.nodes.includes(id)) return
      const taken = answer !== undefined && answer.clusterId !== clusterId
      if (taken || Date.now() > deadline) {
        await this.stop()
        const reason = taken ? 'found its port taken' : 'did not answer within 60 s'
        throw new MillraceError('KAFKA_UNAVAILABLE', `the local Kafka ${reason}`)
      }
      await sleep(100)
    }
  }

  /** Ends it as a power cut would, stopped processes too; what was acknowledged stays in its log. */
  async kill(): Promise<void> {
    if (!this.alive) return
    this.#child!.ref()
    this.#child!.kill('SIGKILL')
    await this.#ended
  }

  /** Ends it cleanly, by SIGKILL after 10 s. */
  async stop(): Promise<void> {
    if (!this.alive) return
    this.#child!.ref()
    this.#child!.kill('SIGTERM')
    const late = setTimeout(() => this.#child!.kill('SIGKILL'), STOP_PATIENCE_MS)
    await this.#ended
    clearTimeout(late)
  }

  get #propertiesFile(): string {
    return join(this.#setting.folder, 'server.properties')
  }

  get #outputFile(): string {
    return join(this.#setting.folder, 'server.log')
  }

  async #spawn(): Promise<void> {
    const { classPath, onChange } = this.#setting
    const output = await open(this.#outputFile, 'a')
    const arguments_ = ['-Xmx256m', ...FAST_JVM, '-cp', classPath, 'kafka.Kafka', this.#propertiesFile]
    const child = spawn('java', arguments_, { stdio: ['ignore', output.fd, output.fd], detached: true })
    this.#child = child
    this.#ended = new Promise((done) => {
      child.once('exit', () => {
        onChange()
        done()
      })
    })
    onChange()
    child.unref()
    await output.close()
  }
}
