import { describe, expect, it } from 'vitest'
import { LinearModel, type LinearModelOptions } from '../../../../operators/bandits/models/linear-model.ts'
import { type Forgetting, requireLinearOptions } from '../../../../operators/bandits/models/linear-options.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { refusal } from '../laws.ts'
import { NaiveLinearModel } from './naive-linear-model.ts'

const ARMS = ['ant', 'bee', 'cat', 'dog', 'eel', 'fox']
const seeded = (seed: number): Xoshiro128 => {
  const random = new Xoshiro128()
  random.seed(seed, 3, 5, 7)
  return random
}
const plain = (options: Partial<LinearModelOptions> = {}): LinearModelOptions => ({
  kind: 'linear',
  variant: 'disjoint',
  dimension: 2,
  lambda: 0.7,
  maxArms: 100,
  refreshEvery: 50,
  ...options,
})
const learn = (model: LinearModel, arm: string, vector = Float64Array.of(1, 2), reward = 1): void =>
  model.learn({ arm, vector, reward, propensity: 1 })
const predicted = (model: LinearModel, arm: string, vectors: Float64Array): [number, number] => {
  const numbers: [Float64Array, Float64Array] = [new Float64Array(1), new Float64Array(1)]
  model.predict({ arms: [arm], vectors }, ...numbers)
  return [numbers[0][0]!, numbers[1][0]!]
}

const FORGETTING: readonly Forgetting[] = ['never', { discount: 0.97 }, { window: 40 }, { window: 1 }]
const variants = (['disjoint', 'shared'] as const).flatMap((variant) =>
  (['zero', 'pooled'] as const)
    .filter((prior) => variant === 'disjoint' || prior === 'zero')
    .flatMap((prior) =>
      FORGETTING.flatMap((forgetting) =>
        [3, 100].map((maxArms) => ({ variant, prior, forgetting, maxArms })),
      ),
    ),
)

describe('a linear model', () => {
  it.each(variants)(
    'agrees to 1e-9 with inverting from scratch after every outcome: $variant, $prior, $forgetting, $maxArms arms',
    (options) => {
      const full = plain({ ...options, dimension: 3, refreshEvery: 30 })
      const model = new LinearModel(full)
      const naive = new NaiveLinearModel(full)
      const random = seeded(11)
      const vector = () =>
        Float64Array.from({ length: 3 }, (_, i) => (2 * random.uniform() - 1) * 10 ** (i - 1))
      for (let t = 0; t < 400; t++) {
        // Some arms are frequent, some rare.
        const arm = ARMS[Math.floor(ARMS.length * random.uniform() ** 2)]!
        const x = vector()
        const reward = 2 * random.uniform() - 0.5
        learn(model, arm, x, reward)
        naive.learn(arm, x, reward)
        const probe = vector()
        for (const each of [...ARMS, 'never seen']) {
          const [estimate, variance] = predicted(model, each, probe)
          const [expectedEstimate, expectedVariance] = naive.predict(each, probe)
          expect(Math.abs(estimate - expectedEstimate)).toBeLessThan(1e-9 * (1 + Math.abs(expectedEstimate)))
          expect(Math.abs(variance - expectedVariance)).toBeLessThan(1e-9 * expectedVariance)
        }
      }
      expect(model.evicted).toBe(naive.evictedArms.length)
      expect(model.evicted > 0).toBe(options.variant === 'disjoint' && options.maxArms === 3)
    },
  )

  it('keeps a window exact where single outcomes bear all that is known in a direction', () => {
    const options = plain({ variant: 'shared', dimension: 2, lambda: 1e-4, forgetting: { window: 5 } })
    const model = new LinearModel(options)
    const naive = new NaiveLinearModel(options)
    for (let t = 0; t < 60; t++) {
      const x = Float64Array.of(t % 7 === 0 ? 1e3 : 0, t % 3 === 0 ? 0.5 : 1e-3)
      learn(model, '', x, t % 5)
      naive.learn('', x, t % 5)
      const probe = Float64Array.of(1, -1)
      const [, variance] = predicted(model, '', probe)
      expect(variance / naive.predict('', probe)[1]).toBeCloseTo(1, 9)
    }
  })

  it('keeps the drift of a long window below 1e-9 of its sums added up anew', () => {
    const options = plain({ variant: 'shared', dimension: 6, lambda: 0.01, forgetting: { window: 300 } })
    const model = new LinearModel(options)
    const random = seeded(4)
    const recent: { x: Float64Array<ArrayBuffer>; reward: number }[] = []
    for (let t = 0; t < 20_000; t++) {
      const x = Float64Array.from({ length: 6 }, (_, i) => (2 * random.uniform() - 1) * 10 ** (i % 3))
      recent.push({ x, reward: random.uniform() })
      learn(model, '', x, recent.at(-1)!.reward)
    }
    const exact = new LinearModel(plain({ variant: 'shared', dimension: 6, lambda: 0.01 }))
    for (const { x, reward } of recent.slice(-300)) learn(exact, '', x, reward)
    const probe = Float64Array.of(1, -1, 0.5, 0.2, -0.3, 1)
    const mine = predicted(model, '', probe)
    predicted(exact, '', probe).forEach((number, i) => {
      expect(Math.abs(mine[i]! / number - 1)).toBeLessThan(1e-9)
    })
  })
})

