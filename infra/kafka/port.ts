/**
 * The broker port: all that millrace asks of Kafka. Adapters: `kafkajs.ts` (default), `confluent.ts` (optional) and `memory.ts`
 * (tests and demo); `test/contracts/broker.ts` holds them to one behaviour.
 *
 * - A *task* is (job, partition number): it owns that partition of every input topic of the job, commits outputs and positions in
 *   one transaction under the stable transactional id `<app>-<job>-<partition>`, and is driven by pull: the next batch is
 *   fetched after the last one was committed or released.
 * - A *reader* follows partitions without a committed position: followers of `outcomes`, replay, blocks read again.
 *
 * Offsets are numbers, exact up to 2^53. Readers and tasks see committed records only; offsets may have gaps where control records
 * and aborted records lie.
 */
import type { Observable } from 'rxjs'

/** A record as it travels: bytes only. */
export interface WireRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** Milliseconds since the epoch; the broker's clock where absent on the way out. */
  readonly timestamp?: number
  readonly headers?: Readonly<Record<string, Buffer>>
}

/** A record to be written. The partition is murmur2(key) mod partitions, as in Java, unless given. */
export interface OutputRecord extends WireRecord {
  readonly topic: string
  readonly partition?: number
}

export interface ConsumedRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: number
  readonly offset: number
  readonly headers?: Readonly<Record<string, Buffer>>
}

/** Consecutive records of one partition, committed ones only. */
export interface Batch {
  readonly topic: string
  readonly partition: number
  /** At least one record, except where `idle`. */
  readonly records: readonly ConsumedRecord[]
  /** Position after this batch: above the last record, control records passed over. */
  readonly nextOffset: number
  /** Offset after the partition's last committed record when the batch was fetched (what lag is measured against). */
  readonly highWatermark: number
  /**
   * Inputs of the task that have been silent for `idleMs`: the broker confirmed, at the beginning and at the end of that time, that
   * nothing lies behind the position and no transaction is open there. An input that cannot be reached is not silent.
   */
  readonly silent?: readonly string[]
  /**
   * All inputs of the task are silent, or a tick has passed: `records` is empty, `topic` is '' and `nextOffset` is -1. `silent` tells
   * which.
   */
  readonly idle?: true
}

/** A committed position with the state that belongs to it. */
export interface Position {
  /** Next offset to be processed. */
  readonly offset: number
  /** At most METADATA_LIMIT bytes; '' where none. */
  readonly metadata: string
}

/** The limit of a position's metadata in UTF-8 bytes, well under the broker's default of 4,096. */
export const METADATA_LIMIT = 512

export interface TaskCommit {
  readonly outputs: readonly OutputRecord[]
  /** New positions by input topic; topics left out keep theirs. */
  readonly positions: ReadonlyMap<string, { readonly offset: number; readonly metadata?: string }>
}

/**
 * One owned task. Opened in this order, always: leaders of all it writes to awaited, producer initialised under the stable id (which fences
 * a former owner), committed positions read, inputs sought there. Whoever receives it rebuilds its state and subscribes to `batches`.
 */
export interface Task {
  readonly job: string
  readonly partition: number
  /** Committed positions by input topic when the task was opened; a topic never committed starts at its earliest offset. */
  readonly committed: ReadonlyMap<string, Position>
  /**
   * The task's inputs, one batch at a time over all its topics. After a batch, nothing more is emitted until `commit` or
   * `release`. Completes when the task is revoked or the group is closed; errors when it is lost (`PRODUCER_FENCED`,
   * `STALE_GENERATION`, `COMMIT_UNKNOWN`).
   */
  readonly batches: Observable<Batch>
  /**
   * Writes outputs and positions in one transaction and lets the next batch come.
   * @throws MillraceError METADATA_TOO_LARGE or MESSAGE_TOO_LARGE, with nothing written and the batch still open; PRODUCER_FENCED,
   * STALE_GENERATION or COMMIT_UNKNOWN when the task is lost: the group has then given it up, and opens it anew from the committed
   * positions.
   */
  commit(commit: TaskCommit): Promise<void>
  /** As `commit`, but keeps the current batch open: for a plan that must be durable before the work is done. */
  checkpoint(commit: TaskCommit): Promise<void>
  /** Lets the next batch come with nothing committed. */
  release(): void
}

