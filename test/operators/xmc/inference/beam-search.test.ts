import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BeamSearch } from '../../../../operators/xmc/inference/beam-search.ts'
import { type Predictions, predictions } from '../../../../operators/xmc/inference/predictions.ts'
import { TRANSFORMS } from '../../../../operators/xmc/inference/transform.ts'
import type { SearchSettings, Transform, XmcModel } from '../../../../operators/xmc/model.ts'
import { csr, models, sparseRow } from './models.ts'
import { naiveLevels, naiveSearch, type Scored } from './naive-search.ts'

const settings: fc.Arbitrary<SearchSettings> = fc.record({
  beam: fc.integer({ min: 1, max: 8 }),
  transform: fc.constantFrom(...(Object.keys(TRANSFORMS) as Transform[])),
  merge: fc.constantFrom('mean', 'max', 'sum'),
})
const modelAndQueries = models.chain((model) =>
  fc.record({
    model: fc.constant(model),
    queries: fc.array(sparseRow(model.features), { minLength: 1, maxLength: 6 }),
  }),
)

const search = (beamSearch: BeamSearch, query: ReadonlyMap<number, number>, top: number): Predictions => {
  const output = predictions(top)
  beamSearch.predict(Int32Array.from(query.keys()), Float32Array.from(query.values()), top, output)
  return output
}
const listed = ({ count, labels, scores }: Predictions): Scored[] =>
  Array.from({ length: count }, (_, i) => ({ node: labels[i]!, score: scores[i]! }))

const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-9 * Math.max(1e-3, Math.abs(a))
/** Equal up to the rounding of another order of additions: nodes whose scores differ by that alone may change places. */
const expectRanking = (found: readonly Scored[], all: readonly Scored[], top: number): void => {
  expect(found.length).toBe(Math.min(top, all.length))
  const scoreOf = new Map(all.map(({ node, score }) => [node, score]))
  found.forEach(({ node, score }, i) => {
    expect(near(score, all[i]!.score), `${i}: ${score} and ${all[i]!.score}`).toBe(true)
    expect(near(score, scoreOf.get(node)!), `${i}: node ${node}`).toBe(true)
  })
}

/** Two levels of two nodes, three labels under the first and one under the second; feature f speaks for label f. */
const small: XmcModel = {
  features: 4,
  bias: 1,
  labels: 4,
  copies: new Int32Array(0),
  search: { beam: 2, transform: 'l3-hinge', merge: 'mean' },
  tree: { parents: [Int32Array.of(0, 0), Int32Array.of(0, 1, 0, 0)] },
  weights: [
    csr(5, [
      new Map([
        [0, 1],
        [2, 1],
        [3, 1],
      ]),
      new Map([[1, 1]]),
    ]),
    csr(
      5,
      [0, 1, 2, 3].map((feature) => new Map([[feature, 1]])),
    ),
  ],
}
const query = (...entries: [number, number][]) => new Map(entries)

