/**
 * Ridge regressions side by side, one an arm: V = λI + Σxxᵀ, θ = V⁻¹Σrx. What every linear bandit keeps.
 *
 * Kept as sums (Σxxᵀ without λI, Σrx), which can be added, and with them V⁻¹ and θ, which follow each sample by Sherman and Morrison's formula
 * (u = V⁻¹x, q = xᵀu: V⁻¹ −= uuᵀ/(1+q), θ += u(r − xᵀθ)/(1+q)) in O(d²). Rounding errors would gather there without end, so every `refreshEvery` samples of an
 * arm both are made anew from the sums by Cholesky in O(d³); likewise at once where one sample shrinks a variance by more than 10⁶, which would
 * cost that many digits. Drift is therefore bounded by what `refreshEvery` samples can add.
 *
 * Promises: one order of samples gives one state, bit for bit; a sample that is refused leaves every bit as it was.
 * Everything is float64 in arrays that double as arms come: nothing is allocated a sample. The matrices lie in a WebAssembly memory, whose kernels
 * predict from them and add to them.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { type PackedKernel, packedKernel } from '../../numerics/packed-kernel.ts'
import { invertPacked, multiplyPacked, packedLength, packOuter } from '../../numerics/packed-symmetric.ts'
import { type RidgeKernel, ridgeKernel } from '../../numerics/ridge-kernel.ts'
import { createMemory, PAGE, type WasmMemory } from '../../numerics/wasm-assembly.ts'

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
  /** Numbers in a row of `table`: a packed matrix and a vector. */
  readonly stride: number
  /** Regressions that find room. */
  readonly limit: number
  /** Two rows a regression: V⁻¹ and θ; Σxxᵀ (without λI) and Σrx. `count` times both are in use. */
  table: Float64Array
  /** Samples seen, and those since the last refresh, of each. */
  samples = new Float64Array(0)
  sinceRefresh = new Float64Array(0)

  readonly #matrix: Float64Array
  readonly #factor: Float64Array

  // The memory: rows (BLOCK u32), vectors, variances, estimates, table; addresses in bytes. An update keeps its vectors where a prediction does.
  readonly #memory: WasmMemory
  readonly #kernel: RidgeKernel
  readonly #packedKernel: PackedKernel
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
    this.#matrix = new Float64Array(this.packed)
    this.#factor = new Float64Array(this.packed)
    this.#variancesAt = this.#vectorsAt + 8 * Math.max(this.stride, BLOCK * dimension)
    this.#estimatesAt = this.#variancesAt + 8 * BLOCK
    this.#tableAt = this.#estimatesAt + 8 * BLOCK
    this.limit = Math.floor((MEMORY_LIMIT - this.#tableAt) / (16 * this.stride))
    this.#memory = createMemory(Math.ceil(this.#tableAt / PAGE))
    this.#kernel = ridgeKernel(this.#memory)
    this.#packedKernel = packedKernel(this.#memory)
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
        this.#rows[n] = 2 * rows[start + n]!
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
      this.table[2 * at * this.stride + packedLength(i) + i] = 1 / this.lambda
    return at
  }

  /**
   * Adds a sample to regression `at`, or to a new one where `at` is −1.
   * @returns the regression's number
   * @throws MillraceError NON_FINITE_NUMBER where a number is not, or would become, finite: nothing is then changed.
   */
  update(at: number, x: Float64Array, reward: number): number {
    const { dimension: d, packed, stride } = this
    const kernel = this.#packedKernel
    let numbers = this.#numbers
    // x, u = V⁻¹x and −u/(1+q), one after the other.
    const xAt = this.#vectorsAt
    const uAt = xAt + 8 * d
    const scaledAt = uAt + 8 * d
    const u = uAt / 8
    for (let i = 0; i < d; i++) numbers[u - d + i] = x[i]!
    if (at < 0) for (let i = 0; i < d; i++) numbers[u + i] = x[i]! / this.lambda
    else kernel.multiply(this.#rowAt(2 * at), xAt, uAt, d)
    let q = 0
    for (let i = 0; i < d; i++) q += x[i]! * numbers[u + i]!
    let estimate = 0
    if (at >= 0) {
      const theta = 2 * at * stride + packed
      for (let i = 0; i < d; i++) estimate += x[i]! * this.table[theta + i]!
    }
    const gain = (reward - estimate) / (1 + q)
    this.#refuseOverflow(at, x, reward, gain)

    const arm = at < 0 ? this.add() : at
    numbers = this.#numbers
    const { table } = this
    const theta = 2 * arm * stride + packed
    const moment = theta + stride
    kernel.addProduct(this.#rowAt(2 * arm + 1), xAt, xAt, d)
    for (let i = 0; i < d; i++) table[moment + i] = table[moment + i]! + reward * x[i]!
    this.samples[arm] = this.samples[arm]! + 1
    const since = this.sinceRefresh[arm]! + 1
    this.sinceRefresh[arm] = since
    // A variance below zero is rounding alone: the inverse has lost its digits there.
    const exact = q < 0 || q > EXACT_ABOVE || since >= this.refreshEvery
    if (!(exact && this.refresh(arm)) && q >= 0) {
      const factor = -1 / (1 + q)
      for (let i = 0; i < d; i++) {
        const ui = numbers[u + i]!
        table[theta + i] = table[theta + i]! + gain * ui
        numbers[u + d + i] = factor * ui
      }
      // The factor goes in first, so that u may be as large as its square over 1 + q allows.
      kernel.addProduct(this.#rowAt(2 * arm), scaledAt, uAt, d)
    }
    return arm
  }

  /** Throws where adding a sample, u = V⁻¹x being in the memory, would leave a number that is not finite. */
  #refuseOverflow(at: number, x: Float64Array, reward: number, gain: number): void {
    const { dimension: d, packed, stride, table } = this
    const numbers = this.#numbers
    const u = this.#vectorsAt / 8 + d
    const known = at >= 0
    const theta = 2 * at * stride + packed
    const sums = theta + d
    let finite = Number.isFinite(gain)
    for (let i = 0, diagonal = sums; i < d && finite; i++, diagonal += i + 1) {
      const xi = x[i]!
      // Where the diagonal of a sum of squares is finite, so is the rest of it; half the range is left for the rounding of both.
      const square = (known ? table[diagonal]! : 0) + xi * xi
      const next = (known ? table[sums + packed + i]! : 0) + reward * xi
      const weight = (known ? table[theta + i]! : 0) + gain * numbers[u + i]!
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
    const start = 2 * at * this.stride + this.packed
    return this.table.slice(start, start + this.dimension)
  }

  /** Makes V⁻¹ and θ anew from the sums. @returns false, with both left as they were, where they would not be finite. */
  refresh(at: number): boolean {
    const { dimension: d, packed, stride, table } = this
    this.sinceRefresh[at] = 0
    const inverse = 2 * at * stride
    const sums = inverse + stride
    const matrix = this.#matrix
    if (!invertPacked(table, sums, this.lambda, d, this.#factor, matrix)) return false
    const theta = this.#factor
    multiplyPacked(matrix, 0, table.subarray(sums + packed, sums + stride), d, theta)
    for (let i = 0; i < d; i++) if (!Number.isFinite(theta[i]!)) return false
    table.set(matrix, inverse)
    for (let i = 0; i < d; i++) table[inverse + packed + i] = theta[i]!
    return true
  }

  /** Whether the sums of another's regression can be added to one's own without overflow. */
  canAdd(at: number, other: RidgeRegressions, from: number): boolean {
    const { dimension: d, packed, stride } = this
    const mine = (2 * at + 1) * stride
    const theirs = (2 * from + 1) * stride
    const fits = (k: number): boolean => Number.isFinite(this.table[mine + k]! + other.table[theirs + k]!)
    for (let i = 0; i < d; i++) if (!fits(packedLength(i) + i) || !fits(packed + i)) return false
    return true
  }

  /** Adds the sums of another's regression to one's own and makes V⁻¹ and θ anew. */
  merge(at: number, other: RidgeRegressions, from: number): void {
    const { stride, table } = this
    const mine = (2 * at + 1) * stride
    const theirs = (2 * from + 1) * stride
    for (let k = 0; k < stride; k++) table[mine + k] = table[mine + k]! + other.table[theirs + k]!
    this.samples[at] = this.samples[at]! + other.samples[from]!
    this.refresh(at)
  }

  /** The arrays of the state in the order of a snapshot, cut to what is in use. */
  get arrays(): readonly Float64Array[] {
    const { count } = this
    return [
      this.samples.subarray(0, count),
      this.sinceRefresh.subarray(0, count),
      this.table.subarray(0, 2 * count * this.stride),
    ]
  }

  /** Numbers in `arrays` for so many regressions. */
  stateLength(count: number): number {
    return 2 * count * (1 + this.stride)
  }

  /** Makes room for exactly `count` regressions, to be filled through `arrays`; what was there is gone. */
  reset(count: number): void {
    this.#reserve(count)
    for (const array of [this.table, this.samples, this.sinceRefresh]) array.fill(0)
    this.count = count
  }

  /** The address of a row of `table`. */
  #rowAt(row: number): number {
    return this.#tableAt + 8 * row * this.stride
  }

  #reserve(count: number): void {
    if (count <= this.samples.length) return
    const capacity = Math.min(Math.max(count, 2 * this.samples.length), this.limit)
    const missing = this.#rowAt(2 * capacity) - this.#memory.buffer.byteLength
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE))
    const views = this.#views()
    this.#rows = views.rows
    this.#numbers = views.numbers
    this.table = views.table
    this.samples = grown(this.samples, capacity)
    this.sinceRefresh = grown(this.sinceRefresh, capacity)
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
