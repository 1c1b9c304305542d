/** A binary min-heap of values under numeric priorities; equal priorities leave in the order they came. O(log n) a step. */
export class BinaryHeap<T> {
  private readonly priorities: number[] = []
  private readonly sequence: number[] = []
  private readonly values: T[] = []
  private count = 0

  get size(): number {
    return this.values.length
  }

  /** The smallest priority, or Infinity when empty. */
  get minimum(): number {
    return this.priorities[0] ?? Number.POSITIVE_INFINITY
  }

  /** The value of the smallest priority, still in it; undefined when empty. */
  get first(): T | undefined {
    return this.values[0]
  }

  push(priority: number, value: T): void {
    const order = this.count++
    let at = this.values.length
    this.priorities.push(priority)
    this.sequence.push(order)
    this.values.push(value)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.before(priority, order, parent)) break
      this.copy(parent, at)
      at = parent
    }
    this.set(at, priority, order, value)
  }

  /** Removes and returns the value of the smallest priority; undefined when empty. */
  pop(): T | undefined {
    const top = this.values[0]
    const priority = this.priorities.pop()
    const order = this.sequence.pop()
    const value = this.values.pop()
    if (priority === undefined || order === undefined || this.values.length === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.values.length) break
      if (
        child + 1 < this.values.length &&
        this.before(this.priorities[child + 1]!, this.sequence[child + 1]!, child)
      )
        child++
      if (this.before(priority, order, child)) break
      this.copy(child, at)
      at = child
    }
    this.set(at, priority, order, value as T)
    return top
  }

  private before(priority: number, order: number, other: number): boolean {
    const theirs = this.priorities[other]!
    return priority < theirs || (priority === theirs && order < this.sequence[other]!)
  }

  private copy(from: number, to: number): void {
    this.set(to, this.priorities[from]!, this.sequence[from]!, this.values[from]!)
  }

  private set(at: number, priority: number, order: number, value: T): void {
    this.priorities[at] = priority
    this.sequence[at] = order
    this.values[at] = value
  }
}
