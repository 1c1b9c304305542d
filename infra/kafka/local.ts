/**
 * A real Apache Kafka on loopback for tests and for `--kafka local`: one broker in KRaft mode, or three, started from jars that Maven
 * fetches (local/install.ts). One answers in about 2 s, takes the first topic at about 4 s and holds 200–250 MB.
 *
 * Promises: the brokers that answer are those started here (they carry the cluster id they were formatted with); they die with this
 * process, however this ends (local/watcher.ts); Ctrl-C does not reach them, so that their clients can close first; their
 * output is kept in `server.log` in the data folder, a folder of their own is removed on stop.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { installKafka } from './local/install.ts'
import { clusterIdOf, LocalNode, logFolderOf } from './local/node.ts'
import { freePorts } from './local/ports.ts'
import { type LocalPlace, type LocalSecurity, scramArguments, serverProperties } from './local/settings.ts'
import { startWatcher } from './local/watcher.ts'

export { KAFKA_VERSION, localKafkaAvailable } from './local/install.ts'
export type { LocalSecurity } from './local/settings.ts'

export interface LocalKafkaOptions {
  /**
   * Where the log lives, kept when the broker stops; a temporary folder, removed at the end, where absent. Of three brokers
   * each has its folder in there: `node-1` to `node-3`.
   */
  readonly dataDir?: string
  /**
   * 1 (default), or 3: topics then have three replicas unless created with fewer, and a write needs two of them. A dead broker is
   * noticed after 6 s (`broker.session.timeout.ms`), and let in again no sooner.
   */
  readonly brokers?: 1 | 3
  readonly security?: LocalSecurity
  /** Further broker settings, such as `{ 'message.max.bytes': '2000000' }`. */
  readonly settings?: Readonly<Record<string, string>>
  /**
   * Gives the port that clients are told for a node (from 1 on) that listens on `port`: that of a proxy in front of it. Asked once
   * a node, before it starts.
   */
  readonly advertise?: (port: number, node: number) => number | Promise<number>
  /** Told what takes time. */
  readonly onProgress?: (message: string) => void
}

/** One broker of the cluster. */
export interface LocalKafkaNode {
  /** Where it listens for clients itself, whatever they are told. */
  readonly port: number
  /** Of its latest process. */
  readonly pid: number
  /** SIGKILL; its log is kept. Resolves when it is dead; nothing where it is. */
  kill(): Promise<void>
  /**
   * Starts it again in its folder and on its ports; resolves when it answers as a member of the cluster. Nothing where it lives.
   * @throws MillraceError KAFKA_UNAVAILABLE as `startLocalKafka`
   */
  start(): Promise<void>
}

export interface LocalKafka {
  /** `127.0.0.1:<port>`, with commas between several; the ports are those clients are told. */
  readonly bootstrap: string
  /** As `bootstrap`, past all proxies and with no security: this listener tells clients its own ports. */
  readonly internal: string
  /** Of the first node. */
  readonly pid: number
  readonly nodes: readonly LocalKafkaNode[]
  /** Folder with the log and `server.log`. */
  readonly dataDir: string
  /** Ends the brokers: cleanly, SIGKILL after 10 s; several in a temporary folder at once. */
  stop(): Promise<void>
}

/** 16 random bytes as Kafka writes them; the first is kept small, since an id that begins with `-` would look like an option. */
const newClusterId = (): string => {
  const bytes = randomBytes(16)
  bytes[0]! &= 0x7f
  return bytes.toString('base64url')
}

const placesOf = async (count: number, advertise: LocalKafkaOptions['advertise']): Promise<LocalPlace[]> => {
  const ports = await freePorts(3 * count)
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const [client, internal, controller] = ports.slice(3 * index) as [number, number, number]
      const advertised = (await advertise?.(client, index + 1)) ?? client
      return { id: index + 1, client, advertised, internal, controller }
    }),
  )
}

/**
 * Starts brokers on free loopback ports and resolves when they answer.
 * @throws MillraceError JAVA_MISSING where Java or Maven is missing; KAFKA_UNAVAILABLE when one ends or stays silent for 60 s.
 */
export const startLocalKafka = async (options: LocalKafkaOptions = {}): Promise<LocalKafka> => {
  const { brokers = 1, security = {}, settings = {}, onProgress = () => {}, advertise } = options
  const classPath = await installKafka(onProgress)
  onProgress('starting Apache Kafka on loopback')
  const places = await placesOf(brokers, advertise)
  const temporary = options.dataDir === undefined
  const dataDir = temporary ? await mkdtemp(join(tmpdir(), 'millrace-kafka-')) : resolve(options.dataDir!)
  await mkdir(dataDir, { recursive: true })
  const folderOf = (id: number) => (brokers === 1 ? dataDir : join(dataDir, `node-${id}`))
  const clusterId = (await clusterIdOf(folderOf(1))) ?? newClusterId()
  const watcher = startWatcher(temporary ? dataDir : '')
  const nodes: LocalNode[] = []
  const onChange = () => watcher.watch(nodes.filter(({ alive }) => alive).map(({ pid }) => pid))
  for (const place of places) {
    const folder = folderOf(place.id)
    nodes.push(
      new LocalNode({
        id: place.id,
        folder,
        classPath,
        clusterId,
        properties: serverProperties(place, places, logFolderOf(folder), security, settings),
        formatArguments: scramArguments(security),
        port: place.client,
        internalPort: place.internal,
        onChange,
      }),
    )
  }
  const stop = async () => {
    // Controllers that end together wait for a majority that is no more: where nothing is kept, nothing needs a clean end.
    const abrupt = temporary && brokers > 1
    await Promise.all(nodes.map((node) => (abrupt ? node.kill() : node.stop())))
    watcher.dismiss()
    if (temporary) await rm(dataDir, { recursive: true, force: true })
  }
  try {
    await Promise.all(nodes.map((node) => node.prepare()))
    await Promise.all(nodes.map((node) => node.start()))
  } catch (error) {
    await stop()
    throw error
  }
  const addresses = (port: (place: LocalPlace) => number) =>
    places.map((place) => `127.0.0.1:${port(place)}`).join(',')
  return {
    bootstrap: addresses(({ advertised }) => advertised),
    internal: addresses(({ internal }) => internal),
    get pid() {
      return nodes[0]!.pid
    },
    nodes,
    dataDir,
    stop,
  }
}
