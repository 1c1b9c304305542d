import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decisionOutput, type SquareCbOptions, squareCb } from '../../../../operators/bandits/index.ts'
import { describePolicyLaws } from '../laws.ts'

for (const variant of ['disjoint', 'shared'] as const) {
  for (const gammaExponent of [0, 0.5]) {
    describePolicyLaws(`SquareCB, ${variant}, exponent ${gammaExponent}`, {
      make: () =>
        squareCb({ variant, dimension: 4, gamma: 3, gammaExponent, explorationFloor: 0.02, refreshEvery: 7 }),
      explorationFloor: 0.02,
    })
  }
}
describePolicyLaws('SquareCB with the largest γ, without floor, one feature', {
  make: () => squareCb({ variant: 'disjoint', dimension: 1, gamma: Number.MAX_VALUE, explorationFloor: 0 }),
  explorationFloor: 0,
})

/** A policy whose arms have these estimates at x = 1: λ is next to nothing, so that one outcome is believed. */
const believing = (estimates: readonly number[], options: Partial<SquareCbOptions> = {}) => {
  const policy = squareCb({
    ...{ variant: 'disjoint', dimension: 1, lambda: 1e-12, explorationFloor: 0, gammaExponent: 0 },
    ...options,
  })
  estimates.forEach((reward, a) => {
    policy.learn({ arm: String(a), vector: Float64Array.of(1), reward, propensity: 1 })
  })
  return policy
}
const inputOf = (count: number) => ({
  arms: Array.from({ length: count }, (_, a) => String(a)),
  vectors: new Float64Array(count).fill(1),
})

describe('SquareCB', () => {
  it('gives an arm 1/(K + γ·its gap), and the best arm the rest', () => {
    const output = decisionOutput(3)
    believing([0.5, 0.8, 0], { gamma: 10 }).decide(inputOf(3), () => 0.5, output)
    const [first, third] = [1 / (3 + 10 * 0.3), 1 / (3 + 10 * 0.8)]
    for (const [a, p] of [first, 1 - first - third, third].entries())
      expect(output.probabilities[a]).toBeCloseTo(p, 10)
    expect([...output.ranking]).toEqual([1, 0, 2])
    expect(output.hyperParameters).toEqual([{ name: 'gamma', value: 10, probability: 1 }])
  })

  it('lets γ grow as gamma·n^ρ with the outcomes learned: 0 before the first one', () => {
    const probabilitiesOf = (options: Partial<SquareCbOptions>, estimates: readonly number[]) => {
      const output = decisionOutput(4)
      believing(estimates, options).decide(inputOf(4), () => 0.5, output)
      return [...output.probabilities]
    }
    const four = [1, 0.9, 0.5, 0.1]
    const grown = probabilitiesOf({ gamma: 3, gammaExponent: 0.5 }, four)
    expect(grown).toEqual(probabilitiesOf({ gamma: 6, gammaExponent: 0 }, four))
    expect(probabilitiesOf({ gamma: 3 }, [])).toEqual([0.25, 0.25, 0.25, 0.25])
  })

  it('is a distribution whatever the estimates and γ: no arm above 1/K but the best, which has at least as much', () => {
    const wide = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e300, max: 1e300 })
    const gamma = fc.oneof(
      fc.double({ noNaN: true }),
      fc.constant(Number.NaN),
      fc.double({ min: 0, max: 100, noNaN: true }),
    )
    fc.assert(
      fc.property(fc.array(wide, { minLength: 1, maxLength: 40 }), gamma, (estimates, exploration) => {
        const policy = believing(estimates, { lambda: 1 })
        const count = estimates.length
        policy.look(inputOf(count))
        const probabilities = new Float64Array(count)
        policy.spread(exploration, 1, probabilities)
        const ranking = new Int32Array(count)
        policy.rank(exploration, ranking)
        let sum = 0
        probabilities.forEach((p, a) => {
          expect(p).toBeGreaterThanOrEqual(0)
          if (a === ranking[0]) expect(p).toBeGreaterThan(1 / count - 1e-12)
          else expect(p).toBeLessThanOrEqual(1 / count)
          sum += p
        })
        expect(Math.abs(sum - 1)).toBeLessThan(1e-12)
      }),
    )
  })

  it('goes from uniform to greedy as γ grows', () => {
    const policy = believing([0.5, 0.8, 0])
    policy.look(inputOf(3))
    const bestUnder = (gamma: number): number => {
      const probabilities = new Float64Array(3)
      policy.spread(gamma, 1, probabilities)
      return probabilities[1]!
    }
    expect(bestUnder(0)).toBeCloseTo(1 / 3, 15)
    expect(bestUnder(-5)).toBeCloseTo(1 / 3, 15)
    const steps = [0, 1, 10, 100, 1e6].map(bestUnder)
    expect(steps).toEqual([...steps].sort((a, b) => a - b))
    expect(bestUnder(Number.POSITIVE_INFINITY)).toBeCloseTo(1, 12)
  })

  it('names the option that is wrong', () => {
    const wrong: Partial<SquareCbOptions>[] = [
      { gamma: -1 },
      { gamma: Infinity },
      { gammaExponent: -0.5 },
      { lambda: 0 },
    ]
    for (const options of wrong) {
      const name = Object.keys(options)[0]!
      expect(() => squareCb({ variant: 'shared', dimension: 2, ...options })).toThrow(`squareCb.${name}`)
    }
  })
})
