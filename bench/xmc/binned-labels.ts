/**
 * The synthetic check of label disentanglement (Liu, Chang, Yu, Hsieh and Dhillon 2021, section 5.1): two labels are made one, whose two meanings are then known. It is
 * trained with two clusters a label; where the label's clusters lead its documents is held against the truth by the variation of information.
 * Documents that have both labels of a pair have no truth and are left out; pairs with ten documents or fewer on a side are, too.
 */
import { Xoshiro128 } from '../../operators/numerics/random.ts'
import {
  BeamSearch,
  clusterCount,
  clusterLabels,
  disentangle,
  pifaEmbedding,
  variationOfInformation,
  type XmcModel,
} from '../../operators/xmc/index.ts'
import { trainXmc } from '../../operators/xmc/rankers/train.ts'
import { type CsrMatrix, csrMatrix, transpose } from '../../operators/xmc/sparse/csr-matrix.ts'
import type { LabelledDocuments } from '../../operators/xmc/text-format.ts'

const LEAST_DOCUMENTS = 10
const RANDOM_SPLITS = 100

export interface BinnedLabels {
  /** Pairs that were split. */
  readonly pairs: number
  /** Mean over pairs, of our split and of random ones, against the true. */
  readonly information: number
  readonly random: number
  /** Share of pairs whose split is nearer to the truth than random ones are. */
  readonly better: number
}

/** Pairs labels at random, trains, and measures. @param seed of the pairing and the tree */
export const binnedLabels = async (
  { X, Y }: LabelledDocuments,
  options: { readonly maxLeafSize: number; readonly branching: number; readonly seed: number },
): Promise<BinnedLabels> => {
  const random = new Xoshiro128()
  random.seed(options.seed, 1, 2, 3)
  const order = Int32Array.from({ length: Y.columns }, (_, label) => label)
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random.uniform() * (i + 1))
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  const binOf = new Int32Array(Y.columns)
  order.forEach((label, place) => {
    binOf[label] = place >> 1
  })
  const binned = inBins(Y, binOf)
  const tree = clusterLabels(pifaEmbedding(X, binned), options)
  const match = (model: XmcModel, documents: CsrMatrix) => new BeamSearch(model).leaves(documents)
  const { model } = await disentangle(
    X,
    binned,
    await trainXmc(X, binned, tree),
    { clusters: 2, rounds: 1 },
    trainXmc,
    match,
  )
  const scores = new BeamSearch(model).leaves(X, clusterCount(tree))
  return compared(Y, order, model, scores, random)
}

const compared = (
  Y: CsrMatrix,
  order: Int32Array,
  model: XmcModel,
  scores: CsrMatrix,
  random: Xoshiro128,
): BinnedLabels => {
  const documentsOf = transpose(Y)
  const clusters = model.tree.parents.at(-1)!
  const found: number[] = []
  const chance: number[] = []
  model.copies.forEach((bin, q) => {
    const sides = [order[2 * bin]!, order[2 * bin + 1]].map((label) => documentsOfLabel(documentsOf, label))
    const [left, right] = [0, 1].map((side) => {
      const others = new Set(sides[1 - side])
      return sides[side]!.filter((document) => !others.has(document))
    })
    if (left!.length <= LEAST_DOCUMENTS || right!.length <= LEAST_DOCUMENTS) return
    const documents = [...left!, ...right!]
    const truth = documents.map((_, i) => (i < left!.length ? 0 : 1))
    const [first, second] = [clusters[bin]!, clusters[model.labels + q]!]
    const split = documents.map((document) =>
      scoreOf(scores, document, second) > scoreOf(scores, document, first) ? 1 : 0,
    )
    found.push(variationOfInformation(split, truth))
    let sum = 0
    for (let i = 0; i < RANDOM_SPLITS; i++)
      sum += variationOfInformation(
        documents.map(() => (random.uniform() < 0.5 ? 0 : 1)),
        truth,
      )
    chance.push(sum / RANDOM_SPLITS)
  })
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  return {
    pairs: found.length,
    information: mean(found),
    random: mean(chance),
    better: mean(found.map((value, i) => (value < chance[i]! ? 1 : 0))),
  }
}

const documentsOfLabel = (byLabel: CsrMatrix, label: number | undefined): number[] =>
  label === undefined
    ? []
    : [...byLabel.indices.subarray(byLabel.pointers[label]!, byLabel.pointers[label + 1]!)]

const scoreOf = (scores: CsrMatrix, document: number, cluster: number): number => {
  const start = scores.pointers[document]!
  const place = scores.indices.subarray(start, scores.pointers[document + 1]!).indexOf(cluster)
  return place < 0 ? 0 : scores.values[start + place]!
}

const inBins = (Y: CsrMatrix, binOf: Int32Array): CsrMatrix => {
  const pointers = [0]
  const indices: number[] = []
  for (let row = 0; row < Y.rows; row++) {
    const bins = new Set<number>()
    for (let k = Y.pointers[row]!; k < Y.pointers[row + 1]!; k++) bins.add(binOf[Y.indices[k]!]!)
    indices.push(...[...bins].sort((a, b) => a - b))
    pointers.push(indices.length)
  }
  const columns = Math.ceil(Y.columns / 2)
  return csrMatrix(Y.rows, columns, pointers, indices, new Float32Array(indices.length).fill(1))
}
