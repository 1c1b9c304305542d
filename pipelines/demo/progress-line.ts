/** A live line on a terminal; plain lines, seldom, elsewhere. */
const PLAIN_EVERY_MS = 5_000

export class ProgressLine {
  private readonly stream: NodeJS.WriteStream
  private readonly started = performance.now()
  private plainAt = 0

  constructor(stream: NodeJS.WriteStream) {
    this.stream = stream
  }

  show(
    environment: { published: number; decided: number; rewarded: number },
    watch: { recentRate: number },
  ): void {
    const now = performance.now()
    const perSecond = Math.round(environment.decided / Math.max(0.001, (now - this.started) / 1_000))
    const text = `${environment.decided} decided (${perSecond}/s), ${environment.rewarded} rewards, reward rate ${watch.recentRate.toFixed(3)}`
    if (this.stream.isTTY) this.stream.write(`\r\x1b[K${text}`)
    else if (now - this.plainAt >= PLAIN_EVERY_MS) {
      this.plainAt = now
      this.stream.write(`${text}\n`)
    }
  }

  clear(): void {
    if (this.stream.isTTY) this.stream.write('\r\x1b[K')
  }
}
