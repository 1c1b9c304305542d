/** What a search costs: a product of a document with a classifier for each column of each cluster that it visits. */
import type { CsrMatrix } from '../sparse/csr-matrix.ts'
import { clusterSizes, type LabelTree } from '../tree/label-tree.ts'

/**
 * Mean number of columns scored a document, those of the levels above left out.
 *
 * @param matched documents × clusters, a value for each cluster visited (`BeamSearch.leaves`)
 */
export const innerProducts = (tree: LabelTree, matched: CsrMatrix): number => {
  const sizes = clusterSizes(tree)
  let sum = 0
  for (const cluster of matched.indices) sum += sizes[cluster]!
  return matched.rows === 0 ? 0 : sum / matched.rows
}
