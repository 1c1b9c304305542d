/**
 * The last outcomes of a policy: a ring of vectors and rewards, in which each regression's own are chained. Putting one in and dropping the oldest take
 * constant time; nothing is allocated once the ring is full.
 */
import { grown, grownIntegers } from '../../numerics/grown.ts'

const NONE = -1

export class OutcomeWindow {
  readonly #capacity: number
  readonly #dimension: number
  count = 0
  /** The place of the oldest outcome. */
  oldest = 0
  /** Of each place: the regression (−1 where it is another arm's now), the reward and the vector. */
  rows = new Float64Array(0)
  rewards = new Float64Array(0)
  vectors = new Float64Array(0)
  /** Of each place, the next of the same regression; of each regression, its first place and its last. */
  #next = new Int32Array(0)
  #first = new Int32Array(0)
  #last = new Int32Array(0)

  /** @param capacity outcomes that it holds at most */
  constructor(capacity: number, dimension: number) {
    this.#capacity = capacity
    this.#dimension = dimension
  }

  /** Adds an outcome, there being fewer than the capacity. */
  put(row: number, x: Float64Array, reward: number): void {
    this.#reserve(this.count + 1)
    const slot = (this.oldest + this.count++) % this.rows.length
    this.rows[slot] = row
    this.rewards[slot] = reward
    for (let i = 0; i < x.length; i++) this.vectors[slot * x.length + i] = x[i]!
    this.#chain(row, slot)
  }

  /** Drops the oldest outcome. */
  drop(): void {
    const slot = this.oldest
    const row = this.rows[slot]! | 0
    if (row >= 0) this.#first[row] = this.#next[slot]!
    this.oldest = (slot + 1) % this.rows.length
    this.count--
  }

  /** Leaves a regression's outcomes to nobody. */
  disown(row: number): void {
    for (let slot = this.#first[row] ?? NONE; slot !== NONE; slot = this.#next[slot]!) this.rows[slot] = NONE
    if (row < this.#first.length) this.#first[row] = NONE
  }

  /** The places of a regression's outcomes, or of all, the oldest first. */
  *slots(row?: number): Generator<number, void> {
    if (row !== undefined)
      for (let slot = this.#first[row] ?? NONE; slot !== NONE; slot = this.#next[slot]!) yield slot
    else for (let n = 0; n < this.count; n++) yield (this.oldest + n) % this.rows.length
  }

  /** Regressions, rewards and vectors, the oldest first. */
  get arrays(): readonly Float64Array[] {
    return [
      this.#inOrder(this.rows, 1),
      this.#inOrder(this.rewards, 1),
      this.#inOrder(this.vectors, this.#dimension),
    ]
  }

  /** Makes room for exactly `count` outcomes, to be filled through `arrays`. */
  reset(count: number): void {
    this.#reserve(count)
    this.oldest = 0
    this.count = count
  }

  /** Chains what was filled. */
  resume(): void {
    this.#first.fill(NONE)
    for (let slot = 0; slot < this.count; slot++)
      if (this.rows[slot]! >= 0) this.#chain(this.rows[slot]!, slot)
  }

  #chain(row: number, slot: number): void {
    const room = this.#first.length
    if (row >= room) {
      this.#first = grownIntegers(this.#first, 2 * row + 1).fill(NONE, room)
      this.#last = grownIntegers(this.#last, 2 * row + 1)
    }
    this.#next[slot] = NONE
    if (this.#first[row] === NONE) this.#first[row] = slot
    else this.#next[this.#last[row]!] = slot
    this.#last[row] = slot
  }

  /** While there is room to grow, the oldest outcome is still at place 0: nothing has been dropped. */
  #reserve(count: number): void {
    if (count <= this.rows.length) return
    const room = Math.min(Math.max(2 * count, 64), this.#capacity)
    this.rows = grown(this.rows, room)
    this.rewards = grown(this.rewards, room)
    this.vectors = grown(this.vectors, room * this.#dimension)
    this.#next = grownIntegers(this.#next, room)
  }

  /** The outcomes' numbers, `size` each; in place where they begin at place 0. */
  #inOrder(numbers: Float64Array, size: number): Float64Array {
    const { oldest, count } = this
    const whole = count * size
    if (oldest === 0) return numbers.subarray(0, whole)
    const ordered = new Float64Array(whole)
    const behind = Math.min(count, this.rows.length - oldest)
    ordered.set(numbers.subarray(oldest * size, (oldest + behind) * size))
    ordered.set(numbers.subarray(0, (count - behind) * size), behind * size)
    return ordered
  }
}
