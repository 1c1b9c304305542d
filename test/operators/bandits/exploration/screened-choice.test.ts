import fc from 'fast-check'
import { expect, it } from 'vitest'
import { IndexChoice } from '../../../../operators/bandits/exploration/index-choice.ts'
import { ScreenedChoice } from '../../../../operators/bandits/exploration/screened-choice.ts'

const few = fc.constantFrom(0, 0.5, 1)
const arm = fc.record({
  estimate: fc.oneof(few, fc.double({ min: -2, max: 2, noNaN: true })),
  width: fc.oneof(few, fc.double({ min: 0, max: 2, noNaN: true })),
  below: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 0.5, noNaN: true })),
  above: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 0.5, noNaN: true })),
})
const explorations = fc.array(fc.oneof(few, fc.double({ min: -1, max: 3, noNaN: true })), {
  minLength: 1,
  maxLength: 4,
})

const choices = (arms: readonly { estimate: number; width: number; below: number; above: number }[]) => {
  const exact = new IndexChoice()
  const found: number[] = []
  const screened = new ScreenedChoice((places, count, widths) => {
    for (let n = 0; n < count; n++) {
      found.push(places[n]!)
      widths[n] = arms[places[n]!]!.width
    }
  })
  exact.reserve(arms.length)
  screened.reserve(arms.length)
  arms.forEach(({ estimate, width, below, above }, a) => {
    exact.estimates[a] = estimate
    exact.widths[a] = width
    screened.estimates[a] = estimate
    screened.lows[a] = width - below
    screened.highs[a] = width + above
  })
  return { exact, screened, found }
}

it('finds the favourites and rankings that exact widths give, and no width twice', () => {
  fc.assert(
    fc.property(
      fc.array(arm, { minLength: 1, maxLength: 80 }),
      explorations,
      fc.boolean(),
      (arms, all, first) => {
        const { exact, screened, found } = choices(arms)
        const ranking = new Int32Array(arms.length)
        const expected = new Int32Array(arms.length)
        for (const exploration of all) {
          if (first) expect(screened.best(exploration)).toBe(exact.best(exploration))
          screened.rank(exploration, ranking)
          exact.rank(exploration, expected)
          expect(ranking).toEqual(expected)
          expect(screened.best(exploration)).toBe(exact.best(exploration))
        }
        expect(new Set(found).size).toBe(found.length)
      },
    ),
  )
})

it('finds no width where bounds decide', () => {
  const arms = [
    { estimate: 0, width: 1, below: 0.1, above: 0.1 },
    { estimate: 1, width: 1, below: 0.1, above: 0.1 },
    { estimate: 0.5, width: 1, below: 0.1, above: 0.1 },
  ]
  const { screened, found } = choices(arms)
  const ranking = new Int32Array(3)
  screened.rank(1, ranking)
  expect([screened.best(1), ...ranking]).toEqual([1, 1, 2, 0])
  expect(found).toEqual([])
  // Here the second and the third might change places, the first not.
  screened.rank(3, ranking)
  expect([...ranking]).toEqual([1, 2, 0])
  expect(new Set(found)).toEqual(new Set([0, 1, 2]))
})
