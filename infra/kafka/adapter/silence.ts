/**
 * How long an input has been silent, told by answers alone: time counts from the receipt of the first answer that nothing lies behind
 * the position to the sending of the last request that was answered so. Whatever stands still in between (this process, the broker, the
 * network), no more time counts than the broker vouches for. Clocks here are monotonic, in milliseconds.
 */
const LEAST_FRESH_MS = 500
const MOST_FRESH_MS = 2000

export class Silence {
  /** When the first of the answers was received; NaN where there is none. */
  #since = Number.NaN
  /** When the request of the last one was sent. */
  #until = Number.NaN

  /** Nothing lay behind the position, and no transaction was open, between these two moments. */
  confirmed(sentAt: number, receivedAt: number): void {
    if (Number.isNaN(this.#since)) this.#since = receivedAt
    this.#until = sentAt
  }

  /** A record came, the position moved, or the input could not be asked. */
  broken(): void {
    this.#since = Number.NaN
  }

  /**
   * Whether the input has been silent for `idleMs` and was so a moment ago: an answer older than `idleMs` (at least 0.5, at most 2 s)
   * says nothing of now.
   */
  lasts(idleMs: number, now: number): boolean {
    const fresh = Math.min(Math.max(idleMs, LEAST_FRESH_MS), MOST_FRESH_MS)
    return this.#until - this.#since >= idleMs && now - this.#until <= fresh
  }
}
