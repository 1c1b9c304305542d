/**
 * A server that may be away for a while: what fails because of it is tried again, with growing pauses, until it works, fails for another
 * reason or is given up. However many wait, they are told about once: a component that is failing with the reason, and a line in the log
 * now and then.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Component } from '../../infra/http/health.ts'
import type { Log } from '../../infra/telemetry/log.ts'
import { codeOf, type ErrorCode } from '../../schemas/errors.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
/** Between two lines about one absence. */
const REMIND_MS = 60_000

export interface RemoteOptions {
  /** For people: `ClickHouse`. */
  readonly name: string
  /** What its failures that pass have as their code. */
  readonly away: ErrorCode
  readonly log: Log
  /** Failing while anybody waits. */
  readonly component?: Component
}

export class Remote {
  private readonly options: RemoteOptions
  private waiting = 0
  private since = 0
  private toldAt = Number.NEGATIVE_INFINITY

  constructor(options: RemoteOptions) {
    this.options = options
  }

  /** Whether anybody waits for it. */
  get isAway(): boolean {
    return this.waiting > 0
  }

  /**
   * Runs `work` until it works; once `signal` has aborted, not again, and only a first try may still end.
   * @throws what `work` throws but failures that pass; the signal's reason
   */
  async reach<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    let waits = false
    let works = false
    try {
      for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
        try {
          // Whoever has failed before may hang now: a signal does not wait for it.
          const result = await (waits ? unlessAborted(work(), signal) : work())
          works = true
          return result
        } catch (error) {
          signal?.throwIfAborted()
          if (codeOf(error, 'INVALID_EVENT') !== this.options.away) throw error
          if (!waits) this.join()
          waits = true
          this.tell(error as Error)
        }
        await sleep(pause, undefined, { signal }).catch(() => {})
        signal?.throwIfAborted()
      }
    } finally {
      if (waits) this.waiting--
      // A failure of another kind is told by whoever it ends.
      if (this.waiting === 0 && (works || signal?.aborted)) this.left(waits)
    }
  }

  private join(): void {
    if (this.waiting++ === 0) this.since = performance.now()
  }

  private tell(error: Error): void {
    const { name, component, log } = this.options
    component?.failing(error.message)
    const now = performance.now()
    if (now - this.toldAt < REMIND_MS) return
    this.toldAt = now
    log.warn({ error }, `${name} is away: trying again until it is back`)
  }

  /** It is back, or nobody needs it any more. */
  private left(waited: boolean): void {
    const { name, component, log } = this.options
    component?.ready()
    this.toldAt = Number.NEGATIVE_INFINITY
    const seconds = Math.round((performance.now() - this.since) / 1_000)
    if (waited) log.info({ seconds }, `${name} is no longer waited for`)
  }
}

/** What `work` gives, or the signal's reason as soon as it aborts. Unlike a race, it leaves nothing behind on the signal. */
export const unlessAborted = <T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> =>
  new Promise((resolve, reject) => {
    const abort = () => reject(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    void work.then(resolve, reject).finally(() => signal?.removeEventListener('abort', abort))
  })
