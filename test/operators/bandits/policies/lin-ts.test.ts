import { describe, expect, it } from 'vitest'
import {
  type DecisionInput,
  decisionOutput,
  LinTs,
  type LinTsOptions,
  linTs,
  linUcb,
  type Policy,
} from '../../../../operators/bandits/index.ts'
import { standardNormal } from '../../../../operators/numerics/normal.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { describePolicyLaws, refusal } from '../laws.ts'

const VARIANTS = ['disjoint', 'shared'] as const

for (const variant of VARIANTS) {
  for (const alpha of [0.5, 'theory'] as const) {
    const options: LinTsOptions = {
      ...{ variant, alpha, dimension: 5, explorationFloor: 0.02, refreshEvery: 7, draws: 8 },
    }
    describePolicyLaws(`LinTS, ${variant}, alpha ${alpha}`, {
      make: () => linTs(options),
      explorationFloor: 0.02,
    })
  }
}
describePolicyLaws('LinTS, disjoint, pooled prior, of a window', {
  make: () =>
    linTs({
      ...{ variant: 'disjoint', dimension: 3, explorationFloor: 0.02, draws: 4 },
      ...{ prior: 'pooled', forgetting: { window: 9 }, maxArms: 5 },
    }),
  explorationFloor: 0.02,
})
describePolicyLaws('LinTS, shared, discounted', {
  make: () =>
    linTs({
      ...{ variant: 'shared', dimension: 3, explorationFloor: 0.02, draws: 4 },
      forgetting: { discount: 0.9 },
    }),
  explorationFloor: 0.02,
})
describePolicyLaws('LinTS by one draw, without floor, one feature', {
  make: () => linTs({ variant: 'disjoint', alpha: 1, dimension: 1, explorationFloor: 0, draws: 1 }),
  explorationFloor: 0,
})

const seeded = (seed: number): Xoshiro128 => {
  const random = new Xoshiro128()
  random.seed(seed, 2, 3, 4)
  return random
}

/** Teaches a policy sixty outcomes of three arms. */
const teach = <P extends Policy>(policy: P): P => {
  const random = seeded(1)
  for (let t = 0; t < 60; t++) {
    const vector = Float64Array.from({ length: 3 }, () => 2 * random.uniform() - 1)
    const reward = vector[0]! / 2 + random.uniform()
    policy.learn({ arm: ARMS[t % 3]!, vector, reward, propensity: 1 })
  }
  return policy
}

const taught = (options: Partial<LinTsOptions> & Pick<LinTsOptions, 'variant'>): LinTs =>
  teach(linTs({ dimension: 3, explorationFloor: 0, ...options }))

/** xᵀV⁻¹x of arms after the same outcomes: the square of LinUCB's width. */
const variancesOf = (variant: LinTsOptions['variant'], input: DecisionInput): number[] => {
  const [wide, narrow] = [1, 0].map((alpha) => teach(linUcb({ variant, dimension: 3, alpha })).scores(input))
  return [...wide!].map((score, a) => (score - narrow![a]!) ** 2)
}

const ARMS = ['a', 'b', 'c']
const VECTORS = Float64Array.of(0.5, 0.2, -0.3, 0.4, -0.6, 0.8, 0.1, 0.9, 0.7)
const INPUT = { arms: ARMS, vectors: VECTORS }
const PAIR = { arms: ['a', 'b'], vectors: VECTORS.subarray(0, 6) }

const decided = (policy: LinTs, input = INPUT, seed = 7) => {
  const output = decisionOutput(input.arms.length)
  policy.decide(input, seeded(seed).uniform, output)
  return output
}

/** P(z ≤ x), by halving: what the quantile is the inverse of. */
const normalCdf = (x: number): number => {
  let low = 0
  let high = 1
  for (let i = 0; i < 52; i++) {
    const middle = (low + high) / 2
    if (standardNormal(middle) < x) low = middle
    else high = middle
  }
  return low
}

