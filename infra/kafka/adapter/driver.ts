/**
 * What the adapters over a client library share (this folder), and what each library must do for them: a `Driver`. The shared part
 * decides who owns a task, when it is opened, packed, committed, given up and opened again; a driver joins groups, runs
 * transactions, fetches and sends. Drivers throw their library's errors, and tell which of them may pass.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, MillraceError } from '../../../schemas/errors.ts'
import type { Admin, Batch, TaskCommit } from '../port.ts'

/** How a cluster is waited for. */
export interface Patience {
  readonly address: string
  readonly patienceMs: number
  /** Whether the same request may succeed a little later. */
  isTransient(error: unknown): boolean
  /** The error as a MillraceError; `fallback` is for what has no code of its own. */
  toMillraceError(error: unknown, fallback: ErrorCode): MillraceError
}

export interface ClosableAdmin extends Admin {
  close(): Promise<void>
}

/** A record with its partition; its topic is that of the list it is in. */
export interface PackedRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly partition: number
  readonly timestamp?: number
  readonly headers?: Readonly<Record<string, Buffer>>
}

/** Records that may be under way together, by topic. */
export type Round = readonly { readonly topic: string; readonly messages: readonly PackedRecord[] }[]

/** A producer initialised under a transactional id. */
export interface Transactor {
  /** One transaction, from its beginning to its acknowledged end. After a failure only `close` may follow. */
  transact(positions: TaskCommit['positions'], rounds: readonly Round[]): Promise<void>
  close(): Promise<void>
}

/** An idempotent producer, acks from all replicas. After a failure only `close` may follow. */
export interface Sender {
  send(rounds: readonly Round[]): Promise<void>
  close(): Promise<void>
}

export interface FetcherInput {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Where to end (exclusive); endless where absent. */
  readonly to?: number
}

export interface FetcherOptions {
  readonly inputs: readonly FetcherInput[]
  readonly maxBatchRecords: number
  readonly idleMs?: number
  readonly tickMs?: number
}

/** Follows partitions from given offsets and hands out their committed records, on pull. */
export interface Fetcher {
  /**
   * The next batch; undefined when every input has reached its end, or after `close`. One call at a time.
   * @throws MillraceError OFFSET_OUT_OF_RANGE, MISSING_TOPIC, KAFKA_UNAVAILABLE
   */
  next(): Promise<Batch | undefined>
  close(): Promise<void>
}

export interface MembershipOptions {
  readonly groupId: string
  readonly topics: readonly string[]
  readonly sessionTimeoutMs: number
  /** The numbers held when a rebalance begins. */
  readonly held: () => readonly number[]
}

export interface MembershipEvents {
  /** After every rebalance: the partition numbers that are now this member's, the same of all topics. */
  assigned(numbers: readonly number[]): void
  /** The coordinator counts this member in. */
  well(): void
  /** The coordinator cannot be reached at present; the library goes on trying. */
  ailing(error: unknown): void
  /** The membership ended by itself. */
  ended(error: unknown): void
}

/** Keeps one member of a group alive and fetches nothing. */
export interface Membership {
  connect(): Promise<void>
  /** Joins; heartbeats from here on. */
  run(): Promise<void>
  /** Leaves. */
  close(): Promise<void>
}

export interface Driver extends Patience {
  readonly admin: ClosableAdmin
  /** Initialises a producer under the id, which fences whoever held it: one attempt. Its positions are the group's. */
  transactor(options: {
    readonly transactionalId: string
    readonly groupId: string
    readonly partition: number
    readonly timeoutMs: number
  }): Promise<Transactor>
  /** One attempt. */
  sender(): Promise<Sender>
  /** @throws MillraceError KAFKA_UNAVAILABLE */
  fetcher(options: FetcherOptions): Promise<Fetcher>
  membership(options: MembershipOptions, events: MembershipEvents): Membership
  close(): Promise<void>
}

export const groupIdOf = (app: string, job: string): string => `${app}-${job}`

export const missingTopic = (topics: readonly string[], address: string): MillraceError =>
  new MillraceError(
    'MISSING_TOPIC',
    `Kafka at ${address} has no topic ${topics.join(', ')}. Create it, or let millrace do so with --create-topics.`,
  )

export const outOfRange = (topic: string, partition: number, offset: number): MillraceError =>
  new MillraceError(
    'OFFSET_OUT_OF_RANGE',
    `offset ${offset} of ${topic}/${partition} is no longer there (or not yet): it was removed by retention before it was read`,
  )

export const unavailable = (address: string, patienceMs: number, cause: unknown): MillraceError =>
  new MillraceError(
    'KAFKA_UNAVAILABLE',
    `Kafka at ${address} did not answer for ${Math.round(patienceMs / 1000)} s (${(cause as Error)?.message}). ` +
      'Start it, correct the address, or run with --kafka local.',
    { cause },
  )

/**
 * Runs `attempt` until it succeeds, with backoff from 20 ms to 1 s, for as long as the cluster's trouble may pass. One attempt counts for at most half of the
 * patience: a process that was itself stopped for long tries again before it gives up.
 * @throws MillraceError KAFKA_UNAVAILABLE when patience or `signal` ends it; what is not transient at once.
 */
export const patiently = async <T>(
  { address, patienceMs, isTransient, toMillraceError }: Patience,
  attempt: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> => {
  let spent = 0
  for (let wait = 20; ; wait = Math.min(wait * 2, 1000)) {
    const begun = Date.now()
    try {
      return await attempt()
    } catch (error) {
      if (!isTransient(error)) throw toMillraceError(error, 'KAFKA_UNAVAILABLE')
      spent += Math.min(Date.now() - begun, patienceMs / 2) + wait
      if (spent > patienceMs || signal?.aborted) throw unavailable(address, patienceMs, error)
      await sleep(wait)
    }
  }
}

/** Waits for something, but no longer than `limitMs`. Never throws. */
export const waitAtMost = async (limitMs: number, something: Promise<unknown> | undefined): Promise<void> => {
  const late = new AbortController()
  const limit = sleep(limitMs, undefined, { signal: late.signal, ref: false }).catch(() => {})
  await Promise.race([something?.catch(() => {}), limit])
  late.abort()
}

/** Waits for an end to be made, but no longer than 2 s: libraries may wait long for answers that a dead connection never gives. */
export const closeSoon = (closing: Promise<unknown> | undefined): Promise<void> => waitAtMost(2000, closing)