export interface TaskGroupOptions {
  /** Prefix of group and transactional ids. */
  readonly app: string
  readonly job: string
  /** Input topics, all with the same number of partitions (else PARTITION_MISMATCH). */
  readonly topics: readonly string[]
  /**
   * Topics that the commits write to: a task is opened when all of their partitions have leaders. A broker that ends a transaction while one has
   * none may take that partition for deleted and leave its marker out (seen with Kafka 4.4).
   */
  readonly outputs?: readonly string[]
  /** Most records in one batch (default 1,000). */
  readonly maxBatchRecords?: number
  /** Name inputs that are silent for so long, and emit an idle batch as often while all are; never where absent. */
  readonly idleMs?: number
  /** Emit an idle batch too when nothing came for so long after the last was done with, whoever is silent or cannot be reached. */
  readonly tickMs?: number
  /** Default 10,000: a dead task stalls every read_committed reader for so long. */
  readonly transactionTimeoutMs?: number
  readonly sessionTimeoutMs?: number
  /** How long a task that is taken away may still commit (default 5,000): then it is given up as it is. */
  readonly revokeTimeoutMs?: number
  /** How often the input topics are looked at while the job runs (default 5,000): see `Broker.tasks`. */
  readonly topicsCheckMs?: number
}

export interface ReadOptions {
  readonly topic: string
  /** Partitions and where to begin; all partitions from their earliest offsets where absent. */
  readonly from?: ReadonlyMap<number, number>
  /** Where to end (exclusive), by partition: the stream completes when all are reached. Endless where absent. */
  readonly to?: ReadonlyMap<number, number>
  readonly maxBatchRecords?: number
}

export interface TopicDescription {
  readonly topic: string
  readonly partitions: number
  readonly config?: Readonly<Record<string, string>>
}

export interface TopicOffsets {
  readonly partition: number
  /** Earliest offset still there. */
  readonly earliest: number
  /** Offset after the last committed record (the last stable offset). */
  readonly latest: number
}

export interface Admin {
  /** Names the cluster for good, whatever address it is reached at: blocks recorded from two clusters never look alike. */
  clusterId(): Promise<string>
  /** The topics that exist among those named (all of them where none is named). */
  describe(topics?: readonly string[]): Promise<TopicDescription[]>
  /** Creates the topics that are missing; existing ones stay as they are. */
  create(topics: readonly (TopicDescription & { readonly replicationFactor?: number })[]): Promise<void>
  /** The largest record batch that a topic takes, in bytes: its `max.message.bytes`. @throws MillraceError MISSING_TOPIC */
  maxMessageBytes(topic: string): Promise<number>
  /** The topic's settings in force, defaults of the cluster included: `retention.ms`, `cleanup.policy`, … @throws MillraceError MISSING_TOPIC */
  settings(topic: string): Promise<ReadonlyMap<string, string>>
  /** @throws MillraceError MISSING_TOPIC */
  offsets(topic: string): Promise<TopicOffsets[]>
  /** Committed positions of a job's group, by topic and partition. */
  committed(app: string, job: string, topics: readonly string[]): Promise<Map<string, Map<number, Position>>>
}

/** Writes outside any task: idempotent, acks from all replicas. */
export interface Writer {
  send(records: readonly OutputRecord[]): Promise<void>
  close(): Promise<void>
}

export interface Broker {
  readonly kind: 'kafkajs' | 'confluent' | 'memory'
  readonly admin: Admin
  /** Where millrace's users find it, for messages: `127.0.0.1:9092`, `in memory`. */
  readonly address: string
  /**
   * Joins the job's group and emits every task as it becomes this member's, until unsubscribed. Unsubscribing leaves the group after
   * the commits under way. A lost task is re-opened (and emitted again) when its partition is assigned again.
   * Errors with PARTITION_MISMATCH or MISSING_TOPIC, at the start and when partitions are added or a topic is removed later; with
   * OFFSET_OUT_OF_RANGE; with KAFKA_UNAVAILABLE when the cluster stays away beyond the adapter's patience.
   */
  tasks(options: TaskGroupOptions): Observable<Task>
  /**
   * Follows partitions by a throw-away group, committing nothing. Pull: the next batch is fetched when the returned promise
   * of `each` has resolved. Resolves when `to` is reached or `signal` aborts.
   * @throws MillraceError OFFSET_OUT_OF_RANGE when a start lies below what is still there: never a silent jump.
   */
  read(
    options: ReadOptions,
    each: (batch: Batch) => Promise<void> | void,
    signal?: AbortSignal,
  ): Promise<void>
  writer(): Promise<Writer>
  close(): Promise<void>
}
