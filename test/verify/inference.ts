/**
 * Beam search over the reference's own weights: the best labels and their scores, for every beam and transform given, and the beam after each inner layer.
 * Also the merge of copies, which the reference gives raw and merged. Conventions: the set's README (log forms start from 0; ties by smaller column).
 */
import { join } from 'node:path'
import { BeamSearch } from '../../operators/xmc/inference/beam-search.ts'
import { BestNodes } from '../../operators/xmc/inference/best-nodes.ts'
import { CopyMerger } from '../../operators/xmc/inference/merge-copies.ts'
import { predictions } from '../../operators/xmc/inference/predictions.ts'
import type { Merge, Transform, XmcModel } from '../../operators/xmc/model.ts'
import type { CsrMatrix } from '../../operators/xmc/sparse/csr-matrix.ts'
import { readDocuments, readModel } from '../xmc-golden.ts'
import {
  type CaseKind,
  type Comparison,
  fileWith,
  isFiniteNumber,
  isRecord,
  numberAt,
  numbersAt,
} from './case.ts'

const TIE = 1e-6

/** Holds ranked labels against the reference: neighbours whose scores differ by rounding alone may change places, or fall off the end. */
const compareRanking = (
  comparison: Comparison,
  where: string,
  found: { readonly labels: ArrayLike<number>; readonly scores: ArrayLike<number>; readonly count: number },
  expected: unknown,
  toleranceOf: (score: number) => number,
): void => {
  if (!isRecord(expected) || !Array.isArray(expected['labels'])) throw new Error(`${where} has no labels`)
  const labels: unknown[] = expected['labels']
  const scores = numbersAt(expected, 'scores', labels.length)
  if (found.count !== labels.length) {
    comparison.fail(`${where}: ${found.count} labels, the reference has ${labels.length}`)
    return
  }
  for (let i = 0; i < labels.length; i++) {
    const score = scores[i]!
    comparison.within('scores', `${where}[${i}]`, found.scores[i]!, score, toleranceOf(score))
    const label = found.labels[i]!
    if (label === labels[i]) continue
    const at = labels.indexOf(label)
    const there = at < 0 ? scores[labels.length - 1]! : scores[at]!
    if (!(Math.abs(there - score) <= TIE * Math.abs(score)))
      comparison.fail(`${where}.labels[${i}]: ${label}, not ${String(labels[i])}`)
  }
  comparison.within('labels', where, labels.length, labels.length, 1)
}

const relative = (score: number): number => 1e-5 * Math.abs(score) + 1e-7

/** Predicts the first documents and compares them, one a row. */
const compareRows = (
  comparison: Comparison,
  where: string,
  search: BeamSearch,
  X: CsrMatrix,
  top: number,
  rows: readonly unknown[],
): void => {
  const output = predictions(top)
  rows.forEach((row, r) => {
    search.predict(X.indices, X.values, top, output, X.pointers[r]!, X.pointers[r + 1]!)
    compareRanking(comparison, `${where} row ${r}`, output, row, relative)
  })
}

/** The model without the levels below `level`, whose nodes are then its labels. */
const upTo = (model: XmcModel, level: number): XmcModel => ({
  ...model,
  tree: { parents: model.tree.parents.slice(0, level + 1) },
  weights: model.weights.slice(0, level + 1),
  labels: model.tree.parents[level]!.length,
  copies: new Int32Array(0),
})

const listAt = (record: Readonly<Record<string, unknown>>, key: string): readonly unknown[] => {
  const value = record[key]
  if (!Array.isArray(value) || value.length === 0) throw new Error(`'${key}' is no list`)
  return value
}

export const verifyInference: CaseKind = (reference, comparison) => {
  const model = readModel(reference.folder)
  const { X } = readDocuments(join(reference.folder, 'test.txt'))
  const plain = fileWith(reference, 'topk', 'postProcessor', 'rows')
  const variants = fileWith(reference, 'runs', 'beamPerLayer')
  for (const run of [plain, ...listAt(variants, 'runs')]) {
    if (!isRecord(run)) throw new Error('a run is not an object')
    const beam = numberAt(run, 'beam')
    const transform = String(run['postProcessor']) as Transform
    const search = new BeamSearch(model, { beam, transform })
    const where = `${transform}, beam ${beam}`
    compareRows(comparison, where, search, X, numberAt(run, 'topk'), listAt(run, 'rows'))
  }
  listAt(variants, 'beamPerLayer').forEach((rows, level) => {
    if (!Array.isArray(rows)) throw new Error('beamPerLayer is no list of lists')
    const beam = numberAt(plain, 'beam')
    const search = new BeamSearch(upTo(model, level), { beam })
    const top = Math.min(beam, model.tree.parents[level]!.length)
    compareRows(comparison, `layer ${level}`, search, X, top, rows)
  })
}

/** Merges the reference's raw scores over columns and compares what it merged. @param raw overlap-raw.json @param overlap overlap.json */
export const compareMerged = (
  comparison: Comparison,
  raw: Readonly<Record<string, unknown>>,
  overlap: Readonly<Record<string, unknown>>,
): void => {
  const { mergedPredictions } = overlap
  if (!isRecord(mergedPredictions)) throw new Error("'mergedPredictions' is not an object")
  const labels = listAt(overlap, 'realCluster').length
  const copies = Int32Array.from(listAt(overlap, 'pseudo') as readonly [number, number][], ([label]) => label)
  for (const merge of ['mean', 'max'] satisfies Merge[]) {
    const merger = new CopyMerger(labels, copies, merge)
    listAt(mergedPredictions, merge).forEach((expected, r) => {
      const row = listAt(raw, 'rows')[r]
      if (!isRecord(row) || !isRecord(expected)) throw new Error(`row ${r} is not an object`)
      const columns = listAt(row, 'labels').filter(isFiniteNumber)
      const scores = numbersAt(row, 'scores', columns.length)
      const best = new BestNodes(columns.length)
      columns.forEach((column, i) => void best.offer(column, scores[i]!))
      const merged = new BestNodes(listAt(expected, 'labels').length)
      merger.merge(best, merged)
      merged.sort()
      const { nodes, scores: found, count } = merged
      compareRanking(
        comparison,
        `${merge} row ${r}`,
        { labels: nodes, scores: found, count },
        expected,
        () => 1e-6,
      )
    })
  }
}
