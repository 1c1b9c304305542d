/**
 * Which clusters a label lies in, when it may lie in several: those in which the matcher looks for its documents most often (Liu, Chang, Yu, Hsieh and
 * Dhillon 2021, "Label Disentanglement in Partition-based Extreme Multilabel Classification", equation 10). For the matcher as it is, no assignment of λ
 * clusters a label catches more pairs of a document and its label, so none of one cluster a label, the partition it began with, does.
 * Cost: the product of two sparse matrices, and sorting its values by counting.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { binarise, type CsrMatrix, transpose } from '../sparse/csr-matrix.ts'
import { multiply } from '../sparse/multiply.ts'

export interface AssignmentOptions {
  /** Clusters of a label, at most: λ; at least 1. */
  readonly clusters: number
  /**
   * Labels of a cluster, at most: the pairs of a label and a cluster are then taken greedily, best first, while the cluster has room. A label that finds
   * none keeps the cluster it has, which alone may so grow larger. Left out: no bound.
   */
  readonly maxClusterSize?: number
}

export interface LabelAssignment {
  /** Cluster of each label's own column. */
  readonly clusters: Int32Array
  /** Label of each copy, in the order of the columns behind the labels. */
  readonly copies: Int32Array
  /** Cluster of each copy. */
  readonly copyClusters: Int32Array
  /** Labels that kept the cluster they had, since no cluster counted them or had room. */
  readonly kept: number
}

/**
 * R = Yᵀ M: in how many documents of a label the matcher visits a cluster. Exact up to 2²⁴ documents a label.
 *
 * @param Y documents × labels
 * @param M documents × clusters, a value for each cluster the matcher visits, whatever it is
 * @returns labels × clusters
 * @throws MillraceError WRONG_DIMENSION
 */
export const matchCounts = (Y: CsrMatrix, M: CsrMatrix): CsrMatrix =>
  multiply(transpose(binarise(Y)), binarise(M))

/**
 * Gives each label its clusters of the largest counts. Pairs are taken by (count descending, label ascending, cluster ascending): the first of a label is
 * its own column, the others are copies.
 *
 * @param counts labels × clusters, not negative (`matchCounts`)
 * @param before cluster of each label, kept where nothing is counted
 * @throws MillraceError WRONG_DIMENSION (`before` has another length), INVALID_CONFIG (an option out of range)
 */
export const assignLabels = (
  counts: CsrMatrix,
  before: Int32Array,
  { clusters: most, maxClusterSize = Number.POSITIVE_INFINITY }: AssignmentOptions,
): LabelAssignment => {
  if (before.length !== counts.rows) {
    throw new MillraceError('WRONG_DIMENSION', `${before.length} clusters for ${counts.rows} labels`)
  }
  if (!(most >= 1 && maxClusterSize >= 1)) {
    throw new MillraceError('INVALID_CONFIG', `clusters is ${most}, maxClusterSize ${maxClusterSize}`)
  }
  const clusters = new Int32Array(counts.rows).fill(-1)
  const taken = new Int32Array(counts.rows)
  const sizes = new Int32Array(counts.columns)
  const copies: number[] = []
  const copyClusters: number[] = []
  const labels = rowOfEach(counts)
  for (const pair of byCount(counts.values)) {
    const label = labels[pair]!
    const cluster = counts.indices[pair]!
    if (taken[label]! >= most || sizes[cluster]! >= maxClusterSize) continue
    sizes[cluster]!++
    if (taken[label]!++ === 0) clusters[label] = cluster
    else {
      copies.push(label)
      copyClusters.push(cluster)
    }
  }
  let kept = 0
  for (let label = 0; label < counts.rows; label++) {
    if (clusters[label] !== -1) continue
    clusters[label] = before[label]!
    kept++
  }
  return { clusters, copies: Int32Array.from(copies), copyClusters: Int32Array.from(copyClusters), kept }
}

const rowOfEach = ({ rows, pointers }: CsrMatrix): Int32Array => {
  const rowOf = new Int32Array(pointers[rows]!)
  for (let row = 0; row < rows; row++) rowOf.fill(row, pointers[row]!, pointers[row + 1]!)
  return rowOf
}

/** Positions of the values above zero, largest first, ties as they come: the sort is stable, and rows and columns rise. */
const byCount = (values: Float32Array): Int32Array =>
  Int32Array.from(values.keys())
    .filter((position) => values[position]! > 0)
    .sort((a, b) => values[b]! - values[a]! || a - b)