describe('arms that come and go', () => {
  it('evicts the arm learned least recently, and counts it', () => {
    const model = new LinearModel(plain({ maxArms: 3 }))
    for (const arm of ['a', 'b', 'c', 'a', 'b']) learn(model, arm)
    expect(model.evicted).toBe(0)
    learn(model, 'd')
    expect([...model.theta('c')]).toEqual([0, 0])
    expect([...model.theta('d')]).not.toEqual([0, 0])
    learn(model, 'c') // takes the place of a, and begins anew
    expect([...model.theta('a')]).toEqual([0, 0])
    expect(model.theta('c')).toEqual(model.theta('d'))
    expect(model.evicted).toBe(2)
    expect(model.learned).toBe(7)
  })

  it('lets nobody go for an outcome that it refuses', () => {
    const model = new LinearModel(plain({ maxArms: 2 }))
    for (const arm of ['a', 'b']) learn(model, arm)
    const before = model.snapshot()
    expect(refusal(() => learn(model, 'c', Float64Array.of(Number.NaN, 1)))).toBe('NON_FINITE_NUMBER')
    expect(model.snapshot()).toEqual(before)
    expect(model.evicted).toBe(0)
  })

  it.each(FORGETTING)(
    'has the order of learning, the count and the window in its snapshot: %j',
    (forgetting) => {
      const options = plain({ maxArms: 4, forgetting, prior: 'pooled' })
      const random = seeded(8)
      const outcomes = Array.from({ length: 300 }, () => ({
        arm: ARMS[Math.floor(ARMS.length * random.uniform())]!,
        vector: Float64Array.of(random.uniform(), random.uniform()),
        reward: random.uniform(),
        propensity: 1,
      }))
      const whole = new LinearModel(options)
      let broken = new LinearModel(options)
      for (const [t, outcome] of outcomes.entries()) {
        whole.learn(outcome)
        broken.learn(outcome)
        if (t % 13 !== 0) continue
        const again = new LinearModel(options)
        again.restore(broken.snapshot())
        expect(again.evicted).toBe(whole.evicted)
        broken = again
      }
      expect(broken.snapshot()).toEqual(whole.snapshot())
      expect(whole.evicted).toBeGreaterThan(20)
    },
  )

  it('needs no order in its snapshot while at most half of the places are taken', () => {
    const small = new LinearModel(plain({ maxArms: 4 }))
    const large = new LinearModel(plain({ maxArms: 5 }))
    const huge = new LinearModel(plain({ maxArms: 10_000 }))
    for (const model of [small, large, huge]) for (const arm of ['a', 'b', 'a']) learn(model, arm)
    expect(small.snapshot()).toEqual(huge.snapshot())
    for (const model of [small, large, huge]) learn(model, 'c')
    expect(large.snapshot().length - huge.snapshot().length).toBe(8 * (1 + 3))
  })

  it('goes on from a snapshot without order by the order of names', () => {
    const before = new LinearModel(plain({ maxArms: 1_000 }))
    for (const arm of ['a', 'b', 'c', 'a']) learn(before, arm)
    const full = new LinearModel(plain({ maxArms: 3 }))
    full.restore(before.snapshot())
    learn(full, 'd')
    expect([...full.theta('a')]).toEqual([0, 0])
    expect([...full.theta('b')]).not.toEqual([0, 0])
    expect(full.evicted).toBe(1)
  })

  it('merges exactly or not at all', () => {
    const taught = (...arms: string[]): LinearModel => {
      const model = new LinearModel(plain({ maxArms: 3 }))
      for (const arm of arms) learn(model, arm)
      return model
    }
    const model = taught('a', 'b')
    model.merge(taught('b', 'c'))
    expect(model.snapshot().length).toBe(taught('a', 'b', 'c').snapshot().length)
    expect(refusal(() => model.merge(taught('d')))).toBe('UNKNOWN_ARM')
    expect(refusal(() => model.merge(taught('a', 'b', 'c', 'd')))).toBe('UNKNOWN_ARM')
    learn(model, 'd')
    // The order of learning came along: a was oldest.
    expect([...model.theta('a')]).toEqual([0, 0])
  })
})

describe('the options of a linear model', () => {
  it('refuses what makes no sense, by name', () => {
    const wrong: readonly [string, object][] = [
      ['prior', { prior: 'other' }],
      ['prior', { prior: 'pooled', variant: 'shared' }],
      ['forgetting', { forgetting: 'sometimes' }],
      ['forgetting', { forgetting: null }],
      ['forgetting', { forgetting: { discount: 0.9, window: 3 } }],
      ['forgetting.discount', { forgetting: { discount: 1 } }],
      ['forgetting.discount', { forgetting: { discount: Number.NaN } }],
      ['forgetting.window', { forgetting: { window: 0 } }],
      ['forgetting.window', { forgetting: { window: 1.5 } }],
      ['variant', { variant: 'both' }],
    ]
    for (const [name, options] of wrong) {
      expect(() => requireLinearOptions('linTs', { variant: 'disjoint', dimension: 2, ...options })).toThrow(
        `linTs.${name}: `,
      )
    }
  })

  it('are part of what a snapshot is', () => {
    const one = plain({ forgetting: { window: 10 } })
    const bytes = new LinearModel(one).snapshot()
    const others = [{ forgetting: { window: 11 } }, { forgetting: 'never' }, { prior: 'pooled' }] as const
    for (const other of others)
      expect(refusal(() => new LinearModel({ ...one, ...other }).restore(bytes))).toBe('SNAPSHOT_MISMATCH')
  })
})
