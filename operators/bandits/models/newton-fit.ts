/**
 * The maximum a posteriori of a generalised linear model: θ = argmin Σ loss(xᵀθ, reward) + ridge/2·|θ|², by Newton's method from θ = 0 with steps
 * halved until the sum falls. The sum is strictly convex, so there is one θ; it is a function of the rows and their order alone.
 * Ends at a gradient of at most 1e-10 in every part, or where a step is below rounding. Cost: mostly 5 to 8 passes of n·d²/2, and d³/2 each.
 */
import { addOuter, invertPacked, multiplyPacked, packedLength } from '../../numerics/packed-symmetric.ts'
import type { Link } from './generalized-linear-link.ts'

const GRADIENT = 1e-10
const STEPS = 100
/** A step that was halved so often moves nothing. */
const LEAST_STEP = 2 ** -40

export class NewtonFit {
  readonly #link: Link
  readonly #dimension: number
  readonly #ridge: number
  readonly #gradient: Float64Array
  readonly #direction: Float64Array
  readonly #candidate: Float64Array
  readonly #scaled: Float64Array
  readonly #hessian: Float64Array
  readonly #inverse: Float64Array
  readonly #factor: Float64Array

  constructor(link: Link, dimension: number, ridge: number) {
    this.#link = link
    this.#dimension = dimension
    this.#ridge = ridge
    this.#gradient = new Float64Array(dimension)
    this.#direction = new Float64Array(dimension)
    this.#candidate = new Float64Array(dimension)
    this.#scaled = new Float64Array(dimension)
    const packed = packedLength(dimension)
    this.#hessian = new Float64Array(packed)
    this.#inverse = new Float64Array(packed)
    this.#factor = new Float64Array(packed)
  }

  /**
   * Writes the minimiser over `count` rows into `theta`; finite, whatever finite rows come.
   * @param rows every `stride` numbers a vector and, behind it, its reward; the first at `start`
   */
  fit(rows: Float64Array, start: number, count: number, stride: number, theta: Float64Array): void {
    const { length } = theta
    const candidate = this.#candidate
    const direction = this.#direction
    theta.fill(0)
    let value = this.#evaluate(rows, start, count, stride, theta)
    for (let i = 0; i < STEPS && largest(this.#gradient) > GRADIENT; i++) {
      if (!invertPacked(this.#hessian, 0, this.#ridge, length, this.#factor, this.#inverse)) return
      multiplyPacked(this.#inverse, 0, this.#gradient, length, direction)
      // Some rounding of the sum is let pass, else the last step would be refused for its noise.
      const most = value + 1e-14 * Math.abs(value)
      let step = 1
      let next = Number.NaN
      for (; step >= LEAST_STEP; step /= 2) {
        for (let k = 0; k < length; k++) candidate[k] = theta[k]! - step * direction[k]!
        next = this.#evaluate(rows, start, count, stride, candidate)
        if (next <= most) break
      }
      if (!(next <= most)) return
      const small = step * largest(direction) <= 2 ** -52 * largest(candidate)
      theta.set(candidate)
      value = next
      if (small) return
    }
  }

  /** The sum at θ; its gradient, and its Hessian without the ridge, are written beside. */
  #evaluate(rows: Float64Array, start: number, count: number, stride: number, theta: Float64Array): number {
    const link = this.#link
    const d = this.#dimension
    const gradient = this.#gradient
    const scaled = this.#scaled
    const hessian = this.#hessian
    hessian.fill(0)
    let sum = 0
    for (let k = 0; k < d; k++) {
      const weight = theta[k]!
      gradient[k] = this.#ridge * weight
      sum += (this.#ridge / 2) * weight * weight
    }
    for (let n = 0, row = start; n < count; n++, row += stride) {
      let z = 0
      for (let k = 0; k < d; k++) z += rows[row + k]! * theta[k]!
      const reward = rows[row + d]!
      sum += link.loss(z, reward)
      const residual = link.residual(z, reward)
      const root = Math.sqrt(link.slope(z))
      for (let k = 0; k < d; k++) {
        const x = rows[row + k]!
        gradient[k] = gradient[k]! - residual * x
        scaled[k] = root * x
      }
      addOuter(hessian, 0, scaled, 0, d)
    }
    return sum
  }
}

const largest = (vector: Float64Array): number => {
  let most = 0
  for (const x of vector) most = Math.max(most, Math.abs(x))
  return most
}
