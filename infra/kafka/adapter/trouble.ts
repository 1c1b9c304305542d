/**
 * How long a cluster has been in trouble, as this process has seen it. What lies between two failures counts for at most half of the patience: a
 * process that was itself stopped for long (SIGSTOP, a machine asleep) finds old failures when it wakes, and tries again before it gives up.
 */
export class Trouble {
  readonly #patienceMs: number
  readonly #now: () => number
  #spentMs = 0
  #failedAt: number | undefined

  /** @param now milliseconds of any steady clock */
  constructor(patienceMs: number, now: () => number = Date.now) {
    this.#patienceMs = patienceMs
    this.#now = now
  }

  /** The cluster answers: what was is forgotten. */
  over(): void {
    this.#spentMs = 0
    this.#failedAt = undefined
  }

  /** Notes a failure. @returns whether the trouble, from its first failure on, has outlasted the patience */
  outlasts(): boolean {
    const now = this.#now()
    this.#spentMs += Math.min(now - (this.#failedAt ?? now), this.#patienceMs / 2)
    this.#failedAt = now
    return this.#spentMs > this.#patienceMs
  }
}
