/**
 * A job's group. Its membership (join, heartbeats, rebalances) fetches nothing, and each task fetches for itself: so heartbeats never
 * wait for work, and tasks open as soon as they are assigned.
 *
 * A task that stays assigned over a rebalance goes on: had anybody else opened it in between, its producer would be fenced. A
 * fenced task means that this member's view of the group is stale: it leaves with all its tasks and joins again, and never initialises
 * on its own. After a commit in doubt the next sign that it is well must come first.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Subscriber } from 'rxjs'
import type { MillraceError } from '../../../schemas/errors.ts'
import type { Task, TaskGroupOptions } from '../port.ts'
import {
  closeSoon,
  type Driver,
  groupIdOf,
  type Membership,
  patiently,
  unavailable,
  waitAtMost,
} from './driver.ts'
import { DEFAULT_REVOKE_TIMEOUT_MS, openTask } from './opening.ts'
import type { Packer } from './packing.ts'
import type { OwnedTask } from './task.ts'
import { checkTopics, watchTopics } from './topics.ts'
import { Trouble } from './trouble.ts'

const DEFAULT_SESSION_TIMEOUT_MS = 10_000
/** What closing takes at most, beyond a commit's own limit. */
const CLOSING_MS = 2500

/** A task held or being opened; `closed` says that it is no longer wanted. */
interface Holding {
  task: OwnedTask | undefined
  closed: boolean
}

export class Group {
  readonly #driver: Driver
  readonly #packer: Packer
  readonly #options: TaskGroupOptions
  readonly #subscriber: Subscriber<Task>
  readonly #left = new AbortController()
  readonly #held = new Map<number, Holding>()
  /** Ends of tasks given up that are still under way. */
  readonly #ending = new Set<Promise<void>>()
  #assigned: ReadonlySet<number> = new Set()
  #membership: Membership | undefined
  #joining: Promise<void> | undefined
  /** Asked to join again while joining. */
  #again = false
  #onWell: (() => void)[] = []
  /** Of the membership. */
  readonly #trouble: Trouble
  #leaving: Promise<void> | undefined

  constructor(driver: Driver, packer: Packer, options: TaskGroupOptions, subscriber: Subscriber<Task>) {
    this.#driver = driver
    this.#trouble = new Trouble(driver.patienceMs)
    this.#packer = packer
    this.#options = options
    this.#subscriber = subscriber
  }

  async start(): Promise<void> {
    try {
      const sizes = await checkTopics(this.#driver, this.#options)
      this.#rejoin(false)
      await watchTopics(this.#driver, this.#options, sizes, this.#left.signal)
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
      // Who is in the middle of joining is seen to the door only where the cluster answers.
      await closeSoon(this.#joining)
      await this.#dropMembership()
      await closeSoon(this.#joining)
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
      await this.#dropMembership()
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
    /** Events of a membership given up are no longer heard. */
    const current =
      <A extends unknown[]>(listen: (...args: A) => void) =>
      (...args: A) => {
        if (membership === this.#membership) listen(...args)
      }
    /** Whether the trouble is to be waited out; where not, the group has failed. */
    const waits = (error: unknown): boolean => {
      if (!this.#trouble.outlasts()) return true
      const { patienceMs, address } = this.#driver
      this.#fail(unavailable(address, patienceMs, error))
      return false
    }
    const membership: Membership = this.#driver.membership(
      { groupId: groupIdOf(app, job), topics, sessionTimeoutMs, held: () => [...this.#held.keys()] },
      {
        assigned: current((numbers) => {
          this.#well()
          this.#assign(numbers)
        }),
        well: current(() => this.#well()),
        ailing: current(waits),
        ended: current((error) => {
          if (!this.#driver.isTransient(error)) this.#fail(error)
          else if (waits(error)) setImmediate(() => this.#rejoin(true))
        }),
      },
    )
    this.#membership = membership
    await patiently(this.#driver, () => membership.connect(), this.#left.signal)
    if (!this.#left.signal.aborted) await membership.run()
  }

  #well(): void {
    this.#trouble.over()
    for (const resolve of this.#onWell.splice(0)) resolve()
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
        driver: this.#driver,
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

  #lost(number: number, holding: Holding, task: OwnedTask, error: MillraceError): void {
    if (holding.closed) return
    holding.closed = true
    this.#held.delete(number)
    this.#track(task.end())
    if (error.code === 'PRODUCER_FENCED' || error.code === 'STALE_GENERATION')
      setImmediate(() => this.#rejoin(false))
    else if (error.code === 'OFFSET_OUT_OF_RANGE' || error.code === 'KAFKA_UNAVAILABLE')
      setImmediate(() => this.#fail(error))
    else
      this.#onWell.push(() => {
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
    this.#onWell = []
    for (const [number, holding] of this.#held) this.#close(number, holding)
  }

  #track(ending: Promise<void>): void {
    this.#ending.add(ending)
    void ending.catch(() => {}).finally(() => this.#ending.delete(ending))
  }

  /** What is under way has ended, or had time enough: an opening that comes late is closed, at worst after it fenced its successor. */
  async #settled(): Promise<void> {
    const { revokeTimeoutMs = DEFAULT_REVOKE_TIMEOUT_MS } = this.#options
    const all = async () => {
      while (this.#ending.size > 0) await Promise.allSettled(this.#ending)
    }
    await waitAtMost(revokeTimeoutMs + CLOSING_MS, all())
  }

  async #dropMembership(): Promise<void> {
    const membership = this.#membership
    this.#membership = undefined
    await membership?.close()
  }

  #fail(error: unknown): void {
    if (this.#left.signal.aborted) return
    void this.leave()
    this.#subscriber.error(this.#driver.toMillraceError(error, 'KAFKA_UNAVAILABLE'))
  }
}
