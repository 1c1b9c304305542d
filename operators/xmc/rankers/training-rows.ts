/**
 * The documents that the classifiers below one node learn from, gathered side by side with features renumbered from 0: a few thousand short rows that all
 * siblings share, small enough for the cache, with a weight vector no longer than it must be. They lie in a WebAssembly memory as descent-kernel.ts wants
 * them, which is used again from node to node and grows to the largest. Cost of gathering: linear in the values gathered.
 */

import { MillraceError } from '../../../schemas/errors.ts'
import { createMemory, PAGE, type WasmMemory } from '../../numerics/wasm-assembly.ts'
import type { CsrMatrix } from '../sparse/csr-matrix.ts'
import { BLOCK, type DescentKernel, descentKernel, HEADER, RECORD } from './descent-kernel.ts'

/** Of every binary problem: its result follows from the problem alone. */
const SEED = 0x9e37_79b9 | 0

/** Where the order of records begins among `integers`. */
const FIRST = HEADER.end >> 2
/** Addresses are int32 here. */
const MOST_BYTES = 2 ** 31

export class TrainingRows {
  readonly kernel: DescentKernel
  readonly #memory: WasmMemory = createMemory(1)
  readonly #X: CsrMatrix
  readonly #bias: number
  /** Number here of each feature of X, −1 for those that do not occur. */
  readonly #numberOf: Int32Array
  /** Rows gathered. */
  count = 0
  /** Features that occur, rising; and where the weight of each lies in `floats`. */
  features: Int32Array
  places: Int32Array
  /** The memory; index i is at address 4·i, or 8·i. */
  integers: Int32Array
  floats: Float64Array
  /** Where things begin. */
  records = 0
  weights = 0

  constructor(X: CsrMatrix, bias: number) {
    this.kernel = descentKernel(this.#memory)
    this.#X = X
    this.#bias = bias
    this.#numberOf = new Int32Array(X.columns).fill(-1)
    this.features = new Int32Array(0)
    this.places = new Int32Array(0)
    this.integers = new Int32Array(this.#memory.buffer)
    this.floats = new Float64Array(this.#memory.buffer)
  }

  /**
   * Takes these documents instead of those it had, in their order.
   * @throws MillraceError WRONG_DIMENSION where they need more than 2 GiB
   */
  gather(documents: Int32Array): void {
    for (const feature of this.features) this.#numberOf[feature] = -1
    let blocks = 0
    const { pointers } = this.#X
    for (const row of documents) blocks += Math.ceil((pointers[row + 1]! - pointers[row]!) / BLOCK.features)
    this.features = this.#number(documents)
    const count = documents.length
    this.count = count
    this.records = aligned(HEADER.end + 4 * count)
    this.weights = this.records + RECORD.bytes * count
    this.places = this.features.map((feature) => (this.weights >> 3) + this.#numberOf[feature]!)
    // Behind the weights is one that blocks are filled up with: it stays 0.
    const first = aligned(this.weights + 8 * (this.features.length + 1))
    // The kernel touches up to two blocks behind the last.
    this.#reserve(first + BLOCK.bytes * (blocks + 3))
    this.integers[HEADER.order >> 2] = HEADER.end
    this.floats[HEADER.bias >> 3] = this.#bias
    this.#writeBlocks(documents, first)
    this.#writeSquares(documents)
  }

  /**
   * Begins a binary problem: all multipliers and weights 0, the same seed.
   *
   * @param shared that many rows are in it, the first ones
   * @param positives rows on the side 1, all others are on the side −1; those behind the shared ones are in it too
   * @returns how many rows are in it
   */
  begin(shared: number, positives: Int32Array): number {
    const { integers, floats } = this
    for (let i = 0; i < shared; i++) integers[FIRST + i] = this.record(i)
    const [alpha, side] = [(this.records + RECORD.alpha) >> 3, (this.records + RECORD.side) >> 3]
    const stride = RECORD.bytes / 8
    for (let i = 0; i < this.count; i++) {
      floats[alpha + stride * i] = 0
      floats[side + stride * i] = -1
    }
    let count = shared
    for (const row of positives) {
      floats[side + stride * row] = 1
      if (row >= shared) integers[FIRST + count++] = this.record(row)
    }
    const weights = this.weights >> 3
    floats.fill(0, weights, weights + this.features.length + 1)
    floats[HEADER.b >> 3] = 0
    integers[HEADER.seed >> 2] = SEED
    return count
  }

  /** The address of the record of a row. */
  record(row: number): number {
    return this.records + RECORD.bytes * row
  }

  /** The row of a record. */
  rowOf(record: number): number {
    return (record - this.records) / RECORD.bytes
  }

  /**
   * Numbers the features of the documents, the frequent ones first: their weights share a few lines of the cache. They are answered rising.
   */
  #number(documents: Int32Array): Int32Array {
    const { pointers, indices } = this.#X
    const counts = this.#numberOf
    const found = new Int32Array(counts.length)
    let width = 0
    for (const row of documents) {
      for (let k = pointers[row]!; k < pointers[row + 1]!; k++) {
        const feature = indices[k]!
        if (counts[feature] === -1) {
          counts[feature] = 0
          found[width++] = feature
        }
        counts[feature]!++
      }
    }
    const features = found.slice(0, width).sort()
    // Sorted as one number each: how rare, then which.
    const most = documents.length
    const ranked = Float64Array.from(features, (feature, i) => (most - counts[feature]!) * width + i).sort()
    ranked.forEach((key, number) => {
      counts[features[key % width]!] = number
    })
    return features
  }

  #reserve(bytes: number): void {
    if (bytes > MOST_BYTES)
      throw new MillraceError('WRONG_DIMENSION', `${this.count} documents below a node take ${bytes} bytes`)
    const missing = bytes - this.#memory.buffer.byteLength
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE))
    this.integers = new Int32Array(this.#memory.buffer)
    this.floats = new Float64Array(this.#memory.buffer)
  }

  #writeBlocks(documents: Int32Array, first: number): void {
    const { pointers, indices, values } = this.#X
    const integers = this.integers
    const singles = new Float32Array(this.#memory.buffer)
    const unused = this.weights + 8 * this.features.length
    let block = first >> 2
    for (let i = 0; i < documents.length; i++) {
      const row = documents[i]!
      const record = this.record(i) >> 2
      const end = pointers[row + 1]!
      integers[record] = block << 2
      for (let k = pointers[row]!; k < end; k += BLOCK.features) {
        for (let place = 0; place < BLOCK.features; place++) {
          const used = k + place < end
          integers[block + place] = used ? this.weights + 8 * this.#numberOf[indices[k + place]!]! : unused
          singles[block + BLOCK.values / 4 + place] = used ? values[k + place]! : 0
        }
        block += BLOCK.bytes / 4
      }
      integers[record + 1] = block << 2
    }
  }

  #writeSquares(documents: Int32Array): void {
    const { pointers, values } = this.#X
    for (let i = 0; i < documents.length; i++) {
      const row = documents[i]!
      let square = this.#bias * this.#bias
      for (let k = pointers[row]!; k < pointers[row + 1]!; k++) square += values[k]! * values[k]!
      this.floats[(this.record(i) + RECORD.square) >> 3] = square
    }
  }
}

const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64
