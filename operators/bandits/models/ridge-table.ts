/**
 * Where ridge regressions lie: rows of numbers side by side in a WebAssembly memory, with what is read from them. What they mean, and how they learn,
 * is in ridge.ts. The arrays double as regressions come, so nothing is allocated otherwise.
 */
import { grown } from '../../numerics/grown.ts'
import { type PackedKernel, packedKernel } from '../../numerics/packed-kernel.ts'
import { packedLength } from '../../numerics/packed-symmetric.ts'
import { type RidgeKernel, ridgeKernel } from '../../numerics/ridge-kernel.ts'
import { createMemory, PAGE, type WasmMemory } from '../../numerics/wasm-assembly.ts'

/** Regressions predicted in one call of the kernel. */
export const BLOCK = 64
/** What a WebAssembly memory can hold, in bytes. */
export const MEMORY_LIMIT = 65_536 * PAGE

export class RidgeTable {
  readonly dimension: number
  /** Numbers in one packed matrix. */
  readonly packed: number
  /** Numbers in a row of `table`: a packed matrix and a vector. */
  readonly stride: number
  /** Regressions that find room. */
  readonly limit: number
  /** Regressions held. */
  count = 0
  /** Two rows a regression: V⁻¹ and θ; Σxxᵀ (without λI) and Σrx. `count` times both are in use. */
  table: Float64Array
  /** Samples in the sums of each, and those since its last refresh. */
  samples = new Float64Array(0)
  sinceRefresh = new Float64Array(0)
  /** θ₀ of each, where there are any. */
  protected priors = new Float64Array(0)

  // The memory: rows (BLOCK u32), vectors, variances, estimates, table; addresses in bytes. Learning keeps its vectors where a prediction does.
  protected readonly memory: WasmMemory
  protected readonly kernel: RidgeKernel
  protected readonly packedKernel: PackedKernel
  protected readonly vectorsAt = 4 * BLOCK
  protected readonly variancesAt: number
  protected readonly estimatesAt: number
  protected readonly tableAt: number
  readonly #hasPriors: boolean
  protected rows: Uint32Array
  /** The memory from its start. */
  protected numbers: Float64Array

  /** @param hasPriors whether regressions begin at a θ₀ of their own, not at zero */
  constructor(dimension: number, hasPriors: boolean) {
    this.dimension = dimension
    this.packed = packedLength(dimension)
    this.stride = this.packed + dimension
    this.#hasPriors = hasPriors
    this.variancesAt = this.vectorsAt + 8 * Math.max(this.stride, BLOCK * dimension)
    this.estimatesAt = this.variancesAt + 8 * BLOCK
    this.tableAt = this.estimatesAt + 8 * BLOCK
    this.limit = Math.floor((MEMORY_LIMIT - this.tableAt) / (16 * this.stride))
    this.memory = createMemory(Math.ceil(this.tableAt / PAGE))
    this.kernel = ridgeKernel(this.memory)
    this.packedKernel = packedKernel(this.memory)
    const views = this.#views()
    this.rows = views.rows
    this.numbers = views.numbers
    this.table = views.table
  }

  /**
   * θᵀx and xᵀV⁻¹x of the first `count` pairs of a regression and a vector.
   * @param rows the regressions' numbers
   * @param places their vectors' rows in `vectors`
   * @param same whether all these vectors are equal
   */
  predict(
    rows: Int32Array,
    places: Int32Array,
    count: number,
    vectors: Float64Array,
    same: boolean,
    estimates: Float64Array,
    variances: Float64Array,
  ): void {
    const { dimension: d, packed } = this
    const numbers = this.numbers
    const vectorsAt = this.vectorsAt / 8
    const variancesAt = this.variancesAt / 8
    const estimatesAt = this.estimatesAt / 8
    if (same && count > 0) this.setVector(vectors)
    for (let start = 0; start < count; start += BLOCK) {
      const size = Math.min(BLOCK, count - start)
      for (let n = 0; n < size; n++) {
        this.rows[n] = 2 * rows[start + n]!
        if (same) continue
        const from = places[start + n]! * d
        const to = vectorsAt + n * d
        for (let i = 0; i < d; i++) numbers[to + i] = vectors[from + i]!
      }
      const { kernel } = this
      if (same)
        kernel.predictOne(
          this.tableAt,
          0,
          this.vectorsAt,
          size,
          packed,
          d,
          this.variancesAt,
          this.estimatesAt,
        )
      else
        kernel.predictEach(
          this.tableAt,
          0,
          this.vectorsAt,
          size,
          packed,
          d,
          this.variancesAt,
          this.estimatesAt,
        )
      for (let n = 0; n < size; n++) {
        variances[start + n] = numbers[variancesAt + n]!
        estimates[start + n] = numbers[estimatesAt + n]!
      }
    }
  }

