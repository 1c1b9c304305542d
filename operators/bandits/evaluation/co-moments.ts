/**
 * Means and co-moments of a stream of small vectors, one pass (Welford 1962; Bennett et al. 2009 for pairs): no number of the stream is kept, and a large
 * mean costs the variances no digits. The variance of any linear combination of the components follows from them, which is what delta-method standard errors
 * ask for. Cost: k²/2 multiplications a vector, k² numbers of memory.
 */
export class CoMoments {
  readonly #size: number
  readonly #means: Float64Array
  /** Σ(x_i − mean_i)(x_j − mean_j), row-major, j ≤ i. */
  readonly #products: Float64Array
  readonly #deltas: Float64Array
  #count = 0

  /** @param size components of a vector */
  constructor(size: number) {
    this.#size = size
    this.#means = new Float64Array(size)
    this.#products = new Float64Array(size * size)
    this.#deltas = new Float64Array(size)
  }

  get count(): number {
    return this.#count
  }

  /** @param values `size` numbers; one that is not finite spoils what is asked of its own component alone */
  add(values: Float64Array): void {
    const count = ++this.#count
    const size = this.#size
    const means = this.#means
    const deltas = this.#deltas
    for (let i = 0; i < size; i++) {
      deltas[i] = values[i]! - means[i]!
      means[i]! += deltas[i]! / count
      const after = values[i]! - means[i]!
      for (let j = 0; j <= i; j++) this.#products[i * size + j]! += deltas[j]! * after
    }
  }

  /** Mean of a component; NaN before the first vector. */
  mean(component: number): number {
    return this.#count === 0 ? Number.NaN : this.#means[component]!
  }

  /**
   * Standard error of the mean of Σ cᵢxᵢ: the sample's standard deviation (n − 1) over √n. NaN below two vectors.
   * @param terms pairs of a component and its factor cᵢ; components that are not named play no part
   */
  standardError(...terms: readonly (readonly [component: number, factor: number])[]): number {
    if (this.#count < 2) return Number.NaN
    let squares = 0
    for (const [i, a] of terms) {
      for (const [j, b] of terms)
        squares += a * b * this.#products[i < j ? j * this.#size + i : i * this.#size + j]!
    }
    // Below zero is rounding alone; NaN stays.
    return Math.sqrt(Math.max(squares, 0) / (this.#count - 1) / this.#count)
  }
}
