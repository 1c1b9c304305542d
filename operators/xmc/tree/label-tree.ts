/**
 * A tree over labels, level by level from the root: `parents[t][n]` is the parent of node n of level t among the nodes of level t − 1; those of
 * level 0 have the root, 0. The nodes of the last level are the columns that rankers score: labels, and behind them the copies of labels that lie in
 * more than one leaf. The nodes of the level above are the clusters, or leaves; a tree of one level has one cluster, the root.
 */
import { MillraceError } from '../../../schemas/errors.ts'

export interface LabelTree {
  readonly parents: readonly Int32Array[]
}

/** Nodes of each level, the columns last. */
export const widths = (tree: LabelTree): number[] => tree.parents.map(({ length }) => length)

/** Number of clusters: nodes of the level above the columns. */
export const clusterCount = (tree: LabelTree): number => tree.parents.at(-2)?.length ?? 1

/** Cluster of each column. */
export const clusterOf = (tree: LabelTree): Int32Array => tree.parents.at(-1)!

/** Columns of each cluster. */
export const clusterSizes = (tree: LabelTree): Int32Array => {
  const sizes = new Int32Array(clusterCount(tree))
  for (const cluster of clusterOf(tree)) sizes[cluster]!++
  return sizes
}

/** The tree with other columns: the levels above stay. */
export const withClusters = (tree: LabelTree, clusters: Int32Array): LabelTree => ({
  parents: [...tree.parents.slice(0, -1), clusters],
})

/** @throws MillraceError INVALID_EVENT where there is no level, a level is empty, or a parent is not a node of the level above */
export const checkTree = (tree: LabelTree): void => {
  let above = 1
  if (tree.parents.length === 0) throw new MillraceError('INVALID_EVENT', 'the tree has no level')
  tree.parents.forEach((level, t) => {
    if (level.length === 0) throw new MillraceError('INVALID_EVENT', `level ${t} of the tree has no node`)
    const node = level.findIndex((parent) => !(parent >= 0 && parent < above))
    if (node >= 0) {
      throw new MillraceError(
        'INVALID_EVENT',
        `node ${node} of level ${t} has parent ${level[node]} of ${above}`,
      )
    }
    above = level.length
  })
}
