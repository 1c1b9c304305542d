/**
 * Ridge regressions whose variances can be told roughly: within bounds, from a copy of V⁻¹ in float32 (numerics/screen-kernel.ts), at half of what reading V⁻¹
 * costs. Whoever wants the best of many arms then needs the variances of few (exploration/screened-choice.ts).
 *
 * The bounds hold for the number that `predict` would give, rounding included: |xᵀV⁻¹x − rough| ≤ SCREEN_ERROR·‖V⁻¹‖·|x|², by the Frobenius norm. Estimates are
 * exact. A copy is made when a regression is first screened, and anew when it has changed since; before that there are none.
 *
 * Cost: d²/2 multiplications of float32 a regression, and a pass over V⁻¹ of each that has changed; memory: 2d² bytes more a regression.
 */
import { SCREEN_ERROR, type ScreenKernel, screenKernel, screenLength } from '../../numerics/screen-kernel.ts'
import { BLOCK, MEMORY_LIMIT, RidgeTable } from './ridge-table.ts'

/** Norms between which no product leaves the range of float32. */
const SMALLEST = 1e-15
const LARGEST = 1e15

export abstract class RidgeScreen extends RidgeTable {
  /** Float32 numbers in a copy. */
  readonly #length = screenLength(this.packed)
  #kernel: ScreenKernel | undefined
  /** Capacity for which there is room for copies, and where: the weights, then the copies. */
  #room = -1
  #weightsAt = 0
  #copiesAt = 0
  /** ‖V⁻¹‖ of each copy, at most; 0 where there is none, or an old one. */
  #norms = new Float64Array(0)

  /**
   * θᵀx, as `predict` gives it, and bounds of xᵀV⁻¹x, of `count` regressions and the one vector `x`. Where nothing can be said the bounds are NaN.
   * @param rows the regressions' numbers
   * @returns false where there is no room for copies: nothing is then written
   */
  screen(
    rows: Int32Array,
    count: number,
    x: Float64Array,
    estimates: Float64Array,
    lows: Float64Array,
    highs: Float64Array,
  ): boolean {
    if (!this.#makeRoom()) return false
    const { dimension: d, packed, rows: block, tableAt, vectorsAt, variancesAt, estimatesAt } = this
    const kernel = this.#kernel!
    this.setVector(x)
    const length = squaredLength(x, d)
    const { numbers } = this
    kernel.condense(vectorsAt, this.#weightsAt, packed, variancesAt)
    for (let n = 0; n < count; n++) if (this.#norms[rows[n]!] === 0) this.#copy(rows[n]!)
    for (let start = 0; start < count; start += BLOCK) {
      const size = Math.min(BLOCK, count - start)
      for (let n = 0; n < size; n++) block[n] = rows[start + n]!
      kernel.screen(this.#copiesAt, 0, this.#weightsAt, size, this.#length, variancesAt)
      for (let n = 0; n < size; n++) block[n] = 2 * rows[start + n]!
      this.kernel.estimateOne(tableAt, 0, vectorsAt, size, packed, d, variancesAt, estimatesAt)
      for (let n = 0; n < size; n++) {
        const norm = this.#norms[rows[start + n]!]!
        const rough = numbers[variancesAt / 8 + n]!
        const error = fits(norm) && fits(length) ? SCREEN_ERROR * norm * length : Number.NaN
        lows[start + n] = rough - error
        highs[start + n] = rough + error
        estimates[start + n] = numbers[estimatesAt / 8 + n]!
      }
    }
    return true
  }

  /** xᵀV⁻¹x, as `predict` gives it, of `count` regressions and the vector last screened. */
  refine(rows: Int32Array, count: number, variances: Float64Array): void {
    const { dimension: d, packed, rows: block, tableAt, vectorsAt, variancesAt, estimatesAt } = this
    for (let start = 0; start < count; start += BLOCK) {
      const size = Math.min(BLOCK, count - start)
      for (let n = 0; n < size; n++) block[n] = 2 * rows[start + n]!
      this.kernel.predictOne(tableAt, 0, vectorsAt, size, packed, d, variancesAt, estimatesAt)
      for (let n = 0; n < size; n++) variances[start + n] = this.numbers[variancesAt / 8 + n]!
    }
  }

  /** To be called where V⁻¹ of a regression has changed. */
  protected changed(at: number): void {
    if (at < this.#norms.length) this.#norms[at] = 0
  }

  override reset(count: number, learned: number): void {
    super.reset(count, learned)
    this.#norms.fill(0)
  }

  /** Room for a copy of every regression that the table has room for. @returns false where the memory cannot hold them */
  #makeRoom(): boolean {
    const capacity = this.samples.length
    if (capacity === this.#room) return true
    const bytes = 4 * this.#length
    const weightsAt = this.rowAt(2 * capacity)
    const end = weightsAt + bytes * (1 + capacity)
    if (end > MEMORY_LIMIT) return false
    this.growTo(end)
    this.#kernel ??= screenKernel(this.memory)
    this.#weightsAt = weightsAt
    this.#copiesAt = weightsAt + bytes
    // What fills a copy up to a whole group stays zero.
    this.numbers.fill(0, weightsAt / 8, Math.floor(end / 8))
    this.#norms = new Float64Array(capacity)
    this.#room = capacity
    return true
  }

  #copy(at: number): void {
    const { packed, numbers, variancesAt } = this
    const to = this.#copiesAt + 4 * this.#length * at
    this.#kernel!.condense(this.rowAt(2 * at), to, packed, variancesAt)
    // The packed triangle holds every number of the square once or twice.
    this.#norms[at] = Math.max(Math.sqrt(2 * numbers[variancesAt / 8]!), Number.MIN_VALUE)
  }
}

const fits = (norm: number): boolean => norm > SMALLEST && norm < LARGEST

const squaredLength = (x: Float64Array, d: number): number => {
  let sum = 0
  for (let i = 0; i < d; i++) sum += x[i]! * x[i]!
  return sum
}
