import { describe, expect, it } from 'vitest'
import { ExactGeneralizedLinear } from '../../../../operators/bandits/models/generalized-linear-exact.ts'
import { LINKS } from '../../../../operators/bandits/models/generalized-linear-link.ts'
import { StreamingGeneralizedLinear } from '../../../../operators/bandits/models/generalized-linear-streaming.ts'
import type { LearningInput } from '../../../../operators/bandits/policy.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { refusal } from '../laws.ts'

const DIMENSION = 3
type Options = ConstructorParameters<typeof ExactGeneralizedLinear>[0] &
  ConstructorParameters<typeof StreamingGeneralizedLinear>[0]
const defaults: Options = {
  kind: 'test',
  variant: 'disjoint',
  dimension: DIMENSION,
  link: LINKS.logistic,
  ...{ lambda: 0.5, ridge: 2, maxArms: 10, maxRows: 1_000, refreshEvery: 1_000 },
  prior: 'zero',
}
const streaming = (changes: Partial<Options> = {}) =>
  new StreamingGeneralizedLinear({ ...defaults, ...changes })
const exact = (changes: Partial<Options> = {}) => new ExactGeneralizedLinear({ ...defaults, ...changes })

/** Outcomes of the arms in turn. */
const outcomes = (count: number, arms: readonly string[], seed = 1): LearningInput[] => {
  const random = new Xoshiro128()
  random.seed(seed, 2, 3, 4)
  return Array.from({ length: count }, (_, t) => {
    const vector = Float64Array.from({ length: DIMENSION }, () => 2 * random.uniform() - 1)
    const mean = 1 / (1 + Math.exp(-2 * vector[0]!))
    return { arm: arms[t % arms.length]!, vector, reward: random.uniform() < mean ? 1 : 0, propensity: 1 }
  })
}

const predicted = (
  model: ReturnType<typeof exact> | ReturnType<typeof streaming>,
  arm: string,
  x: Float64Array,
) => {
  const estimate = new Float64Array(1)
  const variance = new Float64Array(1)
  model.predict({ arms: [arm], vectors: x }, estimate, variance)
  return [estimate[0]!, variance[0]!] as const
}
const probe = Float64Array.of(1, -2, 0.5)

describe.each(['logistic', 'poisson'] as const)('a generalised linear model of link %s', (name) => {
  const link = LINKS[name]

  it('is after one outcome, streaming, where the exact fit is: that step leaves nothing out', () => {
    for (const outcome of outcomes(20, ['a'])) {
      const [one, all] = [streaming({ link }), exact({ link })]
      one.learn(outcome)
      all.learn(outcome)
      const theta = all.theta('a')
      one.theta('a').forEach((weight, i) => {
        expect(weight).toBeCloseTo(theta[i]!, 10)
      })
    }
  })

  it('has, streaming, the variance of Laplace’s approximation: H = ridge·I + μ’(z)·xxᵀ', () => {
    const model = streaming({ link })
    const [outcome] = outcomes(1, ['a'])
    model.learn(outcome!)
    const x = outcome!.vector
    const theta = model.theta('a')
    const slope = link.slope(x.reduce((sum, value, i) => sum + value * theta[i]!, 0))
    const square = (u: Float64Array, v: Float64Array) => u.reduce((sum, value, i) => sum + value * v[i]!, 0)
    const gain = (slope * square(x, probe) ** 2) / 4 / (1 + (slope * square(x, x)) / 2)
    expect(predicted(model, 'a', probe)[1]).toBeCloseTo(square(probe, probe) / 2 - gain, 12)
  })

  it('does not depend, streaming, on when its inverse is made anew, but for rounding', () => {
    const [often, seldom] = [streaming({ link, refreshEvery: 1 }), streaming({ link })]
    for (const outcome of outcomes(900, ['a', 'b'])) {
      often.learn(outcome)
      seldom.learn(outcome)
    }
    const [wanted, found] = [predicted(often, 'b', probe), predicted(seldom, 'b', probe)]
    expect(found[0]).toBeCloseTo(wanted[0], 11)
    expect(found[1]).toBeCloseTo(wanted[1], 11)
  })

  it('has, exact, a width from V = λI + Σxxᵀ of the arm’s own rows, and prior variance where it has none', () => {
    const model = exact({ link, dimension: 2 })
    const learn = (...vector: number[]) =>
      model.learn({ arm: 'a', vector: Float64Array.from(vector), reward: 1, propensity: 1 })
    learn(1, 2)
    learn(0, 1)
    // V = [[1.5, 2], [2, 5.5]]: V⁻¹ = [[5.5, −2], [−2, 1.5]]/4.25.
    expect(predicted(model, 'a', Float64Array.of(1, -1))[1]).toBeCloseTo((5.5 + 4 + 1.5) / 4.25, 12)
    expect(predicted(model, 'new', Float64Array.of(1, -1))).toEqual([0, 4])
  })
})

