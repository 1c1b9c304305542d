/**
 * Training against the reference: binary problems by objective and weights; the model at its default settings by what it finds; and at the optimum, which any solver must
 * reach, by weights, scores and metrics, with overlapping clusters too.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  assignedTree,
  assignLabels,
  BeamSearch,
  type CsrMatrix,
  clusterOf,
  type LabelTree,
  matchCounts,
  rankingMetrics,
  selectRows,
  withCopies,
  type XmcModel,
} from '../../operators/xmc/index.ts'
import { trainXmc } from '../../operators/xmc/rankers/train.ts'
import type { XmcTraining } from '../../operators/xmc/rankers/training.ts'
import { readArray, readDocuments, readModel } from '../xmc-golden.ts'
import { type CaseKind, type Comparison, fileWith, isRecord, numberAt, type ReferenceCase } from './case.ts'

const member = (record: Readonly<Record<string, unknown>>, key: string): Record<string, unknown> => {
  const value = record[key]
  if (!isRecord(value)) throw new Error(`'${key}' is not an object`)
  return value
}

const listAt = (record: Readonly<Record<string, unknown>>, key: string): readonly unknown[] => {
  const value = record[key]
  if (!Array.isArray(value) || value.length === 0) throw new Error(`'${key}' is no list`)
  return value
}

/** Tolerances are told in words that begin with the number. */
const compare = (
  comparison: Comparison,
  { tolerance }: ReferenceCase,
  quantity: string,
  where: string,
  found: ArrayLike<number>,
  expected: readonly number[],
): void => {
  const limit = Number.parseFloat(String(isRecord(tolerance) ? tolerance[quantity] : tolerance))
  if (found.length !== expected.length) comparison.fail(`${where}.${quantity}: ${found.length} numbers`)
  expected.forEach((number, i) => {
    comparison.within(quantity, `${where}[${i}]`, found[i]!, number, limit)
  })
}

/** A row as a vector. */
const denseRow = ({ columns, pointers, indices, values }: CsrMatrix, row: number): Float64Array => {
  const vector = new Float64Array(columns)
  for (let k = pointers[row]!; k < pointers[row + 1]!; k++) vector[indices[k]!] = values[k]!
  return vector
}

const columnsOf = (Y: CsrMatrix, wanted: readonly number[]): CsrMatrix => {
  const rows = Array.from({ length: Y.rows }, (_, row) => {
    const own = Y.indices.subarray(Y.pointers[row]!, Y.pointers[row + 1]!)
    return wanted.flatMap((label, column) => (own.includes(label) ? [column] : []))
  })
  const pointers = new Int32Array(Y.rows + 1)
  rows.forEach((row, r) => {
    pointers[r + 1] = pointers[r]! + row.length
  })
  const indices = Int32Array.from(rows.flat())
  return {
    rows: Y.rows,
    columns: wanted.length,
    pointers,
    indices,
    values: new Float32Array(indices.length).fill(1),
  }
}

/** ½(|w|² + b²) + C Σ loss. */
const objective = (w: Float64Array, X: CsrMatrix, own: ReadonlySet<number>, squared: boolean): number => {
  let sum = 0
  for (const weight of w) sum += 0.5 * weight * weight
  for (let row = 0; row < X.rows; row++) {
    let value = w[X.columns]!
    for (let k = X.pointers[row]!; k < X.pointers[row + 1]!; k++) value += w[X.indices[k]!]! * X.values[k]!
    const hinge = Math.max(0, 1 - (own.has(row) ? value : -value))
    sum += squared ? hinge * hinge : hinge
  }
  return sum
}

export const verifyBinary: CaseKind = async (reference, comparison) => {
  const file = fileWith(reference, 'problems', 'labels', 'eps')
  const all = readDocuments(join(reference.folder, 'train.txt'))
  const first = Array.from({ length: 1000 }, (_, row) => row)
  const [X, labels] = [selectRows(all.X, first), listAt(file, 'labels') as number[]]
  const Y = columnsOf(selectRows(all.Y, first), labels)
  const tree: LabelTree = { parents: [new Int32Array(labels.length)] }
  for (const loss of ['squared-hinge', 'hinge'] as const) {
    const weights = readArray(
      join(reference.folder, loss === 'hinge' ? 'binary-l1loss.npy' : 'binary-l2loss.npy'),
    )
    const model = await trainXmc(X, Y, tree, {
      loss,
      eps: numberAt(file, 'eps'),
      maxIterations: numberAt(file, 'maxIter'),
      threshold: numberAt(file, 'threshold'),
    })
    labels.forEach((label, column) => {
      const w = denseRow(model.weights[0]!, column)
      const expected = listAt(file, 'problems').find(
        (problem) =>
          isRecord(problem) && problem['label'] === label && problem['loss'] === loss.replace('-', '_'),
      )
      if (!isRecord(expected)) throw new Error(`label ${label} has no ${loss} problem`)
      const own = new Set(
        first.filter((row) => Y.indices.subarray(Y.pointers[row]!, Y.pointers[row + 1]!).includes(column)),
      )
      const wanted = numberAt(expected, 'objective')
      const found = objective(w, X, own, loss === 'squared-hinge')
      compare(comparison, reference, 'objective', `${loss} ${label}`, [found / wanted], [1])
      const stored = weights.subarray(column * w.length, (column + 1) * w.length)
      compare(comparison, reference, 'w', `${loss} ${label}`, w, [...stored])
    })
  }
}

