import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ClusterOptions,
  checkTree,
  clusterLabels,
  clusterOf,
  clusterSizes,
  type LabelTree,
  widths,
} from '../../../../operators/xmc/index.ts'
import type { CsrMatrix } from '../../../../operators/xmc/sparse/csr-matrix.ts'
import { dense } from '../sparse-rows.ts'

const arrays = (tree: LabelTree): number[][] => tree.parents.map((level) => [...level])

/** Embeddings of up to 60 labels, with empty and equal rows among them. */
const embedding: fc.Arbitrary<CsrMatrix> = fc
  .array(fc.array(fc.constantFrom(0, 0, 0.5, 1, -1), { minLength: 4, maxLength: 4 }), {
    minLength: 1,
    maxLength: 60,
  })
  .map((rows) => dense(rows, 4))

const options: fc.Arbitrary<Partial<ClusterOptions>> = fc.record({
  branching: fc.integer({ min: 2, max: 9 }),
  maxLeafSize: fc.integer({ min: 1, max: 30 }),
  seed: fc.integer({ min: 0, max: 5 }),
  iterations: fc.integer({ min: 1, max: 20 }),
})

describe('clusterLabels', () => {
  it('makes of any labels a tree whose leaves differ by one label at most, whose nodes branch no wider than asked', () => {
    fc.assert(
      fc.property(embedding, options, (Z, asked) => {
        const tree = clusterLabels(Z, asked)
        checkTree(tree)
        expect(widths(tree).at(-1)).toBe(Z.rows)
        const sizes = clusterSizes(tree)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
        if (asked.maxLeafSize! > 1) expect(Math.max(...sizes)).toBeLessThanOrEqual(asked.maxLeafSize!)
        for (const level of tree.parents.slice(0, -1)) {
          const children = new Int32Array(level.length)
          for (const parent of level) children[parent]!++
          expect(Math.max(...children)).toBeLessThanOrEqual(asked.branching!)
        }
        expect(arrays(clusterLabels(Z, asked))).toEqual(arrays(tree))
      }),
    )
  })

  it('keeps apart what points apart', () => {
    const Z = dense(
      Array.from({ length: 40 }, (_, label) => {
        const turn = 0.3 * Math.sin(label) + (label % 2 === 0 ? 0 : Math.PI / 2)
        return [Math.cos(turn), Math.sin(turn)]
      }),
    )
    for (let seed = 0; seed < 10; seed++) {
      const leaves = clusterOf(clusterLabels(Z, { maxLeafSize: 20, seed }))
      expect(new Set([...leaves].filter((_, label) => label % 2 === 0)).size).toBe(1)
      expect(new Set([...leaves].filter((_, label) => label % 2 === 1)).size).toBe(1)
    }
  })

  it('gives equal labels to the halves by their numbers', () => {
    expect([...clusterOf(clusterLabels(dense(Array(5).fill([1])), { maxLeafSize: 3 }))]).toEqual([
      0, 0, 1, 1, 1,
    ])
  })

  it('gives labels without documents places like others', () => {
    const tree = clusterLabels(dense(Array(6).fill([0, 0]), 2), { maxLeafSize: 2, branching: 2 })
    expect([...clusterSizes(tree)]).toEqual([1, 2, 1, 2])
  })

  it.each([
    ['one label hangs from the root', 1, {}, [[0]]],
    [
      'two labels are a leaf each',
      2,
      {},
      [
        [0, 0],
        [0, 1],
      ],
    ],
    [
      'fewer labels than branches make one level of leaves',
      3,
      { maxLeafSize: 2 },
      [
        [0, 0],
        [0, 1, 1],
      ],
    ],
    [
      'a leaf may hold more than one where one is asked and labels are no power of two',
      3,
      { maxLeafSize: 1 },
      [
        [0, 0],
        [0, 1, 1],
      ],
    ],
  ] as const)('%s', (_, labels, asked, expected) => {
    const Z = dense(Array.from({ length: labels }, (_row, label) => [1, label]))
    const tree = clusterLabels(Z, {
      ...asked,
      initialPair: (_node, all) => ({ left: all[0]!, right: all.at(-1)! }),
    })
    expect(arrays(tree)).toEqual(expected)
  })

  it('groups leaves by the branching until the root can hold them', () => {
    const Z = dense(Array.from({ length: 32 }, (_, label) => [1, label]))
    expect(widths(clusterLabels(Z, { branching: 3, maxLeafSize: 2 }))).toEqual([2, 6, 16, 32])
  })

  it('draws other pairs for another seed', () => {
    const pairs = (seed: number): string => {
      const Z = dense(
        Array.from({ length: 64 }, (_, label) => [
          Math.sin(label),
          Math.cos(label * label),
          Math.sin(3 * label),
        ]),
      )
      return JSON.stringify(arrays(clusterLabels(Z, { maxLeafSize: 4, seed })))
    }
    expect(new Set([0, 1, 2, 3].map(pairs)).size).toBeGreaterThan(1)
  })

  it.each([
    ['INVALID_EVENT', dense([], 2), {}],
    ['INVALID_CONFIG', dense([[1]]), { branching: 1 }],
    ['INVALID_CONFIG', dense([[1]]), { maxLeafSize: 0 }],
    ['INVALID_CONFIG', dense([[1]]), { iterations: 0.5 }],
    ['INVALID_CONFIG', dense([[1]]), { seed: Number.NaN }],
  ])('refuses by %s', (code, Z, asked) => {
    expect(() => clusterLabels(Z, asked)).toThrow(expect.objectContaining({ code }))
  })
})

it.each([
  ['no level', []],
  ['an empty level', [[0], []]],
  [
    'a parent that is not there',
    [
      [0, 0],
      [0, 2],
    ],
  ],
  ['a second root', [[0, 1]]],
])('a tree with %s is none', (_, parents) => {
  expect(() => checkTree({ parents: parents.map((level) => Int32Array.from(level)) })).toThrow(
    expect.objectContaining({ code: 'INVALID_EVENT' }),
  )
})
