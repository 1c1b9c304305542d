/** What a search finds: labels by descending score, ties by smaller label. */

/** Of one query; the buffers are used again by each. */
export interface Predictions {
  /** Labels found: `top`, or fewer where the beam has no more. */
  count: number
  readonly labels: Int32Array
  readonly scores: Float64Array
}

/** Of many queries: those of query q are numbers `pointers[q]` up to `pointers[q + 1]` of `labels` and `scores`. */
export interface BatchPredictions {
  readonly pointers: Int32Array
  readonly labels: Int32Array
  readonly scores: Float64Array
  /** Columns under each query's clusters (`BeamSearch.innerProducts`). */
  readonly innerProducts: Int32Array
}

/** Buffers for so many labels. */
export const predictions = (top: number): Predictions => ({
  count: 0,
  labels: new Int32Array(top),
  scores: new Float64Array(top),
})
