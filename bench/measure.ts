/** Fair pairs: ours and theirs take turns in one run, so that whatever else the machine does falls on both. */

/** Turns each side takes at least. */
export const PAIRS = 5

export interface Pairs<T = number> {
  readonly ours: readonly T[]
  readonly theirs: readonly T[]
}

/** Measures both sides in turn, the first to go changing from pair to pair; what the warm-up of each gives is left out. */
export const alternate = async <T>(
  ours: () => Promise<T> | T,
  theirs: () => Promise<T> | T,
  pairs = PAIRS,
): Promise<Pairs<T>> => {
  const result = { ours: [] as T[], theirs: [] as T[] }
  await ours()
  await theirs()
  for (let i = 0; i < pairs; i++) {
    if (i % 2 === 0) {
      result.ours.push(await ours())
      result.theirs.push(await theirs())
    } else {
      result.theirs.push(await theirs())
      result.ours.push(await ours())
    }
  }
  return result
}

/** @param values at least one */
export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The value below which a share of them lie. @param values at least one @param share 0 to 1 */
export const percentile = (values: readonly number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!
}

/** The median of the ratios of the pairs. */
export const medianRatio = ({ ours, theirs }: Pairs): number =>
  median(ours.map((value, i) => value / theirs[i]!))

/** Calls of `step` a second: runs it in rounds of `round` calls for at least `ms`. */
export const perSecond = (step: () => void, round: number, ms = 800): number => {
  const start = performance.now()
  let calls = 0
  let elapsed = 0
  while (elapsed < ms) {
    for (let i = 0; i < round; i++) step()
    calls += round
    elapsed = performance.now() - start
  }
  return (calls / elapsed) * 1_000
}

/** Counts what is committed, between the first commit and the last. */
export class Throughput {
  private count = 0
  private first = 0
  private firstAt = 0
  private target = Number.POSITIVE_INFINITY
  private onCount: (count: number) => void = () => {}
  private done: (perSecond: number) => void = () => {}
  private begin: () => void = () => {}

  startingWith(begin: () => void): this {
    this.begin = begin
    return this
  }

  start(): void {
    this.begin()
  }

  add(count: number): void {
    if (count === 0) return
    this.count += count
    this.onCount(count)
    if (this.firstAt === 0) {
      this.first = count
      this.firstAt = performance.now()
    } else if (this.count >= this.target)
      this.done(((this.count - this.first) * 1_000) / (performance.now() - this.firstAt))
  }

  /** Starts, and resolves with the events a second when so many were committed. */
  until(target: number, onCount: (count: number) => void): Promise<number> {
    this.target = target
    this.onCount = onCount
    return new Promise((resolve) => {
      this.done = resolve
      this.start()
    })
  }
}
