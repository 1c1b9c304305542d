/**
 * Balanced spherical 2-means: cuts a set of rows into two halves by direction, as PECOS clusters labels. Rows are ordered by their product with the
 * difference of the halves' directions, and cut in the middle, until the halves stay. Only the median has to be found, and rows are given in the order of
 * their numbers, so halves come out in that order too. Cost of an iteration: two passes over the rows' values and a sort of n numbers.
 * Sums and scores are float64.
 */
import type { CsrMatrix } from '../sparse/csr-matrix.ts'

export class BalancedTwoMeans {
  readonly #rows: CsrMatrix
  readonly #iterations: number
  readonly #left: Float64Array
  readonly #right: Float64Array
  /** Features of the rows at hand, and the call that last met each. */
  readonly #features: Int32Array
  readonly #metBy: Int32Array
  #calls = 0
  #width = 0

  /** @param iterations at most, for one cut; at least 1 */
  constructor(rows: CsrMatrix, iterations: number) {
    this.#rows = rows
    this.#iterations = iterations
    this.#left = new Float64Array(rows.columns)
    this.#right = new Float64Array(rows.columns)
    this.#features = new Int32Array(rows.columns)
    this.#metBy = new Int32Array(rows.columns)
  }

  /**
   * Reorders `elements`: its first ⌊n/2⌋ are the left half, each half by rising number.
   *
   * @param elements at least two rows, by rising number
   * @param left row to begin with on the left side
   * @param right another, on the right
   */
  cut(elements: Int32Array, left: number, right: number): void {
    const { length } = elements
    const half = length >> 1
    const scores = new Float64Array(length)
    // As they come: a first iteration that changes nothing is the last, as in PECOS.
    const isLeft = new Uint8Array(length).fill(1, 0, half)
    this.#gatherFeatures(elements)
    this.#add(this.#left, left)
    this.#add(this.#right, right)
    for (let iteration = 0; iteration < this.#iterations; iteration++) {
      // The first difference is of the rows as they are; later ones are of directions.
      if (iteration > 0) {
        for (let i = 0; i < length; i++) this.#add(isLeft[i] === 1 ? this.#left : this.#right, elements[i]!)
        this.#normalise(this.#left)
        this.#normalise(this.#right)
      }
      this.#score(elements, scores)
      if (!divide(scores, half, isLeft)) break
    }
    const halves = [elements.filter((_, i) => isLeft[i] === 1), elements.filter((_, i) => isLeft[i] === 0)]
    elements.set(halves[0]!, 0)
    elements.set(halves[1]!, half)
  }

  #gatherFeatures(elements: Int32Array): void {
    const { pointers, indices } = this.#rows
    const call = ++this.#calls
    let width = 0
    for (const row of elements) {
      const end = pointers[row + 1]!
      for (let k = pointers[row]!; k < end; k++) {
        const feature = indices[k]!
        if (this.#metBy[feature] === call) continue
        this.#metBy[feature] = call
        this.#features[width++] = feature
      }
    }
    this.#width = width
  }

  #add(sum: Float64Array, row: number): void {
    const { pointers, indices, values } = this.#rows
    const end = pointers[row + 1]!
    for (let k = pointers[row]!; k < end; k++) sum[indices[k]!]! += values[k]!
  }

  #normalise(sum: Float64Array): void {
    let squares = 0
    for (let f = 0; f < this.#width; f++) squares += sum[this.#features[f]!]! ** 2
    if (squares === 0) return
    const norm = Math.sqrt(squares)
    for (let f = 0; f < this.#width; f++) sum[this.#features[f]!]! /= norm
  }

  /** Products of the rows with right − left; both are zero again afterwards. */
  #score(elements: Int32Array, scores: Float64Array): void {
    const { pointers, indices, values } = this.#rows
    const difference = this.#right
    for (let f = 0; f < this.#width; f++) difference[this.#features[f]!]! -= this.#left[this.#features[f]!]!
    for (let i = 0; i < elements.length; i++) {
      const row = elements[i]!
      const end = pointers[row + 1]!
      let product = 0
      for (let k = pointers[row]!; k < end; k++) product += difference[indices[k]!]! * values[k]!
      scores[i] = product
    }
    for (let f = 0; f < this.#width; f++) {
      this.#left[this.#features[f]!] = 0
      difference[this.#features[f]!] = 0
    }
  }
}

/** Marks the `half` smallest scores, ties by position. @returns whether a mark changed */
const divide = (scores: Float64Array, half: number, isLeft: Uint8Array): boolean => {
  const sorted = scores.slice().sort()
  const limit = sorted[half]!
  // Of the scores at the limit, as many are left as there are places.
  let below = half
  while (below > 0 && sorted[below - 1]! >= limit) below--
  let places = half - below
  let changed = false
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i]!
    const left = score < limit || (score === limit && places-- > 0) ? 1 : 0
    if (isLeft[i] !== left) changed = true
    isLeft[i] = left
  }
  return changed
}
