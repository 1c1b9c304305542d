/** One chunk at a time, from classifiers to the bytes that chunk-kernel.ts reads: measured by `read`, laid down by `write`. */
import type { CsrMatrix } from '../sparse/csr-matrix.ts'
import { EMPTY, ENTRY, GOLDEN, HEAD, SLOT } from './chunk-kernel.ts'
import type { Siblings } from './siblings.ts'

/** Children are padded to fours. */
export const padded = (children: number): number => (children + 3) & ~3
/** A row is dense where that is no longer: 4 bytes a child, not 8 a weight. */
const isDense = (weights: number, children: number): boolean => 2 * weights >= padded(children)

export class ChunkRows {
  #weights: CsrMatrix
  #level: Siblings
  #parent = 0
  /** Features met, and of each feature how many weights there are, and where the next is to be written, in float32. */
  readonly #met: Int32Array
  #features = 0
  readonly #counts: Int32Array
  readonly #next: Uint32Array

  constructor(weights: CsrMatrix, level: Siblings) {
    this.#weights = weights
    this.#level = level
    this.#met = new Int32Array(weights.columns)
    this.#counts = new Int32Array(weights.columns)
    this.#next = new Uint32Array(weights.columns)
  }

  /** Takes up the chunk of a parent. Returns its bytes. */
  read(weights: CsrMatrix, level: Siblings, parent: number): number {
    for (let i = 0; i < this.#features; i++) this.#counts[this.#met[i]!] = 0
    this.#weights = weights
    this.#level = level
    this.#parent = parent
    this.#features = 0
    const { first, children: nodes } = level
    const { pointers, indices } = weights
    const bias = weights.columns - 1
    const counts = this.#counts
    const met = this.#met
    let features = 0
    for (let c = first[parent]!; c < first[parent + 1]!; c++) {
      const end = pointers[nodes[c]! + 1]!
      for (let k = pointers[nodes[c]!]!; k < end; k++) {
        const feature = indices[k]!
        if (feature < bias && counts[feature]!++ === 0) met[features++] = feature
      }
    }
    this.#features = features
    const children = this.#children
    let bytes = HEAD.bytes + 8 * padded(children) + SLOT * 2 ** this.#tableBits
    for (let i = 0; i < this.#features; i++) bytes += rowBytes(this.#counts[this.#met[i]!]!, children)
    return bytes
  }

  /** Lays the chunk down. @param at a multiple of 16 @param bias the constant feature */
  write(buffer: ArrayBuffer, at: number, bias: number): void {
    const integers = new Int32Array(buffer)
    const singles = new Float32Array(buffer)
    const doubles = new Float64Array(buffer)
    const children = this.#children
    const slots = 2 ** this.#tableBits
    const constants = at + HEAD.bytes
    const table = constants + 8 * padded(children)
    const head = at / 4
    integers[head + HEAD.constants / 4] = constants
    integers[head + HEAD.valueBytes / 4] = 8 * padded(children)
    integers[head + HEAD.table / 4] = table
    integers[head + HEAD.mask / 4] = SLOT * (slots - 1)
    integers[head + HEAD.shift / 4] = 32 - this.#tableBits
    for (let slot = 0; slot < slots; slot++) integers[table / 4 + 2 * slot] = EMPTY

    let row = table + SLOT * slots
    for (let i = 0; i < this.#features; i++) {
      const feature = this.#met[i]!
      const count = this.#counts[feature]!
      const dense = isDense(count, children)
      let slot = Math.imul(feature, GOLDEN) >>> (32 - this.#tableBits)
      while (integers[table / 4 + 2 * slot] !== EMPTY) slot = (slot + 1) & (slots - 1)
      integers[table / 4 + 2 * slot] = feature
      integers[table / 4 + 2 * slot + 1] = dense ? row + 1 : row
      if (!dense) integers[row / 4] = ENTRY * count
      this.#next[feature] = (dense ? row : row + 8) / 4
      row += rowBytes(count, children)
    }
    const { first, children: nodes } = this.#level
    const { pointers, indices, values, columns } = this.#weights
    const start = first[this.#parent]!
    const counts = this.#counts
    const next = this.#next
    for (let child = 0; child < children; child++) {
      const node = nodes[start + child]!
      const end = pointers[node + 1]!
      for (let k = pointers[node]!; k < end; k++) {
        const feature = indices[k]!
        if (feature === columns - 1) doubles[constants / 8 + child] = bias * values[k]!
        else if (isDense(counts[feature]!, children)) singles[next[feature]! + child] = values[k]!
        else {
          const entry = next[feature]!
          singles[entry] = values[k]!
          integers[entry + 1] = 8 * child
          next[feature] = entry + ENTRY / 4
        }
      }
    }
  }

  get #children(): number {
    return this.#level.first[this.#parent + 1]! - this.#level.first[this.#parent]!
  }

  /** Of the table: at most half of it is taken. */
  get #tableBits(): number {
    return this.#features === 0 ? 1 : Math.max(1, 32 - Math.clz32(2 * this.#features - 1))
  }
}

const rowBytes = (weights: number, children: number): number =>
  isDense(weights, children) ? 4 * padded(children) : 8 + ENTRY * weights
