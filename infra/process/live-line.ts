/** One line that says again and again how far something is: rewritten in place on a terminal; elsewhere a line of its own, seldom. */
const LIVE_EVERY_MS = 100
const PLAIN_EVERY_MS = 10_000
const WIDTH = 24

export class LiveLine {
  readonly #stream: NodeJS.WriteStream
  readonly #everyMs: number
  #shown = performance.now()

  /** @param plainEveryMs how seldom, where it is no terminal */
  constructor(stream: NodeJS.WriteStream, plainEveryMs = PLAIN_EVERY_MS) {
    this.#stream = stream
    this.#everyMs = stream.isTTY ? LIVE_EVERY_MS : plainEveryMs
  }

  /** @param text made only where it is shown; told whether that is a terminal */
  show(text: (live: boolean) => string): void {
    const now = performance.now()
    if (now - this.#shown < this.#everyMs) return
    this.#shown = now
    const live = this.#stream.isTTY
    this.#stream.write(live ? `\r\x1b[K${text(live)}` : `${text(live)}\n`)
  }

  clear(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K')
  }
}

/** `[██████··················]` @param share done, 0 to 1 */
export const bar = (share: number): string => {
  const full = Math.round(WIDTH * Math.max(0, Math.min(share, 1)))
  return `[${'█'.repeat(full)}${'·'.repeat(WIDTH - full)}]`
}
