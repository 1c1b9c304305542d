/**
 * Bytes held for a while, outside the garbage collector's sight: many small messages that come and go mostly in order. They are copied into
 * slabs of equal size; a slab is given back when nothing in it is held any more. A message larger than a slab gets one of its own.
 *
 * Cost: a copy to hold, nothing to look at, O(1) to let go. Memory: what is held, four bytes a message, and what slabs waste while single
 * messages outlive their neighbours.
 */
const SLAB_BYTES = 1 << 20
/** Of the length before each message. */
const LENGTH_BYTES = 4
/** Empty slabs kept for what comes next. */
const MOST_SPARES = 4

interface Slab {
  readonly bytes: Uint8Array
  readonly view: DataView
  used: number
  held: number
}

export class ByteArena {
  private readonly slabBytes: number
  /** By number: the handle of a message is its slab's number times the size of a slab, plus its place in it. */
  private readonly slabs = new Map<number, Slab>()
  private readonly spares: Slab[] = []
  private current: Slab | null = null
  private currentNumber = -1

  /** @param slabBytes size of a slab. */
  constructor(slabBytes = SLAB_BYTES) {
    this.slabBytes = slabBytes
  }

  /** Memory taken by slabs, in bytes. */
  get size(): number {
    let size = 0
    for (const { bytes } of this.slabs.values()) size += bytes.length
    return size + this.spares.length * this.slabBytes
  }

  /** Copies a message in. The handle is good until `free`. */
  hold(message: Uint8Array): number {
    const needed = LENGTH_BYTES + message.length
    let slab = this.current
    if (slab === null || slab.used + needed > slab.bytes.length) slab = this.next(needed)
    const at = slab.used
    slab.view.setUint32(at, message.length)
    slab.bytes.set(message, at + LENGTH_BYTES)
    slab.used += needed
    slab.held++
    return this.currentNumber * this.slabBytes + at
  }

  /** The message of a handle: a view, good until `free`. */
  at(handle: number): Uint8Array {
    const { bytes, view } = this.slabs.get(Math.floor(handle / this.slabBytes))!
    const start = (handle % this.slabBytes) + LENGTH_BYTES
    return bytes.subarray(start, start + view.getUint32(start - LENGTH_BYTES))
  }

  /** Lets a message go; the place of the newest is taken again at once. */
  free(handle: number): void {
    const number = Math.floor(handle / this.slabBytes)
    const slab = this.slabs.get(number)!
    slab.held--
    if (slab === this.current) {
      const at = handle % this.slabBytes
      if (slab.held === 0) slab.used = 0
      else if (at + LENGTH_BYTES + slab.view.getUint32(at) === slab.used) slab.used = at
    } else if (slab.held === 0) this.giveBack(number, slab)
  }

  private next(needed: number): Slab {
    const before = this.current
    if (before?.held === 0) this.giveBack(this.currentNumber, before)
    const slab = needed > this.slabBytes ? newSlab(needed) : (this.spares.pop() ?? newSlab(this.slabBytes))
    slab.used = 0
    this.slabs.set(++this.currentNumber, slab)
    this.current = slab
    return slab
  }

  private giveBack(number: number, slab: Slab): void {
    this.slabs.delete(number)
    if (slab.bytes.length === this.slabBytes && this.spares.length < MOST_SPARES) this.spares.push(slab)
  }
}

const newSlab = (length: number): Slab => {
  const bytes = new Uint8Array(length)
  return { bytes, view: new DataView(bytes.buffer), used: 0, held: 0 }
}
