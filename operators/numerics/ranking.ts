/**
 * Indices by descending score, ties by lower index: a stable merge sort from runs of insertion sort.
 * Cost: O(n log n); scratch space is kept, so nothing is allocated once it is large enough.
 */
const RUN = 12

export class Ranking {
  #scratch = new Int32Array(64)

  /** Writes the indices 0 … n−1 into `order`, highest score first. Scores must be finite. */
  rank(scores: Float64Array, n: number, order: Int32Array): void {
    if (this.#scratch.length < n) this.#scratch = new Int32Array(2 * n)
    for (let start = 0; start < n; start += RUN) insertionSort(scores, start, Math.min(start + RUN, n), order)
    let from: Int32Array = order
    let to: Int32Array = this.#scratch
    for (let width = RUN; width < n; width *= 2) {
      for (let start = 0; start < n; start += 2 * width) {
        merge(scores, from, start, Math.min(start + width, n), Math.min(start + 2 * width, n), to)
      }
      const swap = from
      from = to
      to = swap
    }
    if (from !== order) for (let i = 0; i < n; i++) order[i] = from[i]!
  }
}

const insertionSort = (scores: Float64Array, start: number, end: number, order: Int32Array): void => {
  for (let i = start; i < end; i++) {
    const score = scores[i]!
    let k = i
    for (; k > start && scores[order[k - 1]!]! < score; k--) order[k] = order[k - 1]!
    order[k] = i
  }
}

const merge = (
  scores: Float64Array,
  from: Int32Array,
  start: number,
  middle: number,
  end: number,
  to: Int32Array,
): void => {
  let left = start
  let right = middle
  for (let k = start; k < end; k++) {
    if (left < middle && (right >= end || scores[from[left]!]! >= scores[from[right]!]!))
      to[k] = from[left++]!
    else to[k] = from[right++]!
  }
}