describe('BeamSearch', () => {
  it('finds what scoring and sorting everything finds', () => {
    fc.assert(
      fc.property(
        modelAndQueries,
        settings,
        fc.integer({ min: 1, max: 30 }),
        ({ model, queries }, options, top) => {
          // Beams cut where scores tie by rounding alone would keep different nodes: such cases say nothing.
          const beamSearch = new BeamSearch(model, options)
          for (const each of queries) {
            const levels = naiveLevels(model, each, { ...options, beam: 1_000 }).slice(0, -1)
            fc.pre(levels.every((level) => level.length <= options.beam))
            expectRanking(
              listed(search(beamSearch, each, top)),
              naiveSearch(model, each, options),
              Math.min(top, model.labels),
            )
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('keeps the best of each level, ties by smaller number, where sums are exact', () => {
    const exact = fc.constantFrom(-1, -0.5, 0.5, 1, 2)
    fc.assert(
      fc.property(modelAndQueries, settings, exact, ({ model, queries }, options, x) => {
        const coarse: XmcModel = {
          ...model,
          weights: model.weights.map((level) => ({
            ...level,
            values: level.values.map((w) => Math.round(2 * w) / 2),
          })),
        }
        const beamSearch = new BeamSearch(coarse, options)
        for (const each of queries) {
          const halves = new Map([...each.keys()].map((feature) => [feature, x] as const))
          const expected = naiveSearch(coarse, halves, options).slice(0, 5)
          const found = listed(search(beamSearch, halves, 5))
          expectRanking(found, expected, 5)
          if (options.transform !== 'log-sigmoid' && coarse.copies.length === 0)
            expect(found.map(({ node }) => node)).toEqual(expected.map(({ node }) => node))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('gives a batch bit for bit what it gives its rows one by one', () => {
    fc.assert(
      fc.property(
        modelAndQueries,
        settings,
        fc.integer({ min: 1, max: 30 }),
        ({ model, queries }, options, top) => {
          const beamSearch = new BeamSearch(model, options)
          const X = csr(model.features, queries)
          const batch = beamSearch.predictBatch(X, top)
          queries.forEach((_, row) => {
            const output = predictions(top)
            beamSearch.predict(X.indices, X.values, top, output, X.pointers[row]!, X.pointers[row + 1]!)
            const [start, end] = [batch.pointers[row]!, batch.pointers[row + 1]!]
            expect(end - start).toBe(output.count)
            expect(batch.labels.slice(start, end)).toEqual(output.labels.slice(0, output.count))
            expect(batch.scores.slice(start, end)).toEqual(output.scores.slice(0, output.count))
            expect(batch.innerProducts[row]).toBe(beamSearch.innerProducts)
          })
        },
      ),
      { numRuns: 200 },
    )
  })

  it('gives the clusters of the beam as a matrix, and by them the cost of a query', () => {
    fc.assert(
      fc.property(modelAndQueries, settings, ({ model, queries }, options) => {
        const beamSearch = new BeamSearch(model, options)
        const X = csr(model.features, queries)
        const { rows, columns, pointers, indices } = beamSearch.leaves(X)
        expect([rows, columns]).toEqual([queries.length, model.tree.parents.at(-2)?.length ?? 1])
        const sizes = new Int32Array(columns)
        for (const cluster of model.tree.parents.at(-1)!) sizes[cluster]!++
        const { innerProducts } = beamSearch.predictBatch(X, 1)
        for (let row = 0; row < rows; row++) {
          const clusters = indices.slice(pointers[row]!, pointers[row + 1]!)
          expect(clusters.length).toBeLessThanOrEqual(options.beam)
          expect([...clusters]).toEqual([...new Set(clusters)].sort((a, b) => a - b))
          expect(innerProducts[row]).toBe(clusters.reduce((sum, cluster) => sum + sizes[cluster]!, 0))
        }
      }),
      { numRuns: 100 },
    )
  })

  it('multiplies along the path', () => {
    const { labels, scores, count } = search(new BeamSearch(small), query([0, 1], [2, 0.5]), 4)
    expect(count).toBe(4)
    expect([...labels]).toEqual([0, 2, 3, 1])
    const [whole, half, none] = [0, 0.5, 1].map((h) => Math.exp(-(h ** 3))) as [number, number, number]
    expect([...scores]).toEqual([whole, half, none, none * none].map((s) => expect.closeTo(s, 12)))
  })

  it('answers an empty query by the constant feature alone, ties by smaller label', () => {
    expect([...search(new BeamSearch(small), query(), 4).labels]).toEqual([0, 1, 2, 3])
  })

  it('finds fewer labels than asked for where there are no more, or the beam reaches no more', () => {
    expect(search(new BeamSearch(small), query([0, 1]), 9).count).toBe(4)
    expect(search(new BeamSearch(small, { beam: 1 }), query([1, 3]), 9).count).toBe(1)
    expect(search(new BeamSearch(small, { beam: 1_000 }), query([1, 3]), 9).count).toBe(4)
  })

  it('searches one label under the root', () => {
    const one: XmcModel = {
      ...small,
      labels: 1,
      tree: { parents: [Int32Array.of(0)] },
      weights: [csr(5, [new Map()])],
    }
    expect(listed(search(new BeamSearch(one), query([0, 1]), 5))).toEqual([{ node: 0, score: Math.exp(-1) }])
    expect([...new BeamSearch(one).leaves(csr(4, [query([0, 1])])).indices]).toEqual([0])
  })

  it('takes a batch of no rows', () => {
    const { pointers, labels } = new BeamSearch(small).predictBatch(csr(4, []), 3)
    expect([pointers.length, labels.length]).toEqual([1, 0])
  })

  it('takes queries longer than its memory had room for, a feature named more than once counting as often', () => {
    const long = 100_000
    const output = predictions(1)
    const beamSearch = new BeamSearch(small, { transform: 'identity' })
    beamSearch.predict(new Int32Array(long).fill(3), new Float32Array(long).fill(0.25), 1, output)
    expect([output.labels[0], output.scores[0]]).toEqual([3, long / 4])
    expect(search(beamSearch, query([1, 1]), 1).labels[0]).toBe(1)
  })

  it('merges over the copies that were scored alone', () => {
    // Column 4 is a copy of label 0 under the second node, which a beam of one does not reach.
    const copied: XmcModel = {
      ...small,
      copies: Int32Array.of(0),
      tree: { parents: [small.tree.parents[0]!, Int32Array.of(0, 1, 0, 0, 1)] },
      weights: [
        small.weights[0]!,
        csr(
          5,
          [0, 1, 2, 3, 1].map((feature) => new Map([[feature, 1]])),
        ),
      ],
    }
    const both = query([0, 1], [1, 0.5])
    const half = Math.exp(-(0.5 ** 3))
    const scoreOf = (options: Partial<SearchSettings>) =>
      listed(search(new BeamSearch(copied, options), both, 9)).find(({ node }) => node === 0)?.score
    expect(scoreOf({ beam: 1 })).toBe(1)
    expect(scoreOf({ merge: 'mean' })).toBeCloseTo((1 + half * half) / 2, 12)
    expect(scoreOf({ merge: 'max' })).toBe(1)
    expect(scoreOf({ merge: 'sum' })).toBeCloseTo(1 + half * half, 12)
  })

  it.each([
    ['a feature that the model does not have', [4], [1], 'WRONG_DIMENSION'],
    ['a negative feature', [-1], [1], 'WRONG_DIMENSION'],
    ['a value that is no number', [0], [Number.NaN], 'NON_FINITE_NUMBER'],
    ['an infinite value', [0], [Number.POSITIVE_INFINITY], 'NON_FINITE_NUMBER'],
  ])('refuses %s, alone and in a batch', (_, indices, values, code) => {
    const beamSearch = new BeamSearch(small)
    const X = {
      rows: 1,
      columns: 4,
      pointers: Int32Array.of(0, 1),
      indices: Int32Array.from(indices),
      values: Float32Array.from(values),
    }
    expect(() => beamSearch.predict(X.indices, X.values, 1, predictions(1))).toThrow(
      expect.objectContaining({ code }),
    )
    expect(() => beamSearch.predictBatch(X, 1)).toThrow(expect.objectContaining({ code }))
    expect(() => beamSearch.leaves(X)).toThrow(expect.objectContaining({ code }))
    expect(search(beamSearch, query([0, 1]), 1).labels[0]).toBe(0)
  })

  it.each<[string, Partial<XmcModel>, Partial<SearchSettings>, string]>([
    ['a beam of 0', {}, { beam: 0 }, 'INVALID_CONFIG'],
    ['a beam of 1.5', {}, { beam: 1.5 }, 'INVALID_CONFIG'],
    ['an unknown transform', {}, { transform: 'softmax' as Transform }, 'INVALID_CONFIG'],
    ['an unknown merge', {}, { merge: 'median' as 'mean' }, 'INVALID_CONFIG'],
    ['labels that are not its columns', { labels: 3 }, {}, 'WRONG_DIMENSION'],
    ['a copy of no label', { labels: 3, copies: Int32Array.of(3) }, {}, 'WRONG_DIMENSION'],
    ['weights of other features', { features: 5 }, {}, 'WRONG_DIMENSION'],
    ['a level without weights', { weights: small.weights.slice(1) }, {}, 'WRONG_DIMENSION'],
    [
      'a parent that is not there',
      { tree: { parents: [Int32Array.of(0, 0), Int32Array.of(0, 1, 2, 0)] } },
      {},
      'INVALID_EVENT',
    ],
    [
      'a weight that is no number',
      {
        weights: [
          small.weights[0]!,
          csr(
            5,
            [0, 1, 2, 3].map(() => new Map([[0, Number.NaN]])),
          ),
        ],
      },
      {},
      'NON_FINITE_NUMBER',
    ],
    ['a bias that is no number', { bias: Number.NaN }, {}, 'NON_FINITE_NUMBER'],
  ])('refuses a model with %s', (_, changed, options, code) => {
    expect(() => new BeamSearch({ ...small, ...changed }, options)).toThrow(expect.objectContaining({ code }))
  })

  it('refuses to look for no labels', () => {
    expect(() => search(new BeamSearch(small), query(), 0)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG' }),
    )
  })
})
