/**
 * Membership in a job's group. kafkajs's consumer keeps it (join, heartbeats, rebalances) and fetches nothing: all partitions stay
 * paused and each task fetches for itself (fetcher.ts). So heartbeats never wait for work, and tasks open as soon as they are
 * assigned.
 *
 * A task that stays assigned over a rebalance goes on: had anybody else opened it in between, its producer would be fenced. A
 * fenced task means that this member's view of the group is stale: it leaves with all its tasks and joins again, and never initialises
 * on its own. After a commit in doubt the next successful heartbeat must come first.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer } from 'kafkajs'
import type { Subscriber } from 'rxjs'
import type { MillraceError } from '../../../schemas/errors.ts'
import type { Task, TaskGroupOptions } from '../port.ts'
import { type ClosableAdmin, groupIdOf } from './admin.ts'
import { createAssigner } from './assigner.ts'
import { type Client, closeSoon, patiently, unavailable } from './client.ts'
import { isTransient, toMillraceError } from './errors.ts'
import { checkTopics, openTask } from './opening.ts'
import type { Packer } from './outputs.ts'
import type { KafkajsTask } from './task.ts'

const DEFAULT_SESSION_TIMEOUT_MS = 10_000
const LOOP_MS = 50

/** A task held or being opened; `closed` says that it is no longer wanted. */
interface Holding {
  task: KafkajsTask | undefined
  closed: boolean
}

export class Group {
  readonly #client: Client
  readonly #admin: ClosableAdmin
  readonly #packer: Packer
  readonly #options: TaskGroupOptions
  readonly #subscriber: Subscriber<Task>
  readonly #left = new AbortController()
  readonly #held = new Map<number, Holding>()
  /** Ends of tasks given up that are still under way. */
  readonly #ending = new Set<Promise<void>>()
  #assigned: ReadonlySet<number> = new Set()
  #consumer: Consumer | undefined
  #joining: Promise<void> | undefined
  /** Asked to join again while joining. */
  #again = false
  #onHeartbeat: (() => void)[] = []
  /** When the group was last known to be well. */
  #wellAt = Date.now()
  #leaving: Promise<void> | undefined

  constructor(
    client: Client,
    admin: ClosableAdmin,
    packer: Packer,
    options: TaskGroupOptions,
    subscriber: Subscriber<Task>,
  ) {
    this.#client = client
    this.#admin = admin
    this.#packer = packer
    this.#options = options
    this.#subscriber = subscriber
  }

