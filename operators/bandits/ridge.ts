/**
 * Ridge regressions side by side, one an arm: V = λI + Σxxᵀ, θ = V⁻¹Σrx. What every linear bandit keeps.
 *
 * Kept as sums (Σxxᵀ without λI, Σrx), which can be added, and with them V⁻¹ and θ, which follow each sample by Sherman and Morrison's formula
 * (u = V⁻¹x, q = xᵀu: V⁻¹ −= uuᵀ/(1+q), θ += u(r − xᵀθ)/(1+q)) in O(d²). Rounding errors would gather there without end, so every `refreshEvery` samples of an
 * arm both are made anew from the sums by Cholesky in O(d³); likewise at once where one sample shrinks a variance by more than 10⁶, which would
 * cost that many digits. Drift is therefore bounded by what `refreshEvery` samples can add.
 *
 * Promises: one order of samples gives one state, bit for bit; a sample that is refused leaves every bit as it was.
 * Everything is float64 in arrays that double as arms come: nothing is allocated a sample. V⁻¹ and θ lie in a WebAssembly memory, whose kernel
 * reads them to predict.
 */
import { MillraceError } from '../../schemas/errors.ts'
import {
  addOuter,
  invertPacked,
  multiplyPacked,
  packedLength,
  packOuter,
} from '../numerics/packed-symmetric.ts'
import { type RidgeKernel, ridgeKernel } from '../numerics/ridge-kernel.ts'
import { createMemory, PAGE, type WasmMemory } from '../numerics/wasm-assembly.ts'

/** Regressions predicted in one call of the kernel. */
const BLOCK = 64
/** What a WebAssembly memory can hold, in bytes. */
const MEMORY_LIMIT = 65_536 * PAGE

/** One sample may shrink a variance this much before the inverse is made anew. */
const EXACT_ABOVE = 1e6

export interface RidgeOptions {
  readonly dimension: number
  /** λ, above 0. */
  readonly lambda: number
  /** Samples of one regression between exact refreshes. */
  readonly refreshEvery: number
}

export class RidgeRegressions {
  readonly dimension: number
  readonly lambda: number
  readonly refreshEvery: number
  /** Numbers in one packed matrix. */
  readonly packed: number
  /** Regressions held. */
  count = 0
  /** Numbers in a row of `table`: V⁻¹, packed, then θ. */
  readonly stride: number
  /** Regressions that find room. */
  readonly limit: number
  /** A row a regression, `count × stride` of it in use. */
  table: Float64Array
  /** Σxxᵀ, packed, without λI. */
  gram = new Float64Array(0)
  /** Σrx, `count × dimension`. */
  moment = new Float64Array(0)
  /** Samples seen, and those since the last refresh, of each. */
  samples = new Float64Array(0)
  sinceRefresh = new Float64Array(0)

  readonly #u: Float64Array
  readonly #matrix: Float64Array
  readonly #factor: Float64Array

  // The memory: rows (BLOCK u32), vectors, variances, estimates, table; addresses in bytes.
  readonly #memory: WasmMemory
  readonly #kernel: RidgeKernel
  readonly #vectorsAt = 4 * BLOCK
  readonly #variancesAt: number
  readonly #estimatesAt: number
  readonly #tableAt: number
  #rows: Uint32Array
  #numbers: Float64Array

