/**
 * Ridge regressions over the last W samples (SW-LinUCB: Cheung, Simchi-Levi and Zhu 2019): V = λI + Σxxᵀ over those of the last W samples, to whichever
 * regression they went, that are its own. A regression of whose samples none is left is as it began.
 *
 * A sample leaves by Sherman and Morrison's formula backwards (u = V⁻¹x, q = xᵀu: V⁻¹ += uuᵀ/(1−q), θ −= u(r − xᵀθ)/(1−q)). Every max(W, `refreshEvery`)
 * samples that came or went, and at once where one that goes bore nearly all that is known in its direction, the sums are added up anew from the window, and
 * V⁻¹ and θ made from them: neither sums nor inverses gather rounding without end.
 *
 * Cost: about twice that of samples that stay, d² more for each. State: the window, W·(d + 2) numbers.
 * Promises: as plain regressions: one order of samples gives one state, bit for bit.
 */
import { addOuter } from '../../numerics/packed-symmetric.ts'
import { OutcomeWindow } from './outcome-window.ts'
import { POOLED, type RidgeOptions, RidgeRegressions } from './ridge.ts'

/** A sample may leave by the formula while it is not 1/(1−q) > 10³ times what is left in its direction: digits are lost as the square of that. */
const EXACT_BELOW = 1e-3

export class WindowedRegressions extends RidgeRegressions {
  readonly #window: number
  readonly #outcomes: OutcomeWindow
  readonly #leaving: Float64Array

  /** @param window W, at least 1 */
  constructor(options: RidgeOptions, window: number) {
    super({ ...options, refreshEvery: Math.max(options.refreshEvery, window) })
    this.#window = window
    // One more: a sample comes before the oldest leaves.
    this.#outcomes = new OutcomeWindow(window + 1, options.dimension)
    this.#leaving = new Float64Array(options.dimension)
  }

  override update(at: number, x: Float64Array, reward: number, replaced = -1): number {
    if (this.pooled) this.weigh(POOLED, x, reward)
    this.weigh(at, x, reward)
    const row = at < 0 ? this.open(replaced) : at
    const outcomes = this.#outcomes
    outcomes.put(row, x, reward)
    this.add(row, x, reward)
    if (this.pooled) {
      this.weigh(POOLED, x, reward)
      this.add(POOLED, x, reward)
    }
    if (outcomes.count > this.#window) this.#forget()
    return row
  }

  override open(replaced = -1): number {
    if (replaced >= 0) this.#outcomes.disown(replaced)
    return super.open(replaced)
  }

  /** Lets the oldest sample go. */
  #forget(): void {
    const outcomes = this.#outcomes
    const slot = outcomes.oldest
    const leaving = this.#leaving
    for (let i = 0; i < leaving.length; i++) leaving[i] = outcomes.vectors[slot * leaving.length + i]!
    const row = outcomes.rows[slot]! | 0
    const reward = outcomes.rewards[slot]!
    outcomes.drop()
    if (row >= 0) this.#subtract(row, leaving, reward)
    if (this.pooled) this.#subtract(POOLED, leaving, reward)
  }

  /** Takes a sample that is no longer in the window from a regression. */
  #subtract(at: number, x: Float64Array, reward: number): void {
    const { dimension: d, packed, stride, table, numbers, packedKernel } = this
    const samples = this.samples[at]! - 1
    if (samples === 0) {
      this.empty(at)
      return
    }
    this.samples[at] = samples
    const since = this.sinceRefresh[at]! + 1
    this.sinceRefresh[at] = since
    // x, u = V⁻¹x and −x or u/(1−q), one after the other.
    const xAt = this.vectorsAt
    const uAt = xAt + 8 * d
    const u = uAt / 8
    for (let i = 0; i < d; i++) numbers[u - d + i] = x[i]!
    packedKernel.multiply(this.rowAt(2 * at), xAt, uAt, d)
    let q = 0
    for (let i = 0; i < d; i++) q += x[i]! * numbers[u + i]!
    const left = 1 - q
    const gain = (reward - this.estimate(at, x, 0)) / left
    const theta = 2 * at * stride + packed
    let finite = left >= EXACT_BELOW && since < this.refreshEvery
    for (let i = 0; i < d && finite; i++) finite = Number.isFinite(table[theta + i]! - gain * numbers[u + i]!)
    if (!finite) {
      this.refresh(at)
      return
    }
    const moment = theta + stride
    for (let i = 0; i < d; i++) {
      table[moment + i] = table[moment + i]! - reward * x[i]!
      numbers[u + d + i] = -x[i]!
    }
    packedKernel.addProduct(this.rowAt(2 * at + 1), uAt + 8 * d, xAt, d)
    for (let i = 0; i < d; i++) {
      const ui = numbers[u + i]!
      table[theta + i] = table[theta + i]! - gain * ui
      numbers[u + d + i] = ui / left
    }
    packedKernel.addProduct(this.rowAt(2 * at), uAt + 8 * d, uAt, d)
    this.changed(at)
  }

  override refresh(at: number): boolean {
    const { dimension: d, packed, stride, table } = this
    const { vectors, rewards } = this.#outcomes
    const sums = (2 * at + 1) * stride
    table.fill(0, sums, sums + stride)
    for (const slot of this.#outcomes.slots(this.pooled && at === POOLED ? undefined : at)) {
      addOuter(table, sums, vectors, slot * d, d)
      for (let i = 0; i < d; i++) {
        const k = sums + packed + i
        table[k] = table[k]! + rewards[slot]! * vectors[slot * d + i]!
      }
    }
    return super.refresh(at)
  }

  override get arrays(): readonly Float64Array[] {
    return [...super.arrays, ...this.#outcomes.arrays]
  }

  override stateLength(count: number, learned: number): number {
    const outcomes = Math.min(learned, this.#window)
    return super.stateLength(count, learned) + outcomes * (2 + this.dimension)
  }

  override reset(count: number, learned: number): void {
    super.reset(count, learned)
    this.#outcomes.reset(Math.min(learned, this.#window))
  }

  override resume(): void {
    this.#outcomes.resume()
  }
}
