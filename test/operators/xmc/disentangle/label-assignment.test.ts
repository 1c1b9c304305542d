import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assignLabels, type LabelAssignment, matchCounts } from '../../../../operators/xmc/index.ts'
import { dense, ones, toDense } from '../sparse-rows.ts'

const LABELS = 6
const CLUSTERS = 4
const DOCUMENTS = 12

const documents = ones(DOCUMENTS, LABELS)
const matches = ones(DOCUMENTS, CLUSTERS)
const partition = fc
  .array(fc.integer({ min: 0, max: CLUSTERS - 1 }), { minLength: LABELS, maxLength: LABELS })
  .map((clusters) => Int32Array.from(clusters))

/** Clusters of each label. */
const clustersOf = ({ clusters, copies, copyClusters }: LabelAssignment): number[][] =>
  Array.from(clusters, (cluster, label) => [
    cluster,
    ...Array.from(copyClusters).filter((_, q) => copies[q] === label),
  ])

const sizesOf = (found: LabelAssignment): number[] => {
  const sizes = new Array<number>(CLUSTERS).fill(0)
  for (const cluster of clustersOf(found).flat()) sizes[cluster]!++
  return sizes
}

describe('matchCounts', () => {
  it('is in how many documents of a label the matcher visits a cluster', () => {
    const Y = dense([
      [1, 0],
      [1, 1],
      [0, 0],
    ])
    const M = dense([
      [0.5, 0.25],
      [0, 3],
      [1, 1],
    ])
    expect(toDense(matchCounts(Y, M))).toEqual([
      [1, 2],
      [0, 1],
    ])
  })
})

describe('assignLabels', () => {
  it('takes pairs by count, then label, then cluster: the first of a label is its own column, the others copies', () => {
    const R = dense([
      [2, 5, 5],
      [5, 0, 1],
    ])
    const found = assignLabels(R, Int32Array.of(0, 0), { clusters: 2 })
    expect(found.clusters).toEqual(Int32Array.of(1, 0))
    expect(found.copies).toEqual(Int32Array.of(0, 1))
    expect(found.copyClusters).toEqual(Int32Array.of(2, 2))
    expect(found.kept).toBe(0)
  })

  it('leaves a label that is counted nowhere where it was', () => {
    const found = assignLabels(
      dense([
        [0, 0, 0],
        [1, 0, 0],
      ]),
      Int32Array.of(2, 2),
      { clusters: 2 },
    )
    expect(found).toEqual({
      clusters: Int32Array.of(2, 0),
      copies: new Int32Array(0),
      copyClusters: new Int32Array(0),
      kept: 1,
    })
  })

  it('fills no cluster beyond its size, but with labels that keep theirs', () => {
    const R = dense([
      [9, 1],
      [8, 2],
      [7, 0],
    ])
    const found = assignLabels(R, Int32Array.of(0, 0, 0), { clusters: 2, maxClusterSize: 1 })
    expect(clustersOf(found)).toEqual([[0], [1], [0]])
    expect(found.kept).toBe(1)
  })

  it('sums the most counts that λ clusters a label can', () => {
    fc.assert(
      fc.property(documents, matches, partition, fc.integer({ min: 1, max: 5 }), (Y, M, before, clusters) => {
        const R = matchCounts(Y, M)
        const counts = toDense(R)
        clustersOf(assignLabels(R, before, { clusters })).forEach((chosen, label) => {
          const row = counts[label]!
          expect(new Set(chosen).size).toBe(chosen.length)
          expect(chosen.length).toBeLessThanOrEqual(clusters)
          const most = [...row].sort((a, b) => b - a).slice(0, clusters)
          const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
          expect(sum(chosen.map((cluster) => row[cluster]!))).toBe(sum(most))
        })
      }),
    )
  })

  it('catches for the same matcher at least as many pairs of a document and its label as the partition does, more where a second cluster of a label counts', () => {
    fc.assert(
      fc.property(documents, matches, partition, fc.integer({ min: 2, max: 4 }), (Y, M, before, clusters) => {
        const R = matchCounts(Y, M)
        const visits = toDense(M)
        /** Pairs whose label lies in a cluster that is visited. */
        const caught = (clustersOfLabel: readonly (readonly number[])[]) =>
          toDense(Y).reduce(
            (total, row, i) =>
              total +
              row.filter(
                (has, label) => has === 1 && clustersOfLabel[label]!.some((c) => visits[i]![c] === 1),
              ).length,
            0,
          )
        const counted = (clustersOfLabel: readonly (readonly number[])[]) =>
          clustersOfLabel.reduce(
            (total, chosen, label) => total + chosen.reduce((sum, c) => sum + toDense(R)[label]![c]!, 0),
            0,
          )
        const partitioned = Array.from(before, (cluster) => [cluster])
        const overlapping = clustersOf(assignLabels(R, before, { clusters }))
        const counts = counted(overlapping)
        expect(counts).toBeGreaterThanOrEqual(counted(partitioned))
        if (toDense(R).some((row) => row.filter((count) => count > 0).length > 1))
          expect(counts).toBeGreaterThan(counted(partitioned))
        expect(caught(overlapping)).toBeGreaterThanOrEqual(caught(partitioned))
      }),
    )
  })

  it('holds the bound on clusters for every label that did not keep its own', () => {
    fc.assert(
      fc.property(
        documents,
        matches,
        partition,
        fc.integer({ min: 1, max: 4 }),
        (Y, M, before, maxClusterSize) => {
          const found = assignLabels(matchCounts(Y, M), before, { clusters: 2, maxClusterSize })
          expect(Math.max(...sizesOf(found))).toBeLessThanOrEqual(maxClusterSize + found.kept)
          const unbounded = assignLabels(matchCounts(Y, M), before, {
            clusters: 2,
            maxClusterSize: 2 * LABELS,
          })
          expect(unbounded).toEqual(assignLabels(matchCounts(Y, M), before, { clusters: 2 }))
        },
      ),
    )
  })

  it.each([
    ['WRONG_DIMENSION', 2, { clusters: 2 }],
    ['INVALID_CONFIG', 1, { clusters: 0 }],
    ['INVALID_CONFIG', 1, { clusters: 1, maxClusterSize: 0 }],
  ])('refuses by %s', (code, length, options) => {
    expect(() => assignLabels(dense([[1]]), new Int32Array(length), options)).toThrow(
      expect.objectContaining({ code }),
    )
  })
})
