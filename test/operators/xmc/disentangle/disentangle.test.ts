import { expect, it } from 'vitest'
import {
  BeamSearch,
  clusterLabels,
  disentangle,
  pifaEmbedding,
  rankingMetrics,
  type XmcModel,
} from '../../../../operators/xmc/index.ts'
import { trainXmc } from '../../../../operators/xmc/rankers/train.ts'
import type { CsrMatrix } from '../../../../operators/xmc/sparse/csr-matrix.ts'
import { dense } from '../sparse-rows.ts'

const train = (X: CsrMatrix, Y: CsrMatrix, tree: XmcModel['tree']) => trainXmc(X, Y, tree)
const match = (beam: number) => (model: XmcModel, X: CsrMatrix) => new BeamSearch(model).leaves(X, beam)

/** Label 0 means two things: it comes with topic 0 (labels 1 … 3) and with topic 1 (labels 4 … 6). */
const documents = Array.from({ length: 60 }, (_, i) => {
  const topic = i % 2
  const label = 1 + 3 * topic + (Math.floor(i / 2) % 3)
  const x = new Array<number>(8).fill(0)
  x[topic] = 1
  x[1 + label] = 1
  const y = new Array<number>(7).fill(0)
  y[0] = 1
  y[label] = 1
  return { x, y }
})
const X = dense(documents.map(({ x }) => x))
const Y = dense(documents.map(({ y }) => y))
const tree = { parents: [Int32Array.of(0, 0), Int32Array.of(0, 0, 0, 0, 1, 1, 1)] }

it('puts a label of two meanings into the clusters of both, and trains on that', async () => {
  const plain = await train(X, Y, tree)
  const { model, assignment } = await disentangle(X, Y, plain, { clusters: 2, rounds: 1 }, train, match(1))
  expect(model.labels).toBe(7)
  expect(model.copies).toEqual(assignment!.copies)
  expect(model.copies).toContain(0)
  const found = rankingMetrics(new BeamSearch(model).predictBatch(X, 2), Y, undefined, [1, 2])
  expect(found.precision).toEqual([100, 100])
})

it('assigns anew each round, from labels without copies', async () => {
  const plain = await train(X, Y, tree)
  const columns: number[] = []
  const counting = (each: CsrMatrix, labels: CsrMatrix, on: XmcModel['tree']) => {
    columns.push(labels.columns)
    return train(each, labels, on)
  }
  const { model } = await disentangle(X, Y, plain, { clusters: 2, rounds: 3 }, counting, match(1))
  expect(columns).toHaveLength(3)
  expect(Math.max(...columns)).toBeLessThanOrEqual(14)
  expect(model.tree.parents.at(-1)).toHaveLength(columns[2]!)
})

it('leaves a tree of one cluster as it is', async () => {
  const one = await train(
    dense([[1], [1]]),
    dense([[1], [0]]),
    clusterLabels(pifaEmbedding(dense([[1]]), dense([[1]]))),
  )
  const given = dense([[1], [0]])
  const found = await disentangle(dense([[1], [1]]), given, one, { clusters: 2, rounds: 1 }, train, match(1))
  expect(found).toEqual({ model: one })
})

it('refuses labels that are not the model’s, and no rounds', async () => {
  const plain = await train(X, Y, tree)
  await expect(
    disentangle(X, dense([[1]]), plain, { clusters: 2, rounds: 1 }, train, match(1)),
  ).rejects.toThrow(expect.objectContaining({ code: 'WRONG_DIMENSION' }))
  await expect(disentangle(X, Y, plain, { clusters: 2, rounds: 0 }, train, match(1))).rejects.toThrow(
    expect.objectContaining({ code: 'INVALID_CONFIG' }),
  )
})
