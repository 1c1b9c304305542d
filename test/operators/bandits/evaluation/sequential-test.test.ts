/** A test that is looked at after every step: what it may claim by chance, what it finds, and that looking changes nothing. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type SequentialReport,
  SequentialTest,
} from '../../../../operators/bandits/evaluation/sequential-test.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { codeOf } from '../../../../schemas/errors.ts'

const ALPHA = 0.05
const RUNS = 500

interface World {
  /** Probability of each arm by the champion, and by the challenger at a step. */
  readonly log: readonly number[]
  readonly target: (step: number) => readonly number[]
  /** Probability of reward 1 of each arm. */
  readonly rewards: readonly number[]
}

const drawn = (probabilities: readonly number[], u: number): number => {
  let sum = 0
  for (let a = 0; a < probabilities.length - 1; a++) {
    sum += probabilities[a]!
    if (u < sum) return a
  }
  return probabilities.length - 1
}

/** Plays a world, and gives the first step at which the test, asked after each one, claims something; 0 where it never does. */
const firstClaim = (
  { log, target, rewards }: World,
  seed: number,
  steps: number,
  claims: (test: SequentialTest) => boolean,
): number => {
  const random = new Xoshiro128()
  random.seed(seed, 0x9e3779b9, 0x243f6a88, 0xb7e15162)
  for (let i = 0; i < 20; i++) random.next()
  const test = new SequentialTest()
  for (let t = 1; t <= steps; t++) {
    const arm = drawn(log, random.uniform())
    const reward = random.uniform() < rewards[arm]! ? 1 : 0
    test.add(target(t)[arm]! / log[arm]!, reward)
    if (claims(test)) return t
  }
  return 0
}

const always = (probabilities: readonly number[]) => () => probabilities
const better = ({ logBetter }: SequentialTest) => logBetter >= Math.log(1 / ALPHA)

/** α, and three standard errors of a share of 500 runs. */
const MOST = RUNS * ALPHA + 3 * Math.sqrt(RUNS * ALPHA * (1 - ALPHA))

describe('a challenger that is no better', () => {
  it.each<[string, World]>([
    ['with light weights', { log: [0.6, 0.4], target: always([0.4, 0.6]), rewards: [0.5, 0.5] }],
    ['with weights up to 95', { log: [0.99, 0.01], target: always([0.05, 0.95]), rewards: [0.2, 0.2] }],
    ['with rare rewards', { log: [0.9, 0.1], target: always([0.1, 0.9]), rewards: [0.02, 0.02] }],
    [
      'on average, though better at every other step',
      {
        log: [0.5, 0.5],
        target: (step) => (step % 2 === 1 ? [1, 0] : [0, 1]),
        rewards: [0.1, 0.9],
      },
    ],
    [
      'because it likes an arm that the log never takes',
      {
        log: [1, 0, 0].map((p, i) => (i === 2 ? 0 : (p + 0.1) / 1.2)),
        target: always([0.2, 0.2, 0.6]),
        rewards: [0.5, 0.5, 0],
      },
    ],
  ])(
    'is called better in at most 5% of 500 runs, looked at after each of 1,000 steps: %s',
    { timeout: 60_000 },
    (_, world) => {
      let claimed = 0
      for (let seed = 1; seed <= RUNS; seed++) if (firstClaim(world, seed, 1_000, better) > 0) claimed++
      expect(claimed).toBeLessThanOrEqual(MOST)
    },
  )
})

const misses = ({ lower, upper }: SequentialReport, truth: number) => lower > truth || upper < truth

it('bounds the true difference on both sides at once, at all steps, in at least 90% of 500 runs', {
  timeout: 60_000,
}, () => {
  const world: World = { log: [0.8, 0.2], target: always([0.3, 0.7]), rewards: [0.4, 0.7] }
  const truth = 0.5 * 0.7 - 0.5 * 0.4
  let missed = 0
  for (let seed = 1; seed <= RUNS; seed++)
    if (firstClaim(world, seed, 100, (test) => misses(test.report(ALPHA), truth)) > 0) missed++
  expect(missed).toBeLessThanOrEqual(2 * MOST)
})