  /** Lays the first vector where kernels that take one expect it, behind its packed outer product. */
  protected setVector(vectors: Float64Array): void {
    const { dimension: d, numbers, vectorsAt } = this
    const at = vectorsAt + 8 * this.packed
    for (let i = 0; i < d; i++) numbers[at / 8 + i] = vectors[i]!
    this.kernel.outer(at, vectorsAt, d)
  }

  /** xᵀθ for the vector at `from`. */
  estimate(at: number, vectors: Float64Array, from: number): number {
    const { dimension: d, table } = this
    const theta = 2 * at * this.stride + this.packed
    let sum = 0
    for (let i = 0; i < d; i++) sum += vectors[from + i]! * table[theta + i]!
    return sum
  }

  /** θ of a regression, a copy. */
  thetaOf(at: number): Float64Array {
    const start = 2 * at * this.stride + this.packed
    return this.table.slice(start, start + this.dimension)
  }

  /** Copies θ and the packed V⁻¹ of a regression. */
  copy(at: number, theta: Float64Array, inverse: Float64Array): void {
    const { dimension: d, packed, stride, table } = this
    const from = 2 * at * stride
    for (let k = 0; k < packed; k++) inverse[k] = table[from + k]!
    for (let i = 0; i < d; i++) theta[i] = table[from + packed + i]!
  }

  /** The arrays of the state in the order of a snapshot, cut to what is in use. */
  get arrays(): readonly Float64Array[] {
    const { count } = this
    const arrays = [
      this.samples.subarray(0, count),
      this.sinceRefresh.subarray(0, count),
      this.table.subarray(0, 2 * count * this.stride),
    ]
    return this.#hasPriors ? [...arrays, this.priors.subarray(0, count * this.dimension)] : arrays
  }

  /**
   * Numbers in `arrays`.
   * @param _learned outcomes of the whole policy
   */
  stateLength(count: number, _learned: number): number {
    return 2 * count * (1 + this.stride) + (this.#hasPriors ? count * this.dimension : 0)
  }

  /** Makes room for exactly `count` regressions, to be filled through `arrays`; what was there is gone. */
  reset(count: number, _learned: number): void {
    this.reserve(count)
    for (const array of [this.table, this.samples, this.sinceRefresh, this.priors]) array.fill(0)
    this.count = count
  }

  /** What was filled through `arrays` is now the state: makes all else that follows from it. */
  resume(): void {}

  /** The address of a row of `table`. */
  protected rowAt(row: number): number {
    return this.tableAt + 8 * row * this.stride
  }

  protected reserve(count: number): void {
    if (count <= this.samples.length) return
    const capacity = Math.min(Math.max(count, 2 * this.samples.length), this.limit)
    this.growTo(this.rowAt(2 * capacity))
    this.samples = grown(this.samples, capacity)
    this.sinceRefresh = grown(this.sinceRefresh, capacity)
    if (this.#hasPriors) this.priors = grown(this.priors, capacity * this.dimension)
  }

  /** Makes the memory reach up to this address. */
  protected growTo(end: number): void {
    const missing = end - this.memory.buffer.byteLength
    if (missing <= 0) return
    this.memory.grow(Math.ceil(missing / PAGE))
    const views = this.#views()
    this.rows = views.rows
    this.numbers = views.numbers
    this.table = views.table
  }

  /** The memory as arrays; growing it detaches the former ones. */
  #views() {
    const { buffer } = this.memory
    return {
      rows: new Uint32Array(buffer, 0, BLOCK),
      numbers: new Float64Array(buffer),
      table: new Float64Array(buffer, this.tableAt),
    }
  }
}
