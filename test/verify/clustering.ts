/** The label tree of the reference: every cut begins with the pair that it drew, so that leaves and levels must be the same. */
import { join } from 'node:path'
import { clusterLabels, clusterOf, pifaEmbedding } from '../../operators/xmc/index.ts'
import { readDocuments } from '../xmc-golden.ts'
import { type CaseKind, fileWith, isRecord, numberAt, numbersAt } from './case.ts'

export const verifyClustering: CaseKind = (reference, comparison) => {
  const file = fileWith(reference, 'leafOfLabel', 'initialPairs', 'chainParents')
  const { X, Y } = readDocuments(join(reference.folder, 'train.txt'))
  const { initialPairs, chainParents } = file
  if (!Array.isArray(initialPairs) || !Array.isArray(chainParents)) throw new Error('no pairs or parents')
  const pairs = new Map(
    (initialPairs as unknown[]).map((pair) => {
      if (!isRecord(pair)) throw new Error('a pair is not an object')
      return [
        numberAt(pair, 'node'),
        { left: numberAt(pair, 'left'), right: numberAt(pair, 'right') },
      ] as const
    }),
  )
  const tree = clusterLabels(pifaEmbedding(X, Y), {
    branching: numberAt(file, 'nrSplits'),
    maxLeafSize: numberAt(file, 'maxLeafSize'),
    initialPair: (node) => {
      const pair = pairs.get(node)
      if (pair === undefined) throw new Error(`the reference did not cut node ${node}`)
      return pair
    },
  })
  const leaves = numbersAt(file, 'leafOfLabel', Y.columns)
  const elsewhere = clusterOf(tree).filter((leaf, label) => leaf !== leaves[label]).length
  comparison.within('leafOfLabel', 'labels in another leaf', elsewhere, 0, 0.5)
  comparison.within('levels', 'tree', tree.parents.length, chainParents.length, 0.5)
  chainParents.slice(0, -1).forEach((parents: unknown, t) => {
    const same = JSON.stringify([...(tree.parents[t] ?? [])]) === JSON.stringify(parents)
    if (!same) comparison.fail(`level ${t}: other parents`)
  })
}
