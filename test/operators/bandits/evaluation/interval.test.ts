import { expect, test } from 'vitest'
import { CoMoments } from '../../../../operators/bandits/evaluation/co-moments.ts'
import { anytimeInterval, interval } from '../../../../operators/bandits/evaluation/interval.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'

/** Mean and standard error of coins, step by step; what share of runs had the truth outside at some step. */
const everWrong = (runs: number, steps: number, of: typeof anytimeInterval): number => {
  const random = new Xoshiro128()
  const value = new Float64Array(1)
  let wrong = 0
  for (let run = 0; run < runs; run++) {
    random.seed(run, 1, 2, 3)
    const moments = new CoMoments(1)
    for (let n = 1; n <= steps; n++) {
      value[0] = random.uniform() < 0.3 ? 1 : 0
      moments.add(value)
      if (n < 100) continue
      const [low, high] = of(
        { value: moments.mean(0), standardError: moments.standardError([0, 1]) },
        n,
        1_000,
      )
      if (low <= 0.3 && 0.3 <= high) continue
      wrong++
      break
    }
  }
  return wrong / runs
}

test('who looks after every step is misled often by the normal interval, and within 5% by the any-time one', () => {
  expect(everWrong(300, 2_000, interval)).toBeGreaterThan(0.2)
  expect(everWrong(300, 2_000, anytimeInterval)).toBeLessThanOrEqual(0.05)
})

test('the any-time interval lies around the normal one, about half as wide again where it is tightest', () => {
  const estimate = { value: 2, standardError: 0.1 }
  const width = ([low, high]: readonly [number, number]) => high - low
  const ratio = (steps: number) => width(anytimeInterval(estimate, steps, 1_000)) / width(interval(estimate))
  expect(ratio(1_000)).toBeCloseTo(1.549, 3)
  for (const steps of [1, 10, 100, 10_000, 1_000_000]) expect(ratio(steps)).toBeGreaterThan(1.54)
  const [low, high] = anytimeInterval(estimate, 50)
  expect((low + high) / 2).toBeCloseTo(2, 12)
  expect(interval({ value: 1, standardError: Number.NaN })).toEqual([Number.NaN, Number.NaN])
})

test('a component that is not finite spoils what is asked of it alone', () => {
  const moments = new CoMoments(2)
  for (const x of [1, 2, 4]) moments.add(Float64Array.of(x, Number.NaN))
  expect(moments.mean(0)).toBeCloseTo(7 / 3, 15)
  expect(moments.standardError([0, 1])).toBeCloseTo(Math.sqrt(7 / 3 / 3), 15)
  expect(moments.mean(1)).toBeNaN()
  expect(moments.standardError([0, 1], [1, 1])).toBeNaN()
})
