/**
 * The in-memory broker, for tests and the demo: partitions, groups, rebalances, transactions, read_committed and fencing behave as in
 * Kafka, and only encoded bytes are kept, so a pipeline sees no difference. Several handles over one `MemoryCluster` are several
 * members of it. It keeps only what some consumer has still to read (memory/topic.ts).
 *
 * Promises: a record costs a copy in and a copy out; the event loop gets its turn between batches; nothing is random, so the same
 * writes give the same offsets.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { Observable, type Subscriber } from 'rxjs'
import { MillraceError } from '../../schemas/errors.ts'
import { checkSizes, sizesOf } from './adapter/topics.ts'
import { MemoryCluster } from './memory/cluster.ts'
import type { Group, Member } from './memory/group.ts'
import { readPartitions } from './memory/reader.ts'
import { type Fault, MemoryTask } from './memory/task.ts'
import type { Topic } from './memory/topic.ts'
import type {
  Admin,
  Batch,
  Broker,
  OutputRecord,
  ReadOptions,
  Task,
  TaskGroupOptions,
  TopicDescription,
  Writer,
} from './port.ts'

export { MemoryCluster, type MemoryClusterOptions } from './memory/cluster.ts'
export type { Fault } from './memory/task.ts'

export interface MemoryBrokerOptions {
  /** The cluster to be a member of; a new one where absent. */
  readonly cluster?: MemoryCluster
  /** Clock of a new cluster. */
  readonly now?: () => number
  /** For fault tests: asked in every task commit, after everything was sent and before the end. */
  readonly fault?: (transactionalId: string) => Fault | undefined
}

export interface MemoryBroker extends Broker {
  readonly kind: 'memory'
  readonly cluster: MemoryCluster
  /** Ends this member as `kill -9` would: no leave, no commit; its group notices after the session time-out. */
  crash(): void
}

const DEFAULT_SESSION_TIMEOUT_MS = 10_000
const ADDRESS = 'in memory'

/** A member of an in-memory cluster. */
export const createMemoryBroker = (options: MemoryBrokerOptions = {}): MemoryBroker => {
  const cluster = options.cluster ?? new MemoryCluster(options.now === undefined ? {} : { now: options.now })
  const fault = options.fault ?? (() => undefined)
  const members = new Set<TaskMember>()
  const ending = new AbortController()
  let dead: MillraceError | null = null

  const alive = (): void => {
    if (dead !== null) throw dead
  }
  const crash = (): void => {
    dead ??= new MillraceError('KAFKA_UNAVAILABLE', 'this process has died')
    for (const member of members) member.crash()
    members.clear()
    ending.abort()
  }

  return {
    kind: 'memory',
    address: ADDRESS,
    cluster,
    admin: adminOf(cluster, alive),
    crash,
    tasks: (group: TaskGroupOptions) =>
      new Observable<Task>((subscriber) => {
        alive()
        const member = new TaskMember(cluster, group, subscriber, fault, crash)
        members.add(member)
        return () => {
          if (members.delete(member)) member.leave()
        }
      }),
    read: async (read: ReadOptions, each: (batch: Batch) => Promise<void> | void, signal?: AbortSignal) => {
      alive()
      const signals = signal === undefined ? [ending.signal] : [ending.signal, signal]
      await readPartitions(cluster, read, each, AbortSignal.any(signals))
    },
    writer: async (): Promise<Writer> => ({
      send: async (records: readonly OutputRecord[]) => {
        alive()
        cluster.write(records, null)
        await turn()
      },
      close: async () => undefined,
    }),
    close: async () => {
      dead ??= new MillraceError('KAFKA_UNAVAILABLE', 'this broker was closed')
      for (const member of members) member.end()
      members.clear()
      ending.abort()
      await turn()
    },
  }
}

/** One `tasks` subscription as a member of the job's group. */
class TaskMember implements Member {
  readonly topics: readonly Topic[]
  readonly owned = new Set<number>()
  readonly #tasks = new Map<number, MemoryTask>()
  readonly #group: Group
  readonly #subscriber: Subscriber<Task>
  readonly #options: TaskGroupOptions
  readonly #openTask: (partition: number) => MemoryTask
  readonly #unwatch: () => void

  constructor(
    cluster: MemoryCluster,
    options: TaskGroupOptions,
    subscriber: Subscriber<Task>,
    fault: (transactionalId: string) => Fault | undefined,
    crash: () => void,
  ) {
    this.topics = options.topics.map((name) => cluster.topic(name))
    const descriptions = () => describe(cluster.topics.filter(({ name }) => options.topics.includes(name)))
    const sizes = sizesOf(options, descriptions(), ADDRESS)
    this.#unwatch = cluster.watchTopics(() => {
      try {
        const found = descriptions()
        checkSizes(options, sizes, found)
        sizesOf(options, found, ADDRESS)
      } catch (error) {
        this.leave()
        subscriber.error(error)
      }
    })
    const group = cluster.group(options.app, options.job)
    const { topics } = this
    const lose = (task: MemoryTask): void => {
      if (this.#tasks.get(task.partition) !== task) return
      this.#tasks.delete(task.partition)
      this.owned.delete(task.partition)
      group.rebalance()
    }
    this.#openTask = (partition) =>
      new MemoryTask({ cluster, group, topics, options, partition, lose, fault, crash })
    this.#group = group
    this.#subscriber = subscriber
    this.#options = options
    group.join(this)
  }

  open(partition: number): void {
    const task = this.#openTask(partition)
    this.#tasks.set(partition, task)
    this.#subscriber.next(task)
  }

  close(partition: number): void {
    const task = this.#tasks.get(partition)
    this.#tasks.delete(partition)
    task?.close(null)
  }

  leave(): void {
    this.#unwatch()
    for (const partition of [...this.#tasks.keys()]) this.close(partition)
    this.#group.leave(this)
  }

  /** Leaves, and tells the subscriber so. */
  end(): void {
    this.leave()
    this.#subscriber.complete()
  }

  /** Falls silent; the group waits for the session to time out. */
  crash(): void {
    this.#unwatch()
    const died = new MillraceError('KAFKA_UNAVAILABLE', 'this process has died')
    for (const task of this.#tasks.values()) task.close(died)
    this.#tasks.clear()
    const timeout = this.#options.sessionTimeoutMs ?? DEFAULT_SESSION_TIMEOUT_MS
    setTimeout(() => this.#group.leave(this), timeout).unref()
  }
}

const describe = (topics: readonly Topic[]): TopicDescription[] =>
  topics.map(({ name, partitions, config }) => ({ topic: name, partitions: partitions.length, config }))

const adminOf = (cluster: MemoryCluster, alive: () => void): Admin => ({
  describe: async (names) => {
    alive()
    return describe(cluster.topics.filter(({ name }) => names === undefined || names.includes(name)))
  },
  create: async (topics) => {
    alive()
    for (const topic of topics) cluster.create(topic)
  },
  maxMessageBytes: async (name) => {
    alive()
    return cluster.topic(name).maxMessageBytes
  },
  settings: async (name) => {
    alive()
    const { maxMessageBytes, config } = cluster.topic(name)
    return new Map(Object.entries({ 'max.message.bytes': String(maxMessageBytes), ...config }))
  },
  offsets: async (name) => {
    alive()
    return cluster
      .topic(name)
      .partitions.map(({ earliest, stable }, partition) => ({ partition, earliest, latest: stable }))
  },
  clusterId: async () => cluster.id,
  committed: async (app, job, topics) => {
    alive()
    const group = cluster.group(app, job)
    return new Map(topics.map((topic) => [topic, group.positions(topic)]))
  },
})
