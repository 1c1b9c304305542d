/**
 * Overlapping clusters: counts and assignment from the reference's own matcher (λ = 2, λ = 3, and a beam of 2), its raw scores merged, and the precision of
 * a model trained on the assignment. Ties: (count descending, label ascending, cluster ascending).
 */
import { join } from 'node:path'
import {
  assignedTree,
  assignLabels,
  BeamSearch,
  clusterOf,
  type LabelAssignment,
  matchCounts,
  rankingMetrics,
  withCopies,
} from '../../operators/xmc/index.ts'
import { trainXmc } from '../../operators/xmc/rankers/train.ts'
import type { CsrMatrix } from '../../operators/xmc/sparse/csr-matrix.ts'
import { readArray, readDocuments, readModel } from '../xmc-golden.ts'
import { type CaseKind, type Comparison, fileWith, isRecord, numberAt } from './case.ts'
import { compareMerged } from './inference.ts'

const member = (record: Readonly<Record<string, unknown>>, key: string): Record<string, unknown> => {
  const value = record[key]
  if (!isRecord(value)) throw new Error(`'${key}' is not an object`)
  return value
}

const readMatcher = (folder: string, name: string, clusters: number): CsrMatrix => {
  const pointers = Int32Array.from(readArray(join(folder, `${name}.indptr.npy`)))
  const indices = Int32Array.from(readArray(join(folder, `${name}.indices.npy`)))
  const values = new Float32Array(indices.length).fill(1)
  return { rows: pointers.length - 1, columns: clusters, pointers, indices, values }
}

const compareAssignment = (
  comparison: Comparison,
  where: string,
  found: LabelAssignment,
  expected: Readonly<Record<string, unknown>>,
): void => {
  const { realCluster, pseudo } = expected
  if (realCluster !== undefined)
    comparison.numbers('realCluster', found.clusters, realCluster, where, 'assignment')
  if (!Array.isArray(pseudo)) throw new Error(`${where}: 'pseudo' is not a list`)
  const pairs = [...found.copies].flatMap((label, q) => [label, found.copyClusters[q]!])
  comparison.numbers('assignment', pairs, pseudo.flat(), where)
}

/** The sum of the counts of all pairs of a label and its cluster. */
const countsOf = (R: CsrMatrix, { clusters, copies, copyClusters }: LabelAssignment): number => {
  const count = (label: number, cluster: number): number => {
    const place = R.indices.subarray(R.pointers[label]!, R.pointers[label + 1]!).indexOf(cluster)
    return place < 0 ? 0 : R.values[R.pointers[label]! + place]!
  }
  let sum = 0
  for (let label = 0; label < clusters.length; label++) sum += count(label, clusters[label]!)
  for (let q = 0; q < copies.length; q++) sum += count(copies[q]!, copyClusters[q]!)
  return sum
}

export const verifyOverlap: CaseKind = async (reference, comparison) => {
  const overlap = fileWith(reference, 'R', 'realCluster', 'pseudo', 'beam2', 'lambda3')
  const { tree, labels } = readModel(reference.folder)
  const { X, Y } = readDocuments(join(reference.folder, 'train.txt'))
  const before = clusterOf(tree)
  const clusters = tree.parents.at(-2)!.length
  const R = matchCounts(Y, readMatcher(reference.folder, 'matcher', clusters))
  const expected = member(overlap, 'R')
  comparison.numbers('indptr', R.pointers, expected['indptr'], 'R', 'assignment')
  comparison.numbers('indices', R.indices, expected['indices'], 'R', 'assignment')
  comparison.numbers('R', R.values, expected['data'], 'R', 'assignment')
  const assignment = assignLabels(R, before, { clusters: numberAt(overlap, 'lambda') })
  compareAssignment(comparison, 'λ = 2', assignment, overlap)
  comparison.within('selected', 'λ = 2', countsOf(R, assignment), numberAt(overlap, 'sumSelectedR'), 0.5)
  compareAssignment(comparison, 'λ = 3', assignLabels(R, before, { clusters: 3 }), member(overlap, 'lambda3'))
  const narrow = matchCounts(Y, readMatcher(reference.folder, 'matcher2', clusters))
  const beam2 = member(overlap, 'beam2')
  const narrowly = assignLabels(narrow, before, { clusters: 2 })
  compareAssignment(comparison, 'beam 2', narrowly, beam2)
  comparison.within('selected', 'beam 2', countsOf(narrow, narrowly), numberAt(beam2, 'sumSelectedR'), 0.5)
  compareMerged(comparison, fileWith(reference, 'note', 'rows'), overlap)
  comparison.within('merge', 'scores', comparison.errors.get('scores') ?? Number.POSITIVE_INFINITY, 0, 1)

  const { copies } = assignment
  const model = await trainXmc(X, withCopies(Y, copies), assignedTree(tree, assignment), { copies })
  const test = readDocuments(join(reference.folder, 'test.txt'))
  const { precision } = rankingMetrics(new BeamSearch(model).predictBatch(test.X, 5), test.Y)
  const wanted = member(overlap, 'metricsOverlapMean')
  ;[1, 3, 5].forEach((k, i) => {
    const name = 'retrained P@k'
    comparison.within(name, `P@${k} of ${labels} labels`, precision[i]!, numberAt(wanted, `P@${k}`), 2)
  })
}