describe('the exact fit', () => {
  it('is the same whenever it is asked for', () => {
    const [asked, silent] = [exact(), exact()]
    for (const outcome of outcomes(60, ['a', 'b'])) {
      asked.learn(outcome)
      predicted(asked, 'a', probe)
      asked.theta('b')
      silent.learn(outcome)
    }
    expect(predicted(asked, 'a', probe)).toEqual(predicted(silent, 'a', probe))
    expect(asked.theta('b')).toEqual(silent.theta('b'))
    expect(asked.snapshot()).toEqual(silent.snapshot())
  })

  it('rests on the newest maxRows outcomes: the oldest go, whichever arm’s they are', () => {
    const stream = outcomes(300, ['a', 'b', 'c', 'a', 'a'])
    const bounded = exact({ maxRows: 40 })
    for (const outcome of stream) bounded.learn(outcome)
    const last = exact()
    for (const outcome of stream.slice(-40)) last.learn(outcome)
    for (const arm of ['a', 'b', 'c']) expect(bounded.theta(arm)).toEqual(last.theta(arm))
    expect(bounded.rows).toBe(40)
    expect(bounded.learned).toBe(300)
    expect(bounded.evicted).toBe(0)
  })

  it('no longer knows an arm whose last row went', () => {
    const model = exact({ maxRows: 5 })
    for (const outcome of [...outcomes(2, ['old']), ...outcomes(5, ['new'])]) model.learn(outcome)
    expect([...model.theta('old')]).toEqual([0, 0, 0])
    expect(predicted(model, 'old', probe)[0]).toBe(0)
  })

  it('evicts the arm learned least recently, with its rows, and counts it', () => {
    const model = exact({ maxArms: 2 })
    const stream = outcomes(5, ['a', 'b', 'a', 'c', 'c'])
    for (const outcome of stream) model.learn(outcome)
    expect(model.evicted).toBe(1)
    expect(model.rows).toBe(4)
    expect([...model.theta('b')]).toEqual([0, 0, 0])
    const alone = exact()
    for (const outcome of stream.filter(({ arm }) => arm === 'a')) alone.learn(outcome)
    expect(model.theta('a')).toEqual(alone.theta('a'))
  })

  it('evicts and forgets alike from a snapshot on, and under smaller limits from the next outcome on', () => {
    const stream = outcomes(200, ['a', 'b', 'c', 'd', 'a'])
    const small = { maxArms: 3, maxRows: 20 }
    const whole = exact(small)
    for (const outcome of stream.slice(0, 100)) whole.learn(outcome)
    const resumed = exact(small)
    resumed.restore(whole.snapshot())
    for (const outcome of stream.slice(100)) {
      whole.learn(outcome)
      resumed.learn(outcome)
    }
    expect(resumed.snapshot()).toEqual(whole.snapshot())
    expect(resumed.evicted).toBe(whole.evicted)
    expect(whole.evicted).toBeGreaterThan(10)

    const large = exact()
    for (const outcome of stream) large.learn(outcome)
    const cut = exact(small)
    cut.restore(large.snapshot())
    cut.learn(stream[0]!)
    expect(cut.rows).toBeLessThanOrEqual(20)
    expect(cut.evicted).toBe(1)
  })

  it('keeps its state under another λ and ridge, since that is its rows alone', () => {
    const stream = outcomes(50, ['a'])
    const [before, after] = [exact(), exact({ lambda: 3, ridge: 0.1 })]
    const resumed = exact({ lambda: 3, ridge: 0.1 })
    for (const outcome of stream) {
      before.learn(outcome)
      after.learn(outcome)
    }
    resumed.restore(before.snapshot())
    expect(resumed.theta('a')).toEqual(after.theta('a'))
    expect(predicted(resumed, 'a', probe)).toEqual(predicted(after, 'a', probe))
  })
})

describe('the streaming fit', () => {
  it('evicts the arm learned least recently, and counts it', () => {
    const model = streaming({ maxArms: 2 })
    for (const outcome of outcomes(4, ['a', 'b', 'a', 'c'])) model.learn(outcome)
    expect(model.evicted).toBe(1)
    expect([...model.theta('b')]).toEqual([0, 0, 0])
    expect(model.theta('a').some((weight) => weight !== 0)).toBe(true)
  })

  it('lets a new arm start, with a pooled prior, from what all arms have in common', () => {
    const [plain, pooled] = [streaming(), streaming({ prior: 'pooled' })]
    for (const outcome of outcomes(2_000, ['a', 'b', 'c'])) {
      plain.learn(outcome)
      pooled.learn(outcome)
    }
    const x = Float64Array.of(1, 0, 0)
    expect(predicted(plain, 'new', x)).toEqual([0, 0.5])
    // The arms share θ = (2, 0, 0).
    const [estimate, variance] = predicted(pooled, 'new', x)
    expect(estimate).toBeGreaterThan(1.5)
    expect(estimate).toBeLessThan(2.5)
    expect(variance).toBe(0.5)
  })

  it('learns from one outcome far out as much as float64 holds, or refuses it whole', () => {
    for (const link of [LINKS.logistic, LINKS.poisson]) {
      for (const scale of [1e-200, 1e3, 1e10, 1e100, 1e150]) {
        for (const reward of [0, 1]) {
          const model = streaming({ link })
          for (const outcome of outcomes(30, ['a'])) model.learn(outcome)
          const before = model.snapshot()
          const vector = Float64Array.of(scale, -scale, scale)
          const code = refusal(() => model.learn({ arm: 'a', vector, reward, propensity: 1 }))
          if (code !== undefined) expect(model.snapshot()).toEqual(before)
          expect([undefined, 'NON_FINITE_NUMBER']).toContain(code)
          for (const number of [...model.theta('a'), ...predicted(model, 'a', probe)])
            expect(Number.isFinite(number)).toBe(true)
        }
      }
    }
  })
})