it('finds a challenger that earns .6 instead of .4 within 1,000 steps, in every one of 200 runs', () => {
  const world: World = { log: [0.75, 0.25], target: always([0.25, 0.75]), rewards: [0.3, 0.7] }
  const found = Array.from({ length: 200 }, (_, seed) => firstClaim(world, seed + 1, 1_000, better))
  expect(Math.min(...found)).toBeGreaterThan(0)
  const median = found.sort((a, b) => a - b)[100]!
  expect(median).toBeLessThan(400)
})

it('finds one that is worse', () => {
  const world: World = { log: [0.25, 0.75], target: always([0.75, 0.25]), rewards: [0.3, 0.7] }
  const worse = ({ logWorse }: SequentialTest) => logWorse >= Math.log(1 / ALPHA)
  for (let seed = 1; seed <= 50; seed++) {
    expect(firstClaim(world, seed, 1_000, worse)).toBeGreaterThan(0)
    expect(firstClaim(world, seed, 1_000, better)).toBe(0)
  }
})

const step = fc.record({
  weight: fc.double({ min: 0, max: 1e3, noNaN: true }),
  reward: fc.double({ min: -2, max: 3, noNaN: true }),
})

it('says the same whenever it was asked before', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(step, fc.boolean()), { maxLength: 60 }), (steps) => {
      const [watched, left] = [new SequentialTest([-2, 3]), new SequentialTest([-2, 3])]
      for (const [{ weight, reward }, looks] of steps) {
        watched.add(weight, reward)
        left.add(weight, reward)
        if (looks) watched.report(0.01)
      }
      expect(watched.report(ALPHA)).toEqual(left.report(ALPHA))
    }),
  )
})

it('the bound and the e-value say the same: the lower bound passes 0 where the e-value passes 1/α', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const test = new SequentialTest([-2, 3])
      for (const { weight, reward } of steps) test.add(weight, reward)
      const { lower, upper, difference, logBetter } = test.report(ALPHA)
      if (Math.abs(logBetter - Math.log(1 / ALPHA)) > 1e-6)
        expect(lower >= 0).toBe(logBetter > Math.log(1 / ALPHA))
      expect(lower).toBeLessThanOrEqual(difference)
      expect(lower).toBeGreaterThanOrEqual(-5)
      expect(upper).toBeLessThanOrEqual(5)
    }),
  )
})

it('counts the same in any unit of reward', () => {
  const [plain, scaled] = [new SequentialTest(), new SequentialTest([10, 14])]
  for (let i = 0; i < 400; i++) {
    const [weight, reward] = [i % 3, ((i * 7) % 10) / 10]
    plain.add(weight, reward)
    scaled.add(weight, 10 + 4 * reward)
  }
  const [a, b] = [plain.report(ALPHA), scaled.report(ALPHA)]
  expect(b.logBetter).toBeCloseTo(a.logBetter, 9)
  expect(b.lower).toBeCloseTo(4 * a.lower, 9)
  expect(b.difference).toBeCloseTo(4 * a.difference, 9)
})

it('says nothing more once a reward lay outside its range, or where there is no step', () => {
  const test = new SequentialTest()
  const nothing = {
    lower: Number.NEGATIVE_INFINITY,
    upper: Number.POSITIVE_INFINITY,
    logBetter: Number.NEGATIVE_INFINITY,
  }
  expect(test.report(ALPHA)).toMatchObject({ steps: 0, outside: 0, ...nothing })
  for (let i = 0; i < 1_000; i++) test.add(2, 1)
  expect(test.report(ALPHA).lower).toBeGreaterThan(0.5)
  test.add(1, 1.5)
  test.add(Number.POSITIVE_INFINITY, 1)
  test.add(1, Number.NaN)
  expect(test.report(ALPHA)).toMatchObject({ steps: 1_000, outside: 3, ...nothing })
})

it.each([[[1, 1]], [[1, 0]], [[0, Number.POSITIVE_INFINITY]], [[Number.NaN, 1]]])(
  'refuses the range %j',
  (range) => {
    let code = 'none'
    try {
      new SequentialTest(range as [number, number])
    } catch (error) {
      code = codeOf(error, 'INVALID_EVENT')
    }
    expect(code).toBe('INVALID_CONFIG')
  },
)
