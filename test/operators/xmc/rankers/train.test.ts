import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  BeamSearch,
  binarise,
  type CsrMatrix,
  trainXmc,
  transpose,
  type XmcTraining,
} from '../../../../operators/xmc/index.ts'
import { jobsOf, nodesOf } from '../../../../operators/xmc/rankers/jobs.ts'
import { levelProblem, nodesOfDocuments, union } from '../../../../operators/xmc/rankers/level-problem.ts'
import { dense, ones, toDense } from '../sparse-rows.ts'
import { flat, problems } from './arbitrary-documents.ts'

const TIGHT = { eps: 1e-9, maxIterations: 100_000, threshold: 0 } as const

const X = dense([
  [1, 0, 0, 0],
  [0, 1, 0, 0],
  [0, 0, 1, 0],
  [0, 0, 0, 1],
  [0.5, 0.5, 0, 0],
])
const Y = dense([
  [1, 0, 0, 0],
  [0, 1, 0, 0],
  [0, 0, 1, 0],
  [0, 0, 0, 1],
  [1, 1, 0, 0],
])
/** Two clusters of two labels each. */
const tree = { parents: [new Int32Array(2), Int32Array.of(0, 0, 1, 1)] }

const rowsOf = (matrix: CsrMatrix): CsrMatrix[] =>
  Array.from({ length: matrix.rows }, (_, row) => {
    const [start, end] = [matrix.pointers[row]!, matrix.pointers[row + 1]!]
    return {
      rows: 1,
      columns: matrix.columns,
      pointers: Int32Array.of(0, end - start),
      indices: matrix.indices.slice(start, end),
      values: matrix.values.slice(start, end),
    }
  })

describe('what a classifier learns from', () => {
  /** The classifier of each column, learned by itself from the documents given. */
  const alone = async (column: number, documents: readonly number[]): Promise<number[]> => {
    const features = dense(documents.map((row) => toDense(X)[row]!))
    const labels = dense(
      documents.map((row) => [toDense(Y)[row]![column]!]),
      1,
    )
    const { weights } = await trainXmc(features, labels, flat(1), TIGHT)
    return toDense(weights[0]!)[0]!
  }
  const expectClose = (found: readonly number[], expected: readonly number[]) =>
    found.forEach((weight, i) => void expect(weight).toBeCloseTo(expected[i]!, 5))

  it('tfn: documents with a label of its cluster; the first level all', async () => {
    const { weights } = await trainXmc(X, Y, tree, TIGHT)
    expectClose(toDense(weights[1]!)[0]!, await alone(0, [0, 1, 4]))
    expectClose(toDense(weights[1]!)[3]!, await alone(3, [2, 3]))
    const clusters = await trainXmc(X, nodesOfDocuments(Y, tree)[0]!, flat(2), TIGHT)
    expectClose(toDense(weights[0]!)[1]!, toDense(clusters.weights[0]!)[1]!)
  })

  it('usn: the documents given, and its own', async () => {
    const matches = [
      dense([
        [0, 0],
        [1, 0],
        [1, 0],
        [0, 1],
        [0, 0],
      ]),
    ]
    const { weights } = await trainXmc(X, Y, tree, { ...TIGHT, negatives: 'usn', matches })
    // Document 4 has label 0 and document 0 too: they are behind those that all of the cluster learn from.
    expectClose(toDense(weights[1]!)[0]!, await alone(0, [1, 2, 0, 4]))
    expectClose(toDense(weights[1]!)[1]!, await alone(1, [1, 2, 4]))
    expectClose(toDense(weights[1]!)[2]!, await alone(2, [3, 2]))
    expectClose(toDense(weights[1]!)[3]!, await alone(3, [3]))
  })

  it('man: the documents that the search leads there, and its own', async () => {
    const upper = await trainXmc(X, nodesOfDocuments(Y, tree)[0]!, flat(2), TIGHT)
    const search = new BeamSearch({
      ...upper,
      tree,
      weights: [upper.weights[0]!, dense([[0], [0], [0], [0]].map(() => [0, 0, 0, 0, 0]))],
      labels: 4,
    })
    const led = search.leaves(X, 1)
    const byHand = await trainXmc(X, Y, tree, { ...TIGHT, negatives: 'usn', matches: [led] })
    const found = await trainXmc(X, Y, tree, { ...TIGHT, negatives: 'man', beam: 1 })
    expect(found.weights).toEqual(byHand.weights)
    const both = await trainXmc(X, Y, tree, { ...TIGHT, negatives: 'tfn+man', beam: 1 })
    const matches = [union(nodesOfDocuments(Y, tree)[0]!, led)]
    expect(both.weights).toEqual(
      (await trainXmc(X, Y, tree, { ...TIGHT, negatives: 'usn', matches })).weights,
    )
  })

  it('with a beam as wide as the tree, man is every document', async () => {
    const all = dense(X.pointers.length > 0 ? Array.from({ length: X.rows }, () => [1, 1]) : [])
    const found = await trainXmc(X, Y, tree, { negatives: 'man', beam: 10 })
    expect(found.weights).toEqual((await trainXmc(X, Y, tree, { negatives: 'usn', matches: [all] })).weights)
  })
})

