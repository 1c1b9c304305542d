/** How far a simulation is: a live bar on a terminal; plain lines, seldom, elsewhere. */
const PLAIN_EVERY_MS = 10_000
const LIVE_EVERY_MS = 100
const WIDTH = 24

export class ProgressBar {
  readonly #stream: NodeJS.WriteStream
  readonly #total: number
  readonly #started = performance.now()
  #done = 0
  #shown = performance.now()

  /** @param total rounds of all runs */
  constructor(stream: NodeJS.WriteStream, total: number) {
    this.#stream = stream
    this.#total = total
  }

  /** Counts rounds, and shows it now and then. */
  add(rounds: number): void {
    this.#done += rounds
    const now = performance.now()
    if (now - this.#shown < (this.#stream.isTTY ? LIVE_EVERY_MS : PLAIN_EVERY_MS)) return
    this.#shown = now
    const text = progressText(this.#done, this.#total, (now - this.#started) / 1_000)
    this.#stream.write(this.#stream.isTTY ? `\r\x1b[K${bar(this.#done / this.#total)} ${text}` : `${text}\n`)
  }

  clear(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K')
  }
}

/** `12% of 1,000,000 rounds, 250,000/s, 4 s left` */
export const progressText = (done: number, total: number, seconds: number): string => {
  const rate = done / Math.max(seconds, 0.001)
  const left = rate > 0 ? `${duration((total - done) / rate)} left` : 'beginning'
  const percent = Math.floor((100 * done) / Math.max(total, 1))
  return `${percent}% of ${grouped(total)} rounds, ${grouped(Math.round(rate))}/s, ${left}`
}

const bar = (share: number): string => {
  const full = Math.round(WIDTH * Math.min(share, 1))
  return `[${'█'.repeat(full)}${'·'.repeat(WIDTH - full)}]`
}

const duration = (seconds: number): string => {
  const whole = Math.ceil(seconds)
  if (whole < 120) return `${whole} s`
  const minutes = Math.round(whole / 60)
  return minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`
}

const grouped = (value: number): string => String(value).replaceAll(/\B(?=(\d{3})+$)/g, ',')
