/** How far a simulation is: a live bar on a terminal; plain lines, seldom, elsewhere. */
import { bar, LiveLine } from '../../infra/process/live-line.ts'

export class ProgressBar {
  readonly #line: LiveLine
  readonly #total: number
  readonly #started = performance.now()
  #done = 0

  /** @param total rounds of all runs */
  constructor(stream: NodeJS.WriteStream, total: number) {
    this.#line = new LiveLine(stream)
    this.#total = total
  }

  /** Counts rounds, and shows it now and then. */
  add(rounds: number): void {
    this.#done += rounds
    this.#line.show((live) => {
      const text = progressText(this.#done, this.#total, (performance.now() - this.#started) / 1_000)
      return live ? `${bar(this.#done / this.#total)} ${text}` : text
    })
  }

  clear(): void {
    this.#line.clear()
  }
}

/** `12% of 1,000,000 rounds, 250,000/s, 4 s left` */
export const progressText = (done: number, total: number, seconds: number): string => {
  const rate = done / Math.max(seconds, 0.001)
  const left = rate > 0 ? `${duration((total - done) / rate)} left` : 'beginning'
  const percent = Math.floor((100 * done) / Math.max(total, 1))
  return `${percent}% of ${grouped(total)} rounds, ${grouped(Math.round(rate))}/s, ${left}`
}

const duration = (seconds: number): string => {
  const whole = Math.ceil(seconds)
  if (whole < 120) return `${whole} s`
  const minutes = Math.round(whole / 60)
  return minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`
}

const grouped = (value: number): string => String(value).replaceAll(/\B(?=(\d{3})+$)/g, ',')