describe('problems of levels', () => {
  it('a document has the nodes above its labels', () => {
    fc.assert(
      fc.property(problems(), (problem) => {
        const levels = nodesOfDocuments(problem.Y, problem.tree)
        for (let t = levels.length - 1; t > 0; t--) {
          const below = toDense(levels[t]!)
          toDense(levels[t - 1]!).forEach((row, document) => {
            const expected = row.map((_, node) =>
              problem.tree.parents[t]!.some(
                (parent, child) => parent === node && below[document]![child] === 1,
              )
                ? 1
                : 0,
            )
            expect(row).toEqual(expected)
          })
        }
      }),
    )
  })

  it('a union has what either has', () => {
    fc.assert(
      fc.property(ones(5, 6), ones(5, 6), (one, other) => {
        const sum = toDense(one).map((row, r) =>
          row.map((value, c) => Math.max(value, toDense(other)[r]![c]!)),
        )
        expect(toDense(union(one, other))).toEqual(sum)
      }),
    )
  })

  it('jobs name every node once, the most work first', () => {
    fc.assert(
      fc.property(problems(), (problem) => {
        const documents = nodesOfDocuments(problem.Y, problem.tree)
        const levels = documents.map((own, t) => levelProblem(problem.tree, t, own, documents[t - 1] ?? null))
        const jobs = jobsOf(levels)
        levels.forEach((level, t) => {
          const named = jobs.filter((job) => job.problem === t).flatMap((job) => [...nodesOf(level, job)])
          expect(named.sort((a, b) => a - b)).toEqual([...problem.tree.parents[t]!.keys()])
        })
        const work = jobs.map(({ problem: t, parent, from, to }) => {
          const { pointers } = levels[t]!.matched
          return (to - from) * (pointers[parent + 1]! - pointers[parent]!)
        })
        expect(work).toEqual([...work].sort((a, b) => b - a))
      }),
    )
  })
})

