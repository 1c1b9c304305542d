import { expect, it } from 'vitest'
import { pifaEmbedding } from '../../../../operators/xmc/index.ts'
import { dense, toDense } from '../sparse-rows.ts'

it('a label is the direction of its documents, those with few labels counting more', () => {
  const X = dense([
    [1, 0, 0],
    [0, 1, 0],
  ])
  const Y = dense([
    [1, 0, 0],
    [1, 1, 0],
  ])
  // Label 0: 1 of document 0, 1/√2 of document 1.
  const [first, second, third] = toDense(pifaEmbedding(X, Y))
  expect(first![0]).toBeCloseTo(1 / Math.sqrt(1.5), 7)
  expect(first![1]).toBeCloseTo(Math.SQRT1_2 / Math.sqrt(1.5), 7)
  expect(second).toEqual([0, 1, 0])
  expect(third).toEqual([0, 0, 0])
})

it('documents and labels must be of the same rows', () => {
  expect(() => pifaEmbedding(dense([[1]]), dense([[1], [1]]))).toThrow(
    expect.objectContaining({ code: 'WRONG_DIMENSION' }),
  )
})
