/** How far a command has come, on standard error: a live line with rate and time left on a terminal; plain lines, seldom, elsewhere. */
import { plain } from './output.ts'

const PLAIN_EVERY_MS = 10_000
const LIVE_EVERY_MS = 100

export class ProgressLine {
  readonly #stream: NodeJS.WriteStream
  readonly #unit: string
  #name = ''
  #started = performance.now()
  #shown = performance.now()

  /** @param unit of what passes: offsets, bytes, rows */
  constructor(stream: NodeJS.WriteStream, unit: string) {
    this.#stream = stream
    this.#unit = unit
  }

  show(name: string, passed: number, total: number): void {
    const now = performance.now()
    if (name !== this.#name) {
      this.#name = name
      this.#started = now
    }
    if (now - this.#shown < (this.#stream.isTTY ? LIVE_EVERY_MS : PLAIN_EVERY_MS)) return
    this.#shown = now
    const rate = passed / Math.max(0.001, (now - this.#started) / 1_000)
    const left = rate > 0 ? `${Math.ceil((total - passed) / rate)} s left` : 'beginning'
    const text = `${plain(name)}: ${passed} of ${total} ${this.#unit}, ${Math.round(rate)}/s, ${left}`
    this.#stream.write(this.#stream.isTTY ? `\r\x1b[K${text}` : `${text}\n`)
  }

  clear(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K')
  }
}
