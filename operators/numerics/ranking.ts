/**
 * Indices by descending score, ties by lower index: runs sorted by insertion, which is fastest for the dozens of arms of a usual decision, then a
 * stable merge of runs. Cost: O(n log n) beyond a run; scratch space is kept, so nothing is allocated once it is large enough.
 */
const RUN = 64

export class Ranking {
  readonly #keys = new Float64Array(RUN)
  #scratch = new Int32Array(RUN)

  /** Writes the indices 0 … n−1 into `order`, highest score first. Scores must be finite. */
  rank(scores: Float64Array, n: number, order: Int32Array): void {
    for (let start = 0; start < n; start += RUN) this.#sortRun(scores, start, Math.min(start + RUN, n), order)
    if (n <= RUN) return
    if (this.#scratch.length < n) this.#scratch = new Int32Array(2 * n)
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

  #sortRun(scores: Float64Array, start: number, end: number, order: Int32Array): void {
    const keys = this.#keys
    for (let i = 0; i < end - start; i++) {
      const score = scores[start + i]!
      let k = i
      for (; k > 0 && keys[k - 1]! < score; k--) {
        keys[k] = keys[k - 1]!
        order[start + k] = order[start + k - 1]!
      }
      keys[k] = score
      order[start + k] = start + i
    }
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
