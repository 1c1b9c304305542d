/**
 * The in-memory cluster that several broker handles share, as processes share a Kafka cluster: topics, groups and transactional ids.
 * It holds encoded bytes only. Nothing is written to disk; it ends with its process.
 */
import { randomUUID } from 'node:crypto'
import { MillraceError } from '../../../schemas/errors.ts'
import type { OutputRecord, TopicDescription } from '../port.ts'
import { Group } from './group.ts'
import { appendAll, Topic } from './topic.ts'
import { type Transaction, TransactionCoordinator } from './transactions.ts'

export interface MemoryClusterOptions {
  /** The cluster's clock: milliseconds since the epoch, for records without a timestamp. */
  readonly now?: () => number
}

export class MemoryCluster {
  readonly now: () => number
  /** A cluster in memory ends with its process: none is ever met again. */
  readonly id = randomUUID()
  readonly transactions = new TransactionCoordinator()
  readonly #topics = new Map<string, Topic>()
  readonly #groups = new Map<string, Group>()
  readonly #watchers = new Set<() => void>()

  constructor({ now = Date.now }: MemoryClusterOptions = {}) {
    this.now = now
  }

  get topics(): readonly Topic[] {
    return [...this.#topics.values()]
  }

  /** @throws MillraceError MISSING_TOPIC */
  topic(name: string): Topic {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new MillraceError('MISSING_TOPIC', `there is no topic '${name}'`)
    return topic
  }

  /** Creates a topic where there is none of that name. */
  create(description: TopicDescription): void {
    if (!this.#topics.has(description.topic)) this.#topics.set(description.topic, new Topic(description))
  }

  /** Adds partitions to a topic, up to a number. @throws MillraceError MISSING_TOPIC */
  grow(name: string, partitions: number): void {
    this.topic(name).grow(partitions)
    for (const changed of this.#watchers) changed()
  }

  /** Removes a topic, if it is there. */
  remove(name: string): void {
    this.#topics.delete(name)
    for (const changed of this.#watchers) changed()
  }

  /** Calls `changed` after a topic has grown or was removed, until the returned function is called. */
  watchTopics(changed: () => void): () => void {
    this.#watchers.add(changed)
    return () => this.#watchers.delete(changed)
  }

  group(app: string, job: string): Group {
    const id = JSON.stringify([app, job])
    const group = this.#groups.get(id) ?? new Group()
    this.#groups.set(id, group)
    return group
  }

  /**
   * Appends records, as part of `transaction` or visible at once; all or none.
   * @throws MillraceError MISSING_TOPIC, MESSAGE_TOO_LARGE
   */
  write(records: readonly OutputRecord[], transaction: Transaction | null): void {
    const logs = appendAll(records, (name) => this.topic(name), transaction, this.now())
    transaction?.touched(logs)
  }

  /**
   * A transaction outside any task, which stays open until it is ended; for tests and tools. A given id is taken over from its
   * owner, who is fenced.
   */
  transaction(
    records: readonly OutputRecord[],
    id: string = randomUUID(),
  ): { commit(): void; abort(): void } {
    const epoch = this.transactions.initialise(id)
    this.write(records, this.transactions.begin(id, epoch))
    return {
      commit: () => this.transactions.end(id, epoch, true),
      abort: () => this.transactions.end(id, epoch, false),
    }
  }
}