describe('LinTS', () => {
  it.each([0.1, 0.5, 2])(
    'prefers one of two disjoint arms as probably as their posteriors say, alpha %d',
    (alpha) => {
      const policy = taught({ variant: 'disjoint', alpha, draws: 10_000 })
      // P(N(μ₁, α²v₁) > N(μ₂, α²v₂)) = Φ((μ₁ − μ₂)/(α√(v₁ + v₂)))
      const [first, second] = policy.scores(PAIR)
      const variance = variancesOf('disjoint', PAIR)
      const expected = normalCdf((first! - second!) / (alpha * Math.sqrt(variance[0]! + variance[1]!)))
      const error = Math.sqrt((expected * (1 - expected)) / 10_000)
      expect(Math.abs(decided(policy, PAIR).probabilities[0]! - expected)).toBeLessThan(4 * error)
    },
  )

  it.each([0.1, 0.5, 2])('draws the weights of a shared model together, alpha %d', (alpha) => {
    const policy = taught({ variant: 'shared', alpha, draws: 10_000 })
    // Both scores come from one θ̃: their difference is N((x₁ − x₂)ᵀθ, α²(x₁ − x₂)ᵀV⁻¹(x₁ − x₂)).
    const [first, second] = policy.scores(PAIR)
    const difference = Float64Array.from({ length: 3 }, (_, i) => VECTORS[i]! - VECTORS[3 + i]!)
    const [variance] = variancesOf('shared', { arms: ['a'], vectors: difference })
    const expected = normalCdf((first! - second!) / (alpha * Math.sqrt(variance!)))
    const error = Math.sqrt((expected * (1 - expected)) / 10_000)
    expect(Math.abs(decided(policy, PAIR).probabilities[0]! - expected)).toBeLessThan(4 * error)
  })

  it.each(VARIANTS)('takes arms as often by many draws a decision as by one, %s', (variant) => {
    const decisions = 20_000
    const shares = [1, 16].map((draws) => {
      const policy = taught({ variant, alpha: 0.5, draws })
      const random = seeded(draws)
      const output = decisionOutput(3)
      const taken = [0, 0, 0]
      for (let t = 0; t < decisions; t++) {
        policy.decide(INPUT, random.uniform, output)
        taken[output.arm]! += 1 / decisions
      }
      return taken
    })
    for (const a of [0, 1, 2]) {
      const [one, many] = [shares[0]![a]!, shares[1]![a]!]
      expect(Math.abs(one - many)).toBeLessThan(4 * Math.sqrt((2 * one * (1 - one)) / decisions))
    }
  })

  it('gives each arm its share of the draws, mixed with the floor', () => {
    const { probabilities } = decided(
      taught({ variant: 'disjoint', alpha: 1, draws: 4, explorationFloor: 0.3 }),
    )
    for (const p of probabilities) {
      const wins = ((p - 0.1) / 0.7) * 4
      expect(wins).toBeCloseTo(Math.round(wins), 12)
    }
  })

  it.each(VARIANTS)('answers for another alpha from the draws it looked by, %s', (variant) => {
    const policy = taught({ variant, alpha: 0.5 })
    policy.look(INPUT, seeded(7).uniform)
    for (const alpha of [0, 0.1, 0.5, 3]) {
      const probabilities = new Float64Array(3).fill(0.25)
      policy.spread(alpha, 0.5, probabilities)
      const direct = decided(taught({ variant, alpha })).probabilities
      probabilities.forEach((p, a) => {
        expect(p).toBeCloseTo(0.25 + direct[a]! / 2, 15)
      })
    }
  })

  it.each(VARIANTS)('draws as many numbers whatever its state, %s', (variant) => {
    for (const policy of [linTs({ variant, dimension: 3 }), taught({ variant })]) {
      const random = seeded(7)
      let drawn = 0
      const uniform = () => {
        drawn++
        return random.uniform()
      }
      policy.decide(INPUT, uniform, decisionOutput(3))
      expect(drawn).toBe(3 * 16 + 1)
    }
  })

  it.each(VARIANTS)('is greedy without exploration, and ranks by mean score with it, %s', (variant) => {
    const scores = [...taught({ variant }).scores(INPUT)]
    const order = [0, 1, 2].sort((a, b) => scores[b]! - scores[a]!)
    const greedy = decided(taught({ variant, alpha: 0 }))
    expect(greedy.probabilities[order[0]!]).toBe(1)
    expect([...greedy.ranking]).toEqual(order)
    expect([...decided(taught({ variant, alpha: 100 })).ranking]).toEqual(order)
  })

  it.each(VARIANTS)('decides by its newest state, however that came about, %s', (variant) => {
    const outcome = { arm: 'b', vector: Float64Array.of(1, -1, 1), reward: 5, propensity: 1 }
    const fresh = (policy: LinTs): LinTs => {
      const copy = linTs({ variant, dimension: 3, explorationFloor: 0 })
      copy.restore(policy.snapshot())
      return copy
    }
    const policy = taught({ variant })
    const expectFresh = () => expect(decided(policy)).toEqual(decided(fresh(policy)))
    expectFresh()
    policy.learn(outcome)
    expectFresh()
    policy.merge(taught({ variant }))
    expectFresh()
    policy.restore(taught({ variant }).snapshot())
    expectFresh()
    expect(refusal(() => policy.learn({ ...outcome, reward: Number.NaN }))).toBe('NON_FINITE_NUMBER')
    expectFresh()
  })

  it('takes recorded normals in place of its own', () => {
    const policy = new LinTs(
      { variant: 'disjoint', dimension: 1, alpha: 1, draws: 1, explorationFloor: 0 },
      (z) => z,
    )
    const numbers = [-0.5, 2, 1.9, 0]
    const output = decisionOutput(3)
    policy.decide({ arms: ARMS, vectors: Float64Array.of(1, 1, 1) }, () => numbers.shift()!, output)
    expect([...output.probabilities]).toEqual([0, 1, 0])
  })

  it('names the option that is wrong', () => {
    const wrong: Partial<LinTsOptions>[] = [
      { alpha: -1 },
      { draws: 0 },
      { draws: 1.5 },
      { draws: 10_001 },
      { theory: { delta: 1 } },
      { lambda: 0 },
    ]
    for (const options of wrong) {
      const name = Object.keys(options)[0]!
      expect(() => linTs({ variant: 'shared', dimension: 2, ...options })).toThrow(`linTs.${name}`)
    }
  })
})