describe('models', () => {
  it('pruning drops the small weights and changes no other', async () => {
    await fc.assert(
      fc.asyncProperty(problems(), async (problem) => {
        const train = (threshold: number) => trainXmc(problem.X, problem.Y, problem.tree, { threshold })
        const [all, pruned] = [await train(0), await train(0.3)]
        all.weights.forEach((level, t) => {
          const large = toDense(level).map((row) =>
            row.map((weight) => (Math.abs(weight) < 0.3 ? 0 : weight)),
          )
          expect(toDense(pruned.weights[t]!)).toEqual(large)
        })
      }),
      { numRuns: 30 },
    )
  })

  it('a label alone is learned as among its siblings, whatever the job', async () => {
    await fc.assert(
      fc.asyncProperty(problems(), async ({ X: features, Y: labels }) => {
        const together = await trainXmc(features, labels, flat(labels.columns), {})
        const columns = rowsOf(transpose(labels))
        for (const [label, column] of columns.entries()) {
          const single = await trainXmc(features, transpose(column), flat(1), {})
          expect(toDense(single.weights[0]!)[0]).toEqual(toDense(together.weights[0]!)[label])
        }
      }),
      { numRuns: 20 },
    )
  })

  it('a copy weighs what its label weighs, and is known as its copy', async () => {
    const copied = dense(toDense(Y).map((row) => [...row, row[1]!]))
    const wider = { parents: [tree.parents[0]!, Int32Array.of(0, 0, 1, 1, 0)] }
    const model = await trainXmc(X, copied, wider, { copies: Int32Array.of(1) })
    expect([model.labels, [...model.copies]]).toEqual([4, [1]])
    expect(toDense(model.weights[1]!)[4]).toEqual(toDense(model.weights[1]!)[1])
  })

  it('a label without documents is told apart from all, a cluster without documents has no weights', async () => {
    const few = dense([
      [1, 0, 0, 0],
      [1, 0, 0, 0],
    ])
    const { weights } = await trainXmc(
      dense([
        [1, 0],
        [0, 1],
      ]),
      few,
      tree,
      TIGHT,
    )
    const [own, absent, ...others] = toDense(weights[1]!)
    expect(own![2]).toBeGreaterThan(0.5)
    expect(absent![2]).toBeLessThan(-0.5)
    expect(others).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ])
  })

  it('no documents, documents without features, one label: a model each', async () => {
    const empty = await trainXmc(dense([], 3), dense([], 4), tree)
    expect(empty.weights.map(({ rows, indices }) => [rows, indices.length])).toEqual([
      [2, 0],
      [4, 0],
    ])
    const constant = await trainXmc(dense([[0], [0]], 1), dense([[1], [1]]), flat(1), TIGHT)
    // ½b² + 2(1 − b)² is least at 4/5.
    expect(toDense(constant.weights[0]!)[0]![1]).toBeCloseTo(0.8, 5)
  })

  it('says how far it is, up to the end', async () => {
    const told: number[][] = []
    await trainXmc(X, Y, tree, { onProgress: (done, total) => void told.push([done, total]) })
    expect(told.at(-1)).toEqual([6, 6])
    expect(told.map(([done]) => done!)).toEqual(told.map(([done]) => done!).sort((a, b) => a - b))
  })
})

describe('refusals', () => {
  it.each<[string, Partial<XmcTraining>]>([
    ['loss', { loss: 'absolute' as 'hinge' }],
    ['C.positive', { C: { positive: 0, negative: 1 } }],
    ['C.negative', { C: { positive: 1, negative: Number.NaN } }],
    ['eps', { eps: 0 }],
    ['maxIterations', { maxIterations: 1.5 }],
    ['threshold', { threshold: -1 }],
    ['bias', { bias: Number.POSITIVE_INFINITY }],
    ['negatives', { negatives: 'all' as 'tfn' }],
    ['beam', { beam: 0 }],
  ])('%s out of range', async (name, options) => {
    await expect(trainXmc(X, Y, tree, options)).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringContaining(`${name}: `),
    })
  })

  it.each<[string, () => Promise<unknown>]>([
    ['documents that differ', () => trainXmc(X, dense([[1, 0, 0, 0]]), tree)],
    ['labels that are not the tree’s', () => trainXmc(X, dense(toDense(Y).map((row) => [...row, 0])), tree)],
    ['copies of no label', () => trainXmc(X, Y, tree, { copies: Int32Array.of(3) })],
    ['matches that are missing', () => trainXmc(X, Y, tree, { negatives: 'usn' })],
    ['a feature out of range', () => trainXmc({ ...X, columns: 3 }, Y, tree)],
    ['a label out of range', () => trainXmc(X, { ...Y, indices: Y.indices.map((label) => label + 1) }, tree)],
  ])('%s', async (_, train) => {
    await expect(train()).rejects.toMatchObject({ code: 'WRONG_DIMENSION' })
  })

  it('a value that is not finite', async () => {
    const values = X.values.slice()
    values[2] = Number.NaN
    await expect(trainXmc({ ...X, values }, Y, tree)).rejects.toMatchObject({ code: 'NON_FINITE_NUMBER' })
  })

  it('a tree that is none', async () => {
    await expect(trainXmc(X, Y, { parents: [] })).rejects.toMatchObject({ code: 'INVALID_EVENT' })
  })

  it('values of Y are not looked at', async () => {
    const scaled = { ...Y, values: Y.values.map((value) => 3 * value) }
    expect((await trainXmc(X, scaled, tree)).weights).toEqual((await trainXmc(X, binarise(Y), tree)).weights)
  })
})
