/**
 * A label in several clusters is a column for each: its own, and behind all labels one for each copy. So children of a node stay neighbours, and
 * training and search need know nothing of overlap; only what is found is merged (inference/).
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { CsrMatrix } from '../sparse/csr-matrix.ts'
import { type LabelTree, withClusters } from '../tree/label-tree.ts'
import type { LabelAssignment } from './label-assignment.ts'

/** The tree with the clusters of an assignment: its last level is the labels, then their copies. */
export const assignedTree = (tree: LabelTree, { clusters, copyClusters }: LabelAssignment): LabelTree => {
  const columns = new Int32Array(clusters.length + copyClusters.length)
  columns.set(clusters)
  columns.set(copyClusters, clusters.length)
  return withClusters(tree, columns)
}

/**
 * Y with a column behind the labels for each copy, equal to its label's.
 *
 * @param Y documents × labels
 * @param copies label of each copy
 * @throws MillraceError WRONG_DIMENSION where a copy is of no label
 */
export const withCopies = (Y: CsrMatrix, copies: Int32Array): CsrMatrix => {
  const wrong = copies.find((label) => !(label >= 0 && label < Y.columns))
  if (wrong !== undefined)
    throw new MillraceError('WRONG_DIMENSION', `a copy of label ${wrong}, of ${Y.columns}`)
  const columnsOf: number[][] = []
  copies.forEach((label, q) => {
    columnsOf[label] ??= []
    columnsOf[label].push(Y.columns + q)
  })
  const pointers = new Int32Array(Y.rows + 1)
  for (let row = 0; row < Y.rows; row++) {
    let count = 0
    for (let k = Y.pointers[row]!; k < Y.pointers[row + 1]!; k++)
      count += 1 + (columnsOf[Y.indices[k]!]?.length ?? 0)
    pointers[row + 1] = pointers[row]! + count
  }
  const indices = new Int32Array(pointers[Y.rows]!)
  for (let row = 0; row < Y.rows; row++) {
    let place = pointers[row]!
    for (let k = Y.pointers[row]!; k < Y.pointers[row + 1]!; k++) {
      const label = Y.indices[k]!
      indices[place++] = label
      for (const column of columnsOf[label] ?? []) indices[place++] = column
    }
    indices.subarray(pointers[row]!, pointers[row + 1]!).sort()
  }
  const values = new Float32Array(indices.length).fill(1)
  return { rows: Y.rows, columns: Y.columns + copies.length, pointers, indices, values }
}
