/**
 * The order in which arms were learned last: a doubly linked list over the numbers of their regressions. Every step takes constant time, and nothing is
 * allocated but room for more arms.
 */
import { grownIntegers } from '../../numerics/grown.ts'

const NONE = -1

export class Recency {
  /** The regression learned least recently; −1 where there is none. */
  oldest = NONE
  #newest = NONE
  #older = new Int32Array(0)
  #newer = new Int32Array(0)

  /** Adds a regression as the one learned last. */
  append(row: number): void {
    if (row >= this.#older.length) {
      const room = Math.max(16, 2 * row)
      this.#older = grownIntegers(this.#older, room)
      this.#newer = grownIntegers(this.#newer, room)
    }
    this.#older[row] = this.#newest
    this.#newer[row] = NONE
    if (this.#newest === NONE) this.oldest = row
    else this.#newer[this.#newest] = row
    this.#newest = row
  }

  /** Makes a regression of the list the one learned last. */
  touch(row: number): void {
    if (row === this.#newest) return
    const older = this.#older[row]!
    const newer = this.#newer[row]!
    this.#older[newer] = older
    if (older === NONE) this.oldest = newer
    else this.#newer[older] = newer
    this.append(row)
  }

  /** Every regression, the one learned least recently first. */
  *[Symbol.iterator](): Generator<number, void> {
    for (let row = this.oldest; row !== NONE; row = this.#newer[row]!) yield row
  }

  clear(): void {
    this.oldest = NONE
    this.#newest = NONE
  }
}
