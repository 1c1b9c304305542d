import fc from 'fast-check'
import { expect, it } from 'vitest'
import { DiscountedRegressions } from '../../../../operators/bandits/models/discounted-ridge.ts'
import { RidgeRegressions } from '../../../../operators/bandits/models/ridge.ts'
import { WindowedRegressions } from '../../../../operators/bandits/models/windowed-ridge.ts'

const D = 5
const MAKE = {
  plain: (lambda: number) => new RidgeRegressions({ dimension: D, lambda, refreshEvery: 4 }),
  pooled: (lambda: number) => new RidgeRegressions({ dimension: D, lambda, refreshEvery: 4, pooled: true }),
  discounted: (lambda: number) => new DiscountedRegressions({ dimension: D, lambda, refreshEvery: 4 }, 0.8),
  windowed: (lambda: number) => new WindowedRegressions({ dimension: D, lambda, refreshEvery: 4 }, 6),
}

const vector = fc
  .array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: D, maxLength: D })
  .map((values) => Float64Array.from(values))
const scale = fc.constantFrom(1e-20, 1e-6, 1, 1, 1, 1e3, 1e9)

/** Asks for all regressions, and holds the bounds against what `predict` says. */
const hold = (regressions: RidgeRegressions, x: Float64Array, demanding: boolean): void => {
  const count = regressions.count
  const rows = Int32Array.from({ length: count }, (_, n) => count - 1 - n)
  const fresh = () => new Float64Array(count)
  const [estimates, lows, highs, refined, exact, variances] = [
    ...[fresh(), fresh(), fresh(), fresh(), fresh(), fresh()],
  ] as const
  expect(regressions.screen(rows, count, x, estimates!, lows!, highs!)).toBe(true)
  regressions.refine(rows, count, refined!)
  regressions.predict(rows, rows, count, x, true, exact!, variances!)
  expect(estimates).toEqual(exact)
  expect(refined).toEqual(variances)
  for (let n = 0; n < count; n++) {
    if (demanding) expect(Number.isFinite(highs![n]! - lows![n]!)).toBe(true)
    if (Number.isNaN(lows![n]!)) continue
    expect(lows![n]!).toBeLessThanOrEqual(variances![n]!)
    expect(highs![n]!).toBeGreaterThanOrEqual(variances![n]!)
  }
}

it.each(Object.entries(MAKE))(
  'tells bounds of %s variances, whatever was learned since the last look',
  (_, make) => {
    const step = fc.record({ at: fc.nat(6), x: vector, size: scale, looked: vector, of: scale })
    fc.assert(
      fc.property(fc.constantFrom(1e-9, 0.01, 1, 1e6), fc.array(step, { maxLength: 25 }), (lambda, steps) => {
        const regressions = make(lambda)
        if (regressions.pooled) regressions.open()
        const first = regressions.count
        for (const { at, x, size, looked, of } of steps) {
          const row = first + at < regressions.count ? first + at : -1
          regressions.update(
            row,
            x.map((value) => size * value),
            x[0]!,
          )
          hold(
            regressions,
            looked.map((value) => of * value),
            false,
          )
        }
      }),
      { numRuns: 60 },
    )
  },
)

it('bounds are narrow: within a hundred thousandth where much is known', () => {
  const regressions = MAKE.plain(1)
  let seed = 1
  const next = () => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed / 2_147_483_647 - 0.5
  }
  const x = () => Float64Array.from({ length: D }, next)
  for (let n = 0; n < 300; n++) regressions.update(n < 3 ? -1 : n % 3, x(), 1)
  const [estimates, lows, highs] = [new Float64Array(3), new Float64Array(3), new Float64Array(3)]
  const looked = x()
  hold(regressions, looked, true)
  regressions.screen(Int32Array.of(0, 1, 2), 3, looked, estimates, lows, highs)
  highs.forEach((high, n) => {
    expect((high - lows[n]!) / high).toBeLessThan(2e-5)
  })
})

it('says nothing of vectors beyond the range of float32, or that are not finite', () => {
  const regressions = MAKE.plain(1)
  regressions.update(-1, Float64Array.of(1, 2, 3, 4, 5), 1)
  for (const wild of [1e200, 1e-200, 1e16, Number.NaN, Number.POSITIVE_INFINITY, 0]) {
    const lows = new Float64Array(1)
    const x = new Float64Array(D).fill(wild)
    regressions.screen(Int32Array.of(0), 1, x, new Float64Array(1), lows, new Float64Array(1))
    expect(lows[0]).toBeNaN()
  }
})
