/**
 * What overlapping clusters bring, and what they cost, on WordNet (64,517 documents, 5,273 labels): plain trees and disentangled ones over beams, three
 * clustering seeds, one thread. `products` counts columns scored a document, `allProducts` those of the levels above too. A disentangled row is compared with
 * the best plain tree, of any leaf size and beam, that costs as much or less. Last, the synthetic check with binned labels. Rows are told on
 * standard error as they come.
 */
import {
  BeamSearch,
  clusterLabels,
  disentangle,
  innerProducts,
  inversePropensities,
  pifaEmbedding,
  rankingMetrics,
  widths,
  type XmcModel,
} from '../operators/xmc/index.ts'
import { trainXmc } from '../operators/xmc/rankers/train.ts'
import type { CsrMatrix } from '../operators/xmc/sparse/csr-matrix.ts'
import type { BenchReport, BenchRow } from './report.ts'
import { binnedLabels } from './xmc/binned-labels.ts'
import { readWordnet, type Wordnet } from './xmc/wordnet.ts'

const SEEDS = [0, 1, 2]
const BRANCHING = 32
const LEAF_SIZES = [100, 50, 40, 20]
const AT = [1, 3, 5]

interface Overlap {
  readonly name: string
  readonly maxLeafSize: number
  readonly clusters: number
  /** Beam whose visits are counted. */
  readonly matchBeam: number
  /** Labels of a cluster, in times their mean. */
  readonly capacity?: number
}

const OVERLAPS: readonly Overlap[] = [
  { name: 'λ=2', maxLeafSize: 100, clusters: 2, matchBeam: 10 },
  { name: 'λ=2, capacity 1.5', maxLeafSize: 100, clusters: 2, matchBeam: 10, capacity: 1.5 },
  { name: 'λ=2, capacity 1.5', maxLeafSize: 50, clusters: 2, matchBeam: 10, capacity: 1.5 },
  { name: 'λ=2', maxLeafSize: 20, clusters: 2, matchBeam: 10 },
  { name: 'λ=2, capacity 1.5', maxLeafSize: 20, clusters: 2, matchBeam: 10, capacity: 1.5 },
  { name: 'λ=2, capacity 1', maxLeafSize: 20, clusters: 2, matchBeam: 10, capacity: 1 },
  { name: 'λ=3, capacity 1.5', maxLeafSize: 20, clusters: 3, matchBeam: 10, capacity: 1.5 },
  { name: 'λ=4, capacity 1.5', maxLeafSize: 20, clusters: 4, matchBeam: 10, capacity: 1.5 },
]
const BEAMS = [2, 3, 4, 5, 7, 10]

/** Rows of one model over beams. */
const measured = (
  who: string,
  seed: number,
  model: XmcModel,
  { train, test }: Wordnet,
  beams: readonly number[],
): BenchRow[] => {
  const inverse = inversePropensities(train.Y)
  return beams.map((beam) => {
    const search = new BeamSearch(model, { beam })
    const { precision, propensityScored } = rankingMetrics(
      search.predictBatch(test.X, 5),
      test.Y,
      inverse,
      AT,
    )
    const products = innerProducts(model.tree, search.leaves(test.X))
    const sizes = widths(model.tree)
    const above = sizes
      .slice(0, -1)
      .reduce((sum, width, t) => sum + width * Math.min(1, beam / (sizes[t - 1] ?? 1)), 0)
    const row: Record<string, string | number> = { who, seed, beam, products, allProducts: above + products }
    AT.forEach((k, i) => {
      row[`P@${k}`] = precision[i]!
      row[`PSP@${k}`] = propensityScored[i]!
    })
    console.error(JSON.stringify(row))
    return row
  })
}

const rowsOf = async (seed: number, data: Wordnet): Promise<BenchRow[]> => {
  const { X, Y } = data.train
  const Z = pifaEmbedding(X, Y)
  const match = (beam: number) => (model: XmcModel, documents: CsrMatrix) =>
    new BeamSearch(model).leaves(documents, beam)
  const rows: BenchRow[] = []
  for (const maxLeafSize of LEAF_SIZES) {
    const plain = await trainXmc(X, Y, clusterLabels(Z, { branching: BRANCHING, maxLeafSize, seed }))
    rows.push(...measured(`plain, leaf ${maxLeafSize}`, seed, plain, data, [...BEAMS, 20]))
    for (const { name, clusters, matchBeam, capacity, ...of } of OVERLAPS) {
      if (of.maxLeafSize !== maxLeafSize) continue
      const mean = (clusters * Y.columns) / widths(plain.tree).at(-2)!
      const cap = capacity === undefined ? {} : { maxClusterSize: Math.floor(capacity * mean) }
      const { model } = await disentangle(
        X,
        Y,
        plain,
        { clusters, rounds: 1, ...cap },
        trainXmc,
        match(matchBeam),
      )
      rows.push(...measured(`${name}, leaf ${maxLeafSize}`, seed, model, data, BEAMS))
    }
  }
  return rows
}

/** For each disentangled setting and beam the least difference, over k and seeds, to the best plain row of the seed that costs as much or less. */
const gains = (rows: readonly BenchRow[], cost: 'products' | 'allProducts'): Record<string, number> => {
  const found: Record<string, number> = {}
  const isPlain = ({ who }: BenchRow) => String(who).startsWith('plain')
  for (const row of rows.filter((each) => !isPlain(each))) {
    const rivals = rows.filter(
      (each) => isPlain(each) && each['seed'] === row['seed'] && each[cost]! <= row[cost]!,
    )
    const name = `disentangle.${row['who']}, beam ${row['beam']}, ${cost}.plain`
    for (const k of AT) {
      const best = Math.max(...rivals.map((each) => Number(each[`P@${k}`])))
      found[name] = Math.min(found[name] ?? Number.POSITIVE_INFINITY, Number(row[`P@${k}`]) - best)
    }
  }
  return found
}

export const run = async (): Promise<BenchReport> => {
  const data = readWordnet()
  const rows: BenchRow[] = []
  for (const seed of SEEDS) rows.push(...(await rowsOf(seed, data)))
  const { information, random, pairs, better } = await binnedLabels(data.train, {
    maxLeafSize: 100,
    branching: BRANCHING,
    seed: 0,
  })
  // Not ratios but points of P@k: above 0 is better than plain.
  const ratios = { ...gains(rows, 'products'), ...gains(rows, 'allProducts') }
  rows.push({ who: 'binned labels', seed: 0, pairs, information, random, better })
  return { bench: 'disentangle', rows, ratios, missing: [] }
}
