import { describe, expect, it } from 'vitest'
import { decisionOutput, epsilonGreedy } from '../../../../operators/bandits/index.ts'
import { describePolicyLaws } from '../laws.ts'

for (const variant of ['disjoint', 'shared'] as const) {
  describePolicyLaws(`ε-greedy, ${variant}`, {
    make: () =>
      epsilonGreedy({ variant, dimension: 4, epsilon: 0.2, explorationFloor: 0.02, refreshEvery: 7 }),
    explorationFloor: 0.02,
  })
}
describePolicyLaws('ε-greedy without floor or ε, one feature', {
  make: () => epsilonGreedy({ variant: 'disjoint', dimension: 1, epsilon: 0, explorationFloor: 0 }),
  explorationFloor: 0,
})

describe('ε-greedy', () => {
  const taught = (epsilon: number, explorationFloor: number) => {
    const policy = epsilonGreedy({ variant: 'disjoint', dimension: 1, epsilon, explorationFloor })
    policy.learn({ arm: 'b', vector: Float64Array.of(1), reward: 1, propensity: 1 })
    policy.learn({ arm: 'c', vector: Float64Array.of(1), reward: -1, propensity: 1 })
    return policy
  }
  const input = { arms: ['a', 'b', 'c', 'd'], vectors: Float64Array.of(1, 1, 1, 1) }

  it('gives the best estimate 1 − ε and everyone a share of ε, under the floor', () => {
    const output = decisionOutput(4)
    taught(0.2, 0).decide(input, () => 0.5, output)
    expect([...output.probabilities]).toEqual([0.05, 0.8 + 0.05, 0.05, 0.05])
    expect([...output.ranking]).toEqual([1, 0, 3, 2])
    expect(output.hyperParameters).toEqual([{ name: 'epsilon', value: 0.2, probability: 1 }])
    taught(0.2, 0.1).decide(input, () => 0.5, output)
    for (const [a, p] of [0.07, 0.79, 0.07, 0.07].entries())
      expect(output.probabilities[a]).toBeCloseTo(p, 15)
  })

  it('answers for any ε once it has looked', () => {
    const policy = taught(0.2, 0)
    policy.look(input)
    for (const [epsilon, best] of [
      [0, 1],
      [0.4, 0.7],
      [1, 0.25],
      [2, 0.25],
      [-1, 1],
    ] as const) {
      const probabilities = new Float64Array(4)
      policy.spread(epsilon, 1, probabilities)
      expect(probabilities[1]).toBeCloseTo(best, 15)
      expect(probabilities.reduce((sum, p) => sum + p)).toBeCloseTo(1, 15)
    }
  })

  it('names the option that is wrong', () => {
    for (const epsilon of [-0.1, 1.1, Number.NaN]) {
      expect(() => epsilonGreedy({ variant: 'shared', dimension: 2, epsilon })).toThrow(
        'epsilonGreedy.epsilon',
      )
    }
    expect(() => epsilonGreedy({ variant: 'shared', dimension: 0 })).toThrow('epsilonGreedy.dimension')
  })
})