/** P@k of a model against a record that has `P@1`, `P@3`, `P@5`. */
const comparePrecision = (
  comparison: Comparison,
  reference: ReferenceCase,
  quantity: string,
  model: XmcModel,
  test: { readonly X: CsrMatrix; readonly Y: CsrMatrix },
  expected: Readonly<Record<string, unknown>>,
): void => {
  const { precision } = rankingMetrics(new BeamSearch(model).predictBatch(test.X, 5), test.Y)
  const wanted = [1, 3, 5].map((k) => numberAt(expected, `P@${k}`))
  compare(comparison, reference, quantity, '', precision, wanted)
}

const readCase = (folder: string) => ({
  train: readDocuments(join(folder, 'train.txt')),
  test: readDocuments(join(folder, 'test.txt')),
  tree: readModel(folder).tree,
})

export const verifyTrainDefault: CaseKind = async (reference, comparison) => {
  const { train, test, tree } = readCase(reference.folder)
  const model = await trainXmc(train.X, train.Y, tree)
  comparePrecision(
    comparison,
    reference,
    'P@k',
    model,
    test,
    member(fileWith(reference, 'rows', 'plain'), 'plain'),
  )
}

export const verifyTrainTight: CaseKind = async (reference, comparison) => {
  const file = fileWith(reference, 'weightNorms', 'predictions', 'retrainOnStoredAssignment')
  const config = member(file, 'config')
  const settings: Partial<XmcTraining> = {
    eps: numberAt(config, 'eps'),
    maxIterations: numberAt(config, 'maxIter'),
    threshold: numberAt(config, 'threshold'),
  }
  const { train, test, tree } = readCase(reference.folder)
  const model = await trainXmc(train.X, train.Y, tree, settings)
  listAt(file, 'weightNorms').forEach((expected, level) => {
    const norms = expected as number[]
    const found = norms.map((norm, node) => {
      const w = denseRow(model.weights[level]!, node)
      return Math.sqrt(w.reduce((sum, weight) => sum + weight * weight, 0)) / norm
    })
    compare(
      comparison,
      reference,
      'weightNorms',
      `level ${level}`,
      found,
      norms.map(() => 1),
    )
  })
  compareScores(comparison, reference, model, test.X, member(file, 'predictions'))
  comparePrecision(comparison, reference, 'P@k', model, test, member(file, 'metricsPlain'))
  await compareRetrained(comparison, reference, settings, member(file, 'retrainOnStoredAssignment'))
  await comparePipeline(
    comparison,
    reference,
    model,
    { train, test, tree },
    settings,
    member(file, 'pipeline'),
  )
}

/** Scores of the labels that the reference has found. */
const compareScores = (
  comparison: Comparison,
  reference: ReferenceCase,
  model: XmcModel,
  X: CsrMatrix,
  expected: Readonly<Record<string, unknown>>,
): void => {
  const rows = listAt(expected, 'list') as { labels: number[]; scores: number[] }[]
  const found = new BeamSearch(model).predictBatch(selectRows(X, [...rows.keys()]), 20)
  rows.forEach(({ labels, scores }, row) => {
    const start = found.pointers[row]!
    const own = found.labels.subarray(start, found.pointers[row + 1]!)
    const mine = labels.map((label) => found.scores[start + own.indexOf(label)] ?? Number.NaN)
    compare(comparison, reference, 'scores', `row ${row}`, mine, scores)
  })
}

const compareRetrained = async (
  comparison: Comparison,
  reference: ReferenceCase,
  settings: Partial<XmcTraining>,
  expected: Readonly<Record<string, unknown>>,
): Promise<void> => {
  const { folder } = reference
  const { train, test, tree } = readCase(folder)
  const { realCluster, pseudo } = JSON.parse(readFileSync(join(folder, 'overlap.json'), 'utf8')) as {
    realCluster: number[]
    pseudo: [number, number][]
  }
  const copies = Int32Array.from(pseudo, ([label]) => label)
  const overlapping = assignedTree(tree, {
    clusters: Int32Array.from(realCluster),
    copies,
    copyClusters: Int32Array.from(pseudo, ([, cluster]) => cluster),
    kept: 0,
  })
  const model = await trainXmc(train.X, withCopies(train.Y, copies), overlapping, { ...settings, copies })
  comparePrecision(
    comparison,
    reference,
    'retrainOnStoredAssignment P@k',
    model,
    test,
    member(expected, 'metricsOverlapMean'),
  )
  compareScores(comparison, reference, model, test.X, member(expected, 'merged'))
}

/** The assignment anew, from the model trained here. */
const comparePipeline = async (
  comparison: Comparison,
  reference: ReferenceCase,
  model: XmcModel,
  { train, test, tree }: ReturnType<typeof readCase>,
  settings: Partial<XmcTraining>,
  expected: Readonly<Record<string, unknown>>,
): Promise<void> => {
  const R = matchCounts(train.Y, new BeamSearch(model).leaves(train.X))
  const assignment = assignLabels(R, clusterOf(tree), { clusters: 2 })
  const { clusters, copies, copyClusters } = assignment
  const count = (label: number, cluster: number): number => {
    const own = R.indices.subarray(R.pointers[label]!, R.pointers[label + 1]!)
    const place = own.indexOf(cluster)
    return place < 0 ? 0 : R.values[R.pointers[label]! + place]!
  }
  let selected = 0
  clusters.forEach((cluster, label) => {
    selected += count(label, cluster)
  })
  copies.forEach((label, q) => {
    selected += count(label, copyClusters[q]!)
  })
  const wanted = numberAt(expected, 'sumSelectedR')
  comparison.within('sumSelectedR', 'pipeline', selected, wanted, 0.002 * wanted)
  const Y = withCopies(train.Y, copies)
  const retrained = await trainXmc(train.X, Y, assignedTree(tree, assignment), { ...settings, copies })
  comparePrecision(comparison, reference, 'P@k', retrained, test, member(expected, 'metricsOverlapMean'))
}