  constructor({ dimension, lambda, refreshEvery }: RidgeOptions) {
    this.dimension = dimension
    this.lambda = lambda
    this.refreshEvery = refreshEvery
    this.packed = packedLength(dimension)
    this.stride = this.packed + dimension
    this.#u = new Float64Array(dimension)
    this.#matrix = new Float64Array(this.packed)
    this.#factor = new Float64Array(this.packed)
    this.#variancesAt = this.#vectorsAt + 8 * Math.max(this.stride, BLOCK * dimension)
    this.#estimatesAt = this.#variancesAt + 8 * BLOCK
    this.#tableAt = this.#estimatesAt + 8 * BLOCK
    this.limit = Math.floor((MEMORY_LIMIT - this.#tableAt) / (8 * this.stride))
    this.#memory = createMemory(Math.ceil(this.#tableAt / PAGE))
    this.#kernel = ridgeKernel(this.#memory)
    const views = this.#views()
    this.#rows = views.rows
    this.#numbers = views.numbers
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
    const numbers = this.#numbers
    const vectorsAt = this.#vectorsAt / 8
    const variancesAt = this.#variancesAt / 8
    const estimatesAt = this.#estimatesAt / 8
    if (same && count > 0) {
      packOuter(vectors, 0, d, numbers, vectorsAt)
      for (let i = 0; i < d; i++) numbers[vectorsAt + packed + i] = vectors[i]!
    }
    for (let start = 0; start < count; start += BLOCK) {
      const size = Math.min(BLOCK, count - start)
      for (let n = 0; n < size; n++) {
        this.#rows[n] = rows[start + n]!
        if (same) continue
        const from = places[start + n]! * d
        const to = vectorsAt + n * d
        for (let i = 0; i < d; i++) numbers[to + i] = vectors[from + i]!
      }
      const kernel = this.#kernel
      if (same)
        kernel.predictOne(
          this.#tableAt,
          0,
          this.#vectorsAt,
          size,
          packed,
          d,
          this.#variancesAt,
          this.#estimatesAt,
        )
      else
        kernel.predictEach(
          this.#tableAt,
          0,
          this.#vectorsAt,
          size,
          packed,
          d,
          this.#variancesAt,
          this.#estimatesAt,
        )
      for (let n = 0; n < size; n++) {
        variances[start + n] = numbers[variancesAt + n]!
        estimates[start + n] = numbers[estimatesAt + n]!
      }
    }
  }

  /** Adds a regression without samples: V⁻¹ = I/λ. @returns its number */
  add(): number {
    const at = this.count++
    this.#reserve(this.count)
    for (let i = 0; i < this.dimension; i++)
      this.table[at * this.stride + packedLength(i) + i] = 1 / this.lambda
    return at
  }

  /**
   * Adds a sample to regression `at`, or to a new one where `at` is −1.
   * @returns the regression's number
   * @throws MillraceError NON_FINITE_NUMBER where a number is not, or would become, finite: nothing is then changed.
   */
  update(at: number, x: Float64Array, reward: number): number {
    const { dimension: d, packed, stride } = this
    const u = this.#u
    let q = 0
    let estimate = 0
    if (at < 0) for (let i = 0; i < d; i++) u[i] = x[i]! / this.lambda
    else multiplyPacked(this.table, at * stride, x, d, u)
    for (let i = 0; i < d; i++) {
      q += x[i]! * u[i]!
      if (at >= 0) estimate += x[i]! * this.table[at * stride + packed + i]!
    }
    const gain = (reward - estimate) / (1 + q)
    this.#refuseOverflow(at, x, reward, gain)

    const arm = at < 0 ? this.add() : at
    const { table, moment } = this
    const start = arm * d
    const theta = arm * stride + packed
    addOuter(this.gram, arm * packed, x, 1, d)
    for (let i = 0; i < d; i++) moment[start + i] = moment[start + i]! + reward * x[i]!
    this.samples[arm] = this.samples[arm]! + 1
    const since = this.sinceRefresh[arm]! + 1
    this.sinceRefresh[arm] = since
    // A variance below zero is rounding alone: the inverse has lost its digits there.
    const exact = q < 0 || q > EXACT_ABOVE || since >= this.refreshEvery
    if (!(exact && this.refresh(arm)) && q >= 0) {
      for (let i = 0; i < d; i++) table[theta + i] = table[theta + i]! + gain * u[i]!
      addOuter(table, arm * stride, u, -1 / (1 + q), d)
    }
    return arm
  }

  /** Throws where adding a sample, u = V⁻¹x being in scratch, would leave a number that is not finite. */
  #refuseOverflow(at: number, x: Float64Array, reward: number, gain: number): void {
    const { dimension: d, gram, moment, table } = this
    const u = this.#u
    let finite = Number.isFinite(gain)
    for (let i = 0; i < d && finite; i++) {
      const xi = x[i]!
      // Where the diagonal of a sum of squares is finite, so is the rest of it; half the range is left for the rounding of both.
      const square = (at < 0 ? 0 : gram[at * this.packed + packedLength(i) + i]!) + xi * xi
      const next = (at < 0 ? 0 : moment[at * d + i]!) + reward * xi
      const weight = (at < 0 ? 0 : table[at * this.stride + this.packed + i]!) + gain * u[i]!
      finite = square < Number.MAX_VALUE / 2 && Number.isFinite(next) && Number.isFinite(weight)
    }
    if (finite) return
    throw new MillraceError(
      'NON_FINITE_NUMBER',
      'the sample is not finite, or so large that a sum would overflow',
    )
  }

  /** θ of a regression, a copy. */
  thetaOf(at: number): Float64Array {
    const start = at * this.stride + this.packed
    return this.table.slice(start, start + this.dimension)
  }

  /** Makes V⁻¹ and θ anew from the sums. @returns false, with both left as they were, where they would not be finite. */
  refresh(at: number): boolean {
    const d = this.dimension
    this.sinceRefresh[at] = 0
    const matrix = this.#matrix
    if (!invertPacked(this.gram, at * this.packed, this.lambda, d, this.#factor, matrix)) return false
    const theta = this.#factor
    multiplyPacked(matrix, 0, this.moment.subarray(at * d, (at + 1) * d), d, theta)
    for (let i = 0; i < d; i++) if (!Number.isFinite(theta[i]!)) return false
    this.table.set(matrix, at * this.stride)
    for (let i = 0; i < d; i++) this.table[at * this.stride + this.packed + i] = theta[i]!
    return true
  }

  /** Whether the sums of another's regression can be added to one's own without overflow. */
  canAdd(at: number, other: RidgeRegressions, from: number): boolean {
    const d = this.dimension
    for (let i = 0; i < d; i++) {
      const k = packedLength(i) + i
      const square = this.gram[at * this.packed + k]! + other.gram[from * this.packed + k]!
      const moment = this.moment[at * d + i]! + other.moment[from * d + i]!
      if (!Number.isFinite(square) || !Number.isFinite(moment)) return false
    }
    return true
  }

  /** Adds the sums of another's regression to one's own and makes V⁻¹ and θ anew. */
  merge(at: number, other: RidgeRegressions, from: number): void {
    const { packed, dimension: d } = this
    for (let k = 0; k < packed; k++) {
      this.gram[at * packed + k] = this.gram[at * packed + k]! + other.gram[from * packed + k]!
    }
    for (let i = 0; i < d; i++)
      this.moment[at * d + i] = this.moment[at * d + i]! + other.moment[from * d + i]!
    this.samples[at] = this.samples[at]! + other.samples[from]!
    this.refresh(at)
  }

  /** The arrays of the state in the order of a snapshot, cut to what is in use. */
  get arrays(): readonly Float64Array[] {
    const { count } = this
    return [
      this.samples.subarray(0, count),
      this.sinceRefresh.subarray(0, count),
      this.moment.subarray(0, count * this.dimension),
      this.gram.subarray(0, count * this.packed),
      this.table.subarray(0, count * this.stride),
    ]
  }

  /** Numbers in `arrays` for so many regressions. */
  stateLength(count: number): number {
    return count * (2 + this.dimension + this.packed + this.stride)
  }

  /** Makes room for exactly `count` regressions, to be filled through `arrays`; what was there is gone. */
  reset(count: number): void {
    this.#reserve(count)
    for (const array of [this.table, this.gram, this.moment, this.samples, this.sinceRefresh]) array.fill(0)
    this.count = count
  }

  #reserve(count: number): void {
    if (count <= this.samples.length) return
    const capacity = Math.min(Math.max(count, 2 * this.samples.length), this.limit)
    const missing = this.#tableAt + 8 * capacity * this.stride - this.#memory.buffer.byteLength
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE))
    const views = this.#views()
    this.#rows = views.rows
    this.#numbers = views.numbers
    this.table = views.table
    this.samples = grown(this.samples, capacity)
    this.sinceRefresh = grown(this.sinceRefresh, capacity)
    this.moment = grown(this.moment, capacity * this.dimension)
    this.gram = grown(this.gram, capacity * this.packed)
  }

  /** The memory as arrays; growing it detaches the former ones. */
  #views() {
    const { buffer } = this.#memory
    return {
      rows: new Uint32Array(buffer, 0, BLOCK),
      numbers: new Float64Array(buffer),
      table: new Float64Array(buffer, this.#tableAt),
    }
  }
}

const grown = (array: Float64Array, length: number): Float64Array<ArrayBuffer> => {
  const larger = new Float64Array(length)
  larger.set(array)
  return larger
}
