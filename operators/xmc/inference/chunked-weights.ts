/**
 * The classifiers of a tree, sibling by sibling: masked sparse chunk multiplication (Etter, Zhong, Yu, Ying and Dhillon 2022, "Accelerating Inference
 * for Sparse Extreme Multi-Label Ranking Trees"). A chunk is all children of one parent, kept by features: for each feature that any of them
 * weighs, a row of their weights. So a feature of the query is looked up once for all siblings, in the chunk's own hash table.
 *
 * A row is sparse or dense, whichever is shorter. All lies in one WebAssembly memory, chunk after chunk (chunk-kernel.ts has the layout): 4 GiB hold about
 * 500 million weights. Cost of a product: a look-up for each feature of the query, and a multiplication for each weight met.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { grownIntegers } from '../../numerics/grown.ts'
import { createMemory, PAGE, type WasmMemory } from '../../numerics/wasm-assembly.ts'
import type { CsrMatrix } from '../sparse/csr-matrix.ts'
import { type ChunkKernel, COUNT, chunkKernel, LEAST } from './chunk-kernel.ts'
import { ChunkRows, padded } from './chunk-rows.ts'
import type { Siblings } from './siblings.ts'

const MOST = 2 ** 32
/** What the memory begins with, behind LEAST and COUNT: the values of a product. The places of those picked follow. */
const VALUES = 32
const aligned = (address: number): number => Math.ceil(address / 16) * 16

export class ChunkedWeights {
  readonly #memory: WasmMemory
  readonly #kernel: ChunkKernel
  /** Addresses of the heads of each level's chunks. */
  readonly #heads: readonly Uint32Array[]
  readonly #widest: number
  readonly #places: number
  /** Queries lie last, so that for more of them the memory only grows: pairs of a feature and its value. */
  readonly #query: number
  /** Where each query begins and ends, in int32 from there. */
  #bounds = new Int32Array(2)
  #count = 0
  #end = 0
  #views: Views

  /**
   * @param weights of each level: a row a node, the last column the bias's; all of equal columns
   * @param bias the constant feature
   * @throws MillraceError WRONG_DIMENSION where they do not fit into 4 GiB
   */
  constructor(weights: readonly CsrMatrix[], levels: readonly Siblings[], bias: number) {
    const rows = new ChunkRows(weights[0]!, levels[0]!)
    const widest = padded(Math.max(...levels.map((level) => level.widest)))
    this.#widest = widest
    this.#places = VALUES + 8 * widest
    let end = aligned(this.#places + 4 * (widest + 1))
    this.#heads = levels.map((level, t) => {
      const heads = new Uint32Array(level.parents)
      for (let parent = 0; parent < level.parents; parent++) {
        heads[parent] = end
        end = aligned(end + rows.read(weights[t]!, level, parent))
        if (end > MOST - PAGE) throw new MillraceError('WRONG_DIMENSION', 'the weights do not fit into 4 GiB')
      }
      return heads
    })
    this.#query = end
    this.#memory = createMemory(Math.ceil((end + 1) / PAGE))
    this.#kernel = chunkKernel(this.#memory)
    levels.forEach((level, t) => {
      this.#heads[t]!.forEach((head, parent) => {
        rows.read(weights[t]!, level, parent)
        rows.write(this.#memory.buffer, head, bias)
      })
    })
    this.#views = this.#view()
  }

  /** Of the last product, in the order of the children. Another array when queries take more room than ever before. */
  get values(): Float64Array {
    return this.#views.values
  }

  /** Of the last `pick`; as `values`. */
  get places(): Int32Array {
    return this.#views.places
  }

  /** Forgets all queries. */
  clear(): void {
    this.#count = 0
    this.#end = 0
  }

  /** Takes up a query: `indices` below the bias's column, finite `numbers`. Its number is the count of those before it. */
  append(indices: Int32Array, numbers: Float32Array, from: number, to: number): void {
    const end = this.#end + 2 * (to - from)
    const room = this.#views.features.length
    if (end > room) {
      this.#memory.grow(Math.ceil((4 * (end - room)) / PAGE))
      this.#views = this.#view()
    }
    if (this.#count + 2 > this.#bounds.length)
      this.#bounds = grownIntegers(this.#bounds, 2 * this.#bounds.length)
    const { features, numbers: own } = this.#views
    let at = this.#end
    for (let k = from; k < to; k++) {
      features[at] = indices[k]!
      own[at + 1] = numbers[k]!
      at += 2
    }
    this.#end = at
    this.#bounds[++this.#count] = at
  }

  /** Leaves in `values` what the classifiers of a parent's children say of a query. */
  multiply(level: number, parent: number, query: number): void {
    const start = this.#query + 4 * this.#bounds[query]!
    const end = this.#query + 4 * this.#bounds[query + 1]!
    this.#kernel.multiply(this.#heads[level]![parent]!, start, end, VALUES)
  }

  /** Leaves in `places`, rising, where among the first so many `values` those of at least `least` stand. Returns how many they are. */
  pick(children: number, least: number): number {
    this.#views.least[0] = least
    this.#kernel.pick(VALUES, VALUES + 8 * children, this.#places)
    return this.#views.count[0]!
  }

  #view(): Views {
    const { buffer } = this.#memory
    return {
      least: new Float64Array(buffer, LEAST, 1),
      count: new Int32Array(buffer, COUNT, 1),
      values: new Float64Array(buffer, VALUES, this.#widest),
      places: new Int32Array(buffer, this.#places, this.#widest),
      features: new Int32Array(buffer, this.#query),
      numbers: new Float32Array(buffer, this.#query),
    }
  }
}

/** Parts of the memory. */
interface Views {
  readonly least: Float64Array
  readonly count: Int32Array
  readonly values: Float64Array
  readonly places: Int32Array
  readonly features: Int32Array
  readonly numbers: Float32Array
}
