/** How far a command has come, on standard error: a live bar with rate and time left on a terminal; plain lines, seldom, elsewhere. */
import { bar, LiveLine } from '../../infra/process/live-line.ts'
import { plain } from './output.ts'

export class ProgressLine {
  readonly #line: LiveLine
  readonly #unit: string
  #name = ''
  #started = performance.now()

  /** @param unit of what passes: offsets, bytes, rows */
  constructor(stream: NodeJS.WriteStream, unit: string) {
    this.#line = new LiveLine(stream)
    this.#unit = unit
  }

  show(name: string, passed: number, total: number): void {
    if (name !== this.#name) {
      this.#name = name
      this.#started = performance.now()
    }
    this.#line.show((live) => {
      const rate = passed / Math.max(0.001, (performance.now() - this.#started) / 1_000)
      const left = rate > 0 ? `${Math.ceil((total - passed) / rate)} s left` : 'beginning'
      const text = `${plain(name)}: ${passed} of ${total} ${this.#unit}, ${Math.round(rate)}/s, ${left}`
      return live ? `${bar(passed / Math.max(total, 1))} ${text}` : text
    })
  }

  clear(): void {
    this.#line.clear()
  }
}
