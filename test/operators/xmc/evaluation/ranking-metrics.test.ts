import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  BeamSearch,
  innerProducts,
  inversePropensities,
  type RankedLabels,
  rankingMetrics,
} from '../../../../operators/xmc/index.ts'
import { readDocuments, readModel, xmcGolden } from '../../../xmc-golden.ts'
import { dense, ones, pointersOf, toDense } from '../sparse-rows.ts'

const ranked = (rows: readonly (readonly number[])[]): RankedLabels => ({
  pointers: pointersOf(rows.map(({ length }) => length)),
  labels: Int32Array.from(rows.flat()),
})

describe('rankingMetrics', () => {
  it('counts hits over k, recall over what applies, and nDCG by rank', () => {
    const truth = dense([
      [1, 1, 0, 0],
      [0, 0, 0, 1],
    ])
    const found = rankingMetrics(
      ranked([
        [0, 2, 1],
        [2, 3],
      ]),
      truth,
      undefined,
      [1, 2, 3],
    )
    expect(found.precision).toEqual([50, 50, 50])
    expect(found.recall).toEqual([25, 75, 100])
    expect(found.ndcg[0]).toBe(50)
    const ideal = 1 + 1 / Math.log2(3)
    expect(found.ndcg[2]).toBeCloseTo((100 * (1.5 / ideal + 1 / Math.log2(3))) / 2, 10)
  })

  it('weighs hits by inverse propensity, over the most that could be had', () => {
    const truth = dense([[1, 1, 0]])
    const { propensityScored } = rankingMetrics(ranked([[0, 2]]), truth, Float64Array.of(2, 5, 9), [1, 2])
    expect(propensityScored).toEqual([40, (100 * 2) / 7])
  })

  it('counts what was not predicted as wrong, and rows without labels as 0', () => {
    const truth = dense([
      [1, 0],
      [0, 0],
    ])
    const found = rankingMetrics(ranked([[0], []]), truth, undefined, [2])
    expect(found).toEqual({ at: [2], precision: [25], propensityScored: [100], recall: [50], ndcg: [50] })
  })

  it('is 0 of no rows', () => {
    expect(rankingMetrics(ranked([]), dense([], 3)).precision).toEqual([0, 0, 0])
  })

  it('is what counting row by row gives', () => {
    fc.assert(
      fc.property(
        ones(4, 6),
        fc.array(fc.uniqueArray(fc.integer({ min: 0, max: 5 })), { minLength: 4, maxLength: 4 }),
        fc.integer({ min: 1, max: 7 }),
        (truth, rows, k) => {
          const table = toDense(truth)
          const hits = rows.map((row, r) => row.slice(0, k).filter((label) => table[r]![label] === 1).length)
          const found = rankingMetrics(ranked(rows), truth, undefined, [k])
          const sum = hits.reduce((total, count) => total + count)
          expect(found.precision[0]).toBeCloseTo((100 * sum) / (4 * k), 9)
          const recall = hits.reduce(
            (total, count, r) => total + count / Math.max(1, table[r]!.filter(Boolean).length),
            0,
          )
          expect(found.recall[0]).toBeCloseTo((100 * recall) / 4, 9)
          expect(found.ndcg[0]).toBeLessThanOrEqual(100 + 1e-9)
        },
      ),
    )
  })

  it.each([
    ['WRONG_DIMENSION', () => rankingMetrics(ranked([[0]]), dense([[1], [1]]))],
    ['WRONG_DIMENSION', () => rankingMetrics(ranked([[0]]), dense([[1]]), new Float64Array(2))],
    ['WRONG_DIMENSION', () => rankingMetrics(ranked([[1]]), dense([[1]]))],
    ['INVALID_EVENT', () => rankingMetrics(ranked([[0]]), dense([[1]]), undefined, [0])],
  ])('refuses by %s what does not fit', (code, measure) => {
    expect(measure).toThrow(expect.objectContaining({ code }))
  })
})

describe('inversePropensities', () => {
  it('falls as a label has more documents', () => {
    const Y = dense(Array.from({ length: 100 }, (_, row) => [1, row < 10 ? 1 : 0, 0]))
    const [many, few, none] = inversePropensities(Y)
    const c = (Math.log(100) - 1) * 2.5 ** 0.55
    expect(many).toBeCloseTo(1 + c * 101.5 ** -0.55, 12)
    expect(few).toBeCloseTo(1 + c * 11.5 ** -0.55, 12)
    expect(none).toBeCloseTo(1 + c * 1.5 ** -0.55, 12)
  })

  it('never falls below 1, of however few documents', () => {
    expect([...inversePropensities(dense([[1, 0]]))]).toEqual([1, 1])
  })
})

describe('innerProducts', () => {
  it('is the mean of the sizes of the clusters visited', () => {
    const tree = { parents: [Int32Array.of(0, 0), Int32Array.of(0, 0, 0, 1)] }
    expect(
      innerProducts(
        tree,
        dense([
          [1, 0],
          [0.5, 0.1],
        ]),
      ),
    ).toBe(3.5)
    expect(innerProducts(tree, dense([], 2))).toBe(0)
  })
})

const folder = xmcGolden('wordnet-a')
describe.skipIf(folder === undefined)('metrics of the reference', () => {
  it('are met by its own weights, searched here', () => {
    const { plain } = JSON.parse(readFileSync(join(folder!, 'metrics.json'), 'utf8')) as {
      plain: Record<string, number>
    }
    const test = readDocuments(join(folder!, 'test.txt'))
    const { Y } = readDocuments(join(folder!, 'train.txt'))
    const predicted = new BeamSearch(readModel(folder!)).predictBatch(test.X, 10)
    const found = rankingMetrics(predicted, test.Y, inversePropensities(Y), [1, 3, 5, 10])
    found.at.forEach((k, i) => {
      if (k < 10) expect(found.precision[i]).toBeCloseTo(plain[`P@${k}`]!, 9)
      if (k < 10) expect(found.propensityScored[i]).toBeCloseTo(plain[`PSP@${k}`]!, 9)
      if (k !== 3) expect(found.recall[i]).toBeCloseTo(plain[`R@${k}`]!, 9)
    })
  })
})