  async start(): Promise<void> {
    try {
      await checkTopics({ client: this.#client, admin: this.#admin }, this.#options)
      this.#rejoin(false)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Gives up all tasks, lets commits under way end, and leaves the group. */
  leave(): Promise<void> {
    this.#left.abort()
    this.#giveUp()
    this.#leaving ??= (async () => {
      await this.#settled()
      await this.#joining?.catch(() => {})
      await this.#dropConsumer()
      await this.#settled()
    })()
    return this.#leaving
  }

  /** Leaves with everything and joins again, once at a time; after a while where the cluster is in trouble. */
  #rejoin(troubled: boolean): void {
    if (this.#left.signal.aborted) return
    this.#again = this.#joining !== undefined
    if (this.#again) return
    this.#giveUp()
    this.#joining = (async () => {
      await this.#dropConsumer()
      if (troubled) await sleep(200)
      await this.#settled()
      if (!this.#left.signal.aborted) await this.#join()
    })()
      .catch((error) => this.#fail(error))
      .finally(() => {
        this.#joining = undefined
        if (this.#again) this.#rejoin(true)
      })
  }

  async #join(): Promise<void> {
    const { app, job, topics, sessionTimeoutMs = DEFAULT_SESSION_TIMEOUT_MS } = this.#options
    const consumer = this.#client.kafka.consumer({
      groupId: groupIdOf(app, job),
      partitionAssigners: [createAssigner(() => [...this.#held.keys()])],
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: Math.max(sessionTimeoutMs, 5000),
      heartbeatInterval: Math.min(500, Math.floor(sessionTimeoutMs / 4)),
      maxWaitTimeInMs: LOOP_MS,
      allowAutoTopicCreation: false,
      retry: { retries: 20, restartOnFailure: async () => false },
    })
    this.#consumer = consumer
    const { GROUP_JOIN, HEARTBEAT, CRASH } = consumer.events
    consumer.on(GROUP_JOIN, ({ payload: { memberAssignment } }) => {
      if (consumer !== this.#consumer) return
      consumer.pause(topics.map((topic) => ({ topic })))
      this.#well()
      this.#assign(memberAssignment[topics[0]!] ?? [])
    })
    consumer.on(HEARTBEAT, () => {
      if (consumer === this.#consumer) this.#well()
    })
    consumer.on(CRASH, ({ payload: { error } }) => {
      if (consumer !== this.#consumer) return
      if (!isTransient(error)) this.#fail(error)
      else if (Date.now() - this.#wellAt > this.#client.patienceMs)
        this.#fail(unavailable(this.#client.address, this.#client.patienceMs, error))
      else setImmediate(() => this.#rejoin(true))
    })
    await patiently(
      this.#client,
      async () => {
        await consumer.connect()
        await consumer.subscribe({ topics: [...topics], fromBeginning: true })
      },
      this.#left.signal,
    )
    if (this.#left.signal.aborted) return
    await consumer.run({ autoCommit: false, eachBatch: async () => {} })
  }

  #well(): void {
    this.#wellAt = Date.now()
    for (const resolve of this.#onHeartbeat.splice(0)) resolve()
  }

  #assign(numbers: readonly number[]): void {
    this.#assigned = new Set(numbers)
    for (const [number, holding] of this.#held) if (!this.#assigned.has(number)) this.#close(number, holding)
    for (const number of numbers) if (!this.#held.has(number)) this.#open(number)
  }

  #open(number: number): void {
    const holding: Holding = { task: undefined, closed: false }
    this.#held.set(number, holding)
    const opening = openTask(
      {
        client: this.#client,
        admin: this.#admin,
        packer: this.#packer,
        options: this.#options,
        signal: this.#left.signal,
        onLost: (task, error) => this.#lost(number, holding, task, error),
      },
      number,
    ).then(
      (task) => {
        holding.task = task
        if (holding.closed) return task.end()
        this.#subscriber.next(task)
      },
      (error) => {
        if (!holding.closed) this.#fail(error)
      },
    )
    this.#track(opening)
  }

  #lost(number: number, holding: Holding, task: KafkajsTask, error: MillraceError): void {
    if (holding.closed) return
    holding.closed = true
    this.#held.delete(number)
    this.#track(task.end())
    if (error.code === 'PRODUCER_FENCED' || error.code === 'STALE_GENERATION')
      setImmediate(() => this.#rejoin(false))
    else if (error.code === 'OFFSET_OUT_OF_RANGE' || error.code === 'KAFKA_UNAVAILABLE')
      setImmediate(() => this.#fail(error))
    else
      this.#onHeartbeat.push(() => {
        if (this.#assigned.has(number) && !this.#held.has(number)) this.#open(number)
      })
  }

  #close(number: number, holding: Holding): void {
    holding.closed = true
    this.#held.delete(number)
    if (holding.task) this.#track(holding.task.end())
  }

  #giveUp(): void {
    this.#assigned = new Set()
    this.#onHeartbeat = []
    for (const [number, holding] of this.#held) this.#close(number, holding)
  }

  #track(ending: Promise<void>): void {
    this.#ending.add(ending)
    void ending.catch(() => {}).finally(() => this.#ending.delete(ending))
  }

  async #settled(): Promise<void> {
    while (this.#ending.size > 0) await Promise.allSettled(this.#ending)
  }

  async #dropConsumer(): Promise<void> {
    const consumer = this.#consumer
    this.#consumer = undefined
    await closeSoon(consumer?.disconnect())
  }

  #fail(error: unknown): void {
    if (this.#left.signal.aborted) return
    void this.leave()
    this.#subscriber.error(toMillraceError(error, this.#client.address, 'KAFKA_UNAVAILABLE'))
  }
}
