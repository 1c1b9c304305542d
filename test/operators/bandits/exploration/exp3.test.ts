import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  BetaBernoulli,
  Exp3,
  type Exp3Options,
  Exp4,
  exp3Gamma,
} from '../../../../operators/bandits/index.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'

const uniformOf = (seed: number) => {
  const random = new Xoshiro128()
  random.seed(seed, 1, 2, 3)
  return random.uniform
}
const rewards = fc.array(fc.tuple(fc.nat(3), fc.double({ min: -3, max: 3, noNaN: true })), { maxLength: 80 })

describe('EXP3', () => {
  it('gives probabilities of at least γ/n that sum to 1, whatever it is paid', () => {
    fc.assert(
      fc.property(rewards, fc.constantFrom(10, 'doubling' as const), (paid, horizon) => {
        const exp3 = new Exp3(4, { horizon, firstEpoch: 4, clip: false })
        for (const [index, reward] of paid) exp3.learnDrawn(reward, index, exp3.weigh()[index]!)
        const p = exp3.weigh()
        expect(p.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 12)
        for (const each of p) expect(each).toBeGreaterThanOrEqual(exp3.gamma / 4)
      }),
    )
  })

  it('is a sum while gains are kept: any order of the same recorded draws gives the same gains', () => {
    fc.assert(
      fc.property(rewards, (paid) => {
        const [here, there] = [new Exp3(4, { firstEpoch: 3 }), new Exp3(4, { firstEpoch: 3 })]
        for (const [index, reward] of paid) here.learnDrawn(reward, index, 0.25)
        for (const [index, reward] of paid.toReversed()) there.learnDrawn(reward, index, 0.25)
        here.state.forEach((value, i) => {
          expect(there.state[i]).toBeCloseTo(value, 9)
        })
      }),
    )
  })

  it('takes the length of each epoch for its horizon, and keeps or forgets gains at its end', () => {
    for (const epochEnd of ['keep', 'restart'] as const) {
      const exp3 = new Exp3(2, { firstEpoch: 4, epochEnd })
      const gammas: number[] = []
      for (let t = 0; t < 12; t++) {
        gammas.push(exp3.gamma)
        exp3.learnDrawn(1, 0, 0.5)
      }
      expect(gammas).toEqual([...new Array(4).fill(exp3Gamma(2, 4)), ...new Array(8).fill(exp3Gamma(2, 8))])
      expect(exp3.gamma).toBe(exp3Gamma(2, 16))
      expect(exp3.state.at(-2)).toBe(epochEnd === 'keep' ? 24 : 0)
    }
  })

  it('maps rewards from their range, and clips them unless told not to', () => {
    const gain = (reward: number, options: Exp3Options): number => {
      const exp3 = new Exp3(2, { horizon: 10, ...options })
      exp3.learnDrawn(reward, 1, 0.5)
      return exp3.state.at(-1)!
    }
    expect(gain(3, { rewardRange: [-1, 7] })).toBe(1)
    expect(gain(9, { rewardRange: [-1, 7] })).toBe(2)
    expect(gain(9, { rewardRange: [-1, 7], clip: false })).toBe(2.5)
  })

  it('finds the candidate that pays best', () => {
    const exp3 = new Exp3(3, { horizon: 20_000 })
    const uniform = uniformOf(4)
    for (let t = 0; t < 20_000; t++) {
      const p = exp3.weigh()
      const u = uniform()
      const index = u < p[0]! ? 0 : u < p[0]! + p[1]! ? 1 : 2
      exp3.learnDrawn(uniform() < [0.2, 0.5, 0.8][index]! ? 1 : 0, index, p[index]!)
    }
    expect(exp3.weigh()[2]).toBeGreaterThan(0.9)
  })
})

describe('EXP4', () => {
  it('leaves weights alone where candidates agree, and moves them where they do not', () => {
    const exp4 = new Exp4(3, { horizon: 100 })
    const uniform = uniformOf(1)
    for (let t = 0; t < 50; t++) exp4.learn(uniform(), Float64Array.of(1, 1, 1))
    expect([...exp4.weigh()].map((p) => p.toFixed(12))).toEqual(new Array(3).fill((1 / 3).toFixed(12)))
    for (let t = 0; t < 50; t++) exp4.learn(1, Float64Array.of(2, 0, 0))
    expect(exp4.weigh()[0]).toBeGreaterThan(0.4)
  })
})

describe('Beta-Bernoulli Thompson sampling', () => {
  it('estimates the probability of being best: 1/2 each at first, then that of Beta posteriors', () => {
    const tuner = new BetaBernoulli(2, { draws: 20_000 })
    expect(tuner.weigh(uniformOf(1))[0]).toBeCloseTo(0.5, 1)
    tuner.learnDrawn(1, 0)
    // P[Beta(2, 1) > Beta(1, 1)] = 2/3
    expect(Math.abs(tuner.weigh(uniformOf(2))[0]! - 2 / 3)).toBeLessThan(0.015)
    tuner.learnDrawn(0.25, 1)
    expect([...tuner.state]).toEqual([2, 1.25, 1, 1.75])
  })

  it('ends where a generator is stuck', () => {
    const tuner = new BetaBernoulli(3)
    for (const u of [0, 0.1, 0.25, 0.5, 0.75, 0.999]) {
      const p = tuner.weigh(() => u)
      expect(p.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 12)
    }
  })
})
