/**
 * The outcomes of one arm that an exact fit rests on, in one array that doubles as they come: a row is a vector, its reward, and its number among all
 * outcomes. The oldest can be forgotten. Cost: d an outcome, now and then a copy.
 */

/** What is made of an arm's rows. */
export interface ArmFit {
  readonly theta: Float64Array
  /** V⁻¹, packed. */
  readonly inverse: Float64Array
}

/** The rows of one arm, oldest first: a vector, its reward, and its number among all outcomes. */
export class ArmRows {
  /** What was made of the rows; undefined where they have changed since. */
  fit: ArmFit | undefined
  readonly #width: number
  #numbers: Float64Array
  #start = 0
  #end: number

  constructor(dimension: number, numbers = new Float64Array(0)) {
    this.#width = dimension + 2
    this.#numbers = numbers
    this.#end = numbers.length
  }

  get count(): number {
    return (this.#end - this.#start) / this.#width
  }

  get numbers(): Float64Array {
    return this.#numbers.subarray(this.#start, this.#end)
  }

  /** The number of the oldest row among all outcomes. */
  get oldest(): number {
    return this.#numbers[this.#start + this.#width - 1]!
  }

  push(vector: Float64Array, reward: number, number: number): void {
    this.#makeRoom()
    const numbers = this.#numbers
    numbers.set(vector, this.#end)
    this.#end += this.#width
    numbers[this.#end - 2] = reward
    numbers[this.#end - 1] = number
    this.fit = undefined
  }

  /** Forgets the oldest row. */
  shift(): void {
    this.#start += this.#width
    this.fit = undefined
  }

  /** Room for one more row: what is in use moves to the front where that frees half, else the array doubles. */
  #makeRoom(): void {
    if (this.#end + this.#width <= this.#numbers.length) return
    const used = this.#end - this.#start
    const enough = 2 * (used + this.#width) <= this.#numbers.length
    const target = enough
      ? this.#numbers
      : new Float64Array(Math.max(2 * this.#numbers.length, 4 * this.#width))
    if (enough) target.copyWithin(0, this.#start, this.#end)
    else target.set(this.numbers)
    this.#numbers = target
    this.#start = 0
    this.#end = used
  }
}
