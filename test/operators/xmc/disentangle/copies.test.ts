import { expect, it } from 'vitest'
import { assignedTree, clusterSizes, withCopies } from '../../../../operators/xmc/index.ts'
import { dense, toDense } from '../sparse-rows.ts'

it('a copy is a column behind the labels, equal to its label', () => {
  const Y = dense([
    [1, 0, 1],
    [0, 1, 0],
    [0, 0, 0],
  ])
  expect(toDense(withCopies(Y, Int32Array.of(2, 0, 2)))).toEqual([
    [1, 0, 1, 1, 1, 1],
    [0, 1, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0],
  ])
  expect(toDense(withCopies(Y, new Int32Array(0)))).toEqual(toDense(Y))
})

it('a copy of no label is refused', () => {
  expect(() => withCopies(dense([[1]]), Int32Array.of(1))).toThrow(
    expect.objectContaining({ code: 'WRONG_DIMENSION' }),
  )
})

it('the levels above the columns stay', () => {
  const tree = { parents: [Int32Array.of(0, 0), Int32Array.of(0, 1)] }
  const assignment = {
    clusters: Int32Array.of(1, 1),
    copies: Int32Array.of(0),
    copyClusters: Int32Array.of(0),
    kept: 0,
  }
  const found = assignedTree(tree, assignment)
  expect(found.parents).toEqual([Int32Array.of(0, 0), Int32Array.of(1, 1, 0)])
  expect(clusterSizes(found)).toEqual(Int32Array.of(1, 2))
})
