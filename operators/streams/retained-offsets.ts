/**
 * Which records of a topic a fold still needs, so that it can say from where it would have to be made again: the earliest of them, and how far
 * event time had come before it. Records are added in the order of their offsets and released in any; a ring of 17 bytes each, from the
 * earliest to the newest. Amortised O(1) a record.
 */
import { widened } from './columns.ts'

const FIRST_CAPACITY = 256

export class RetainedOffsets {
  private offsets = new Float64Array(FIRST_CAPACITY)
  private befores = new Float64Array(FIRST_CAPACITY)
  private needed = new Uint8Array(FIRST_CAPACITY)
  // Places count up and wrap at 2^32, which is a multiple of the capacity.
  private head = 0
  private tail = 0

  /** The earliest offset that is needed; -1 where none is. */
  get earliest(): number {
    return this.head === this.tail ? -1 : this.offset(this.head)
  }

  /** What was before the earliest record that is needed; `otherwise` where none is. */
  earliestBefore(otherwise: number): number {
    return this.head === this.tail ? otherwise : this.before(this.head)
  }

  /**
   * Adds a record; its place is good until `release`.
   * @param before largest event time of the records before it.
   */
  add(offset: number, before: number): number {
    if ((this.tail - this.head) >>> 0 === this.offsets.length) this.grow()
    const place = this.tail
    const at = place & (this.offsets.length - 1)
    this.offsets[at] = offset
    this.befores[at] = before
    this.needed[at] = 1
    this.tail = (place + 1) >>> 0
    return place
  }

  offset(place: number): number {
    return this.offsets[place & (this.offsets.length - 1)]!
  }

  before(place: number): number {
    return this.befores[place & (this.offsets.length - 1)]!
  }

  release(place: number): void {
    const mask = this.offsets.length - 1
    this.needed[place & mask] = 0
    while (this.head !== this.tail && this.needed[this.head & mask] === 0) this.head = (this.head + 1) >>> 0
    while (this.head !== this.tail && this.needed[(this.tail - 1) & mask] === 0)
      this.tail = (this.tail - 1) >>> 0
  }

  private grow(): void {
    const capacity = this.offsets.length
    // Twice the ring, so that every place is found under the wider mask, too.
    const twice = <T extends Float64Array | Uint8Array>(from: T, to: T): T => {
      widened(from, to).set(from, capacity)
      return to
    }
    this.offsets = twice(this.offsets, new Float64Array(2 * capacity))
    this.befores = twice(this.befores, new Float64Array(2 * capacity))
    this.needed = twice(this.needed, new Uint8Array(2 * capacity))
  }
}
