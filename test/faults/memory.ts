/** Resident memory of a worker over a while, looked at ten times a second: its peak, against what it was. */
import type { Worker } from './worker.ts'

const MIB = 2 ** 20

export class MemoryWatch {
  readonly #worker: Worker
  readonly #timer: NodeJS.Timeout
  #first: number
  #peak = 0

  constructor(worker: Worker) {
    this.#worker = worker
    this.#first = worker.rss()
    this.#timer = setInterval(() => this.#look(), 100)
    this.#timer.unref()
  }

  #look(): void {
    this.#peak = Math.max(this.#peak, this.#worker.rss())
  }

  /** From here on is measured: what came before was the start. */
  begin(): void {
    this.#first = this.#peak = this.#worker.rss()
  }

  /**
   * Ends the watch.
   * @returns `RSS 210 → 240 MiB`, for the row's line
   * @throws Error where memory grew by more than `growthMiB` at any time since `begin`
   */
  end(growthMiB: number): string {
    this.#look()
    clearInterval(this.#timer)
    const [first, peak] = [this.#first, this.#peak].map((bytes) => Math.round(bytes / MIB))
    const told = `RSS ${first} → ${peak} MiB`
    if (peak! - first! > growthMiB) throw new Error(`${told}: more than ${growthMiB} MiB of growth`)
    return told
  }
}
