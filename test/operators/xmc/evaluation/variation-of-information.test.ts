import fc from 'fast-check'
import { expect, it } from 'vitest'
import { variationOfInformation } from '../../../../operators/xmc/index.ts'

const split = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })), {
  minLength: 1,
})

it('is 0 for the same split, whatever its parts are called', () => {
  expect(variationOfInformation([0, 0, 1, 1], [0, 0, 1, 1])).toBeCloseTo(0, 5)
  expect(variationOfInformation([0, 0, 1, 1], [1, 1, 0, 0])).toBeCloseTo(0, 5)
})

it('is 2 ln 2 for even halves that know nothing of each other', () => {
  expect(variationOfInformation([0, 0, 1, 1], [0, 1, 0, 1])).toBeCloseTo(2 * Math.LN2, 5)
})

it('is the entropy of a split against no split', () => {
  expect(variationOfInformation([0, 0, 0, 1], [0, 0, 0, 0])).toBeCloseTo(
    -(0.75 * Math.log(0.75) + 0.25 * Math.log(0.25)),
    5,
  )
})

it('is the same both ways, and not negative beyond the shares that are added', () => {
  fc.assert(
    fc.property(split, (things) => {
      const first = things.map(([a]) => a)
      const second = things.map(([, b]) => b)
      const found = variationOfInformation(first, second)
      expect(found).toBeCloseTo(variationOfInformation(second, first), 9)
      expect(found).toBeGreaterThan(-1e-6)
    }),
  )
})

it('refuses splits of different things, and of none', () => {
  expect(() => variationOfInformation([0], [0, 1])).toThrow(
    expect.objectContaining({ code: 'WRONG_DIMENSION' }),
  )
  expect(() => variationOfInformation([], [])).toThrow(expect.objectContaining({ code: 'INVALID_EVENT' }))
})
