/** What the process itself sees of a run of the demo. */
import type { Progress } from '../process/runtime.ts'

export class Watch {
  /** Events committed, by `pipeline:name`. */
  readonly committed: Record<string, number> = {}
  deadLetters = 0
  firstDecisionAt = 0
  lastOutcomeAt = 0
  rssMax = 0
  /** Mean reward of about the last thousand decisions. */
  recentRate = 0
  /** Resolves when every pipeline has opened a task. */
  readonly allOpened: Promise<void>
  private readonly onFirst: () => void
  private readonly unopened: Set<string>
  private onAllOpened: () => void = () => {}

  /** @param pipelines names of those that run. @param onFirst called at the first decision */
  constructor(pipelines: readonly string[], onFirst: () => void) {
    this.unopened = new Set(pipelines)
    this.onFirst = onFirst
    this.allOpened = new Promise((resolve) => {
      this.onAllOpened = resolve
    })
  }

  take({ pipeline, opened, sent, deadLetters }: Progress): void {
    if (opened && this.unopened.delete(pipeline) && this.unopened.size === 0) this.onAllOpened()
    for (const [name, count] of Object.entries(sent)) {
      this.committed[`${pipeline}:${name}`] = this.count(pipeline, name) + count
    }
    if (pipeline !== 'record') this.deadLetters += deadLetters
    if (sent['outcome'] !== undefined) this.lastOutcomeAt = performance.now()
  }

  /** Events of a name that a pipeline committed. */
  count(pipeline: string, name: string): number {
    return this.committed[`${pipeline}:${name}`] ?? 0
  }

  /** Looks at the process, now and then. */
  sample(): void {
    this.rssMax = Math.max(this.rssMax, process.memoryUsage.rss())
  }

  decided(right: boolean): void {
    if (this.firstDecisionAt === 0) {
      this.firstDecisionAt = performance.now()
      // What came before was starting up.
      this.onFirst()
    }
    this.recentRate += ((right ? 1 : 0) - this.recentRate) / 1_000
  }
}
