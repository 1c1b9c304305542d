import { describe, expect, it } from 'vitest'
import { decisionOutput, linUcb, uniform } from '../../../../operators/bandits/index.ts'
import { describePolicyLaws, refusal } from '../laws.ts'

describePolicyLaws('uniform', { make: () => uniform({ dimension: 4 }), explorationFloor: 1 })

describe('uniform', () => {
  it('takes every arm alike, whatever it has seen', () => {
    const policy = uniform({ dimension: 1 })
    for (let t = 0; t < 9; t++)
      policy.learn({ arm: 'a', vector: Float64Array.of(1), reward: 1, propensity: 1 })
    const output = decisionOutput(4)
    policy.decide({ arms: ['a', 'b', 'c', 'd'], vectors: new Float64Array(4) }, () => 0.8, output)
    expect(output).toMatchObject({ arm: 3, hyperParameters: [] })
    expect([...output.probabilities]).toEqual([0.25, 0.25, 0.25, 0.25])
    expect([...output.ranking]).toEqual([0, 1, 2, 3])
    expect(policy.learned).toBe(9)
  })

  it('refuses another dimension, and the parts of another policy', () => {
    expect(() => uniform({ dimension: 0.5 })).toThrow('uniform.dimension')
    const policy = uniform({ dimension: 2 })
    const others = [uniform({ dimension: 3 }), linUcb({ variant: 'shared', dimension: 2 })]
    for (const other of others) expect(refusal(() => policy.merge(other))).toBe('SNAPSHOT_MISMATCH')
    expect(refusal(() => policy.restore(uniform({ dimension: 3 }).snapshot()))).toBe('SNAPSHOT_MISMATCH')
  })
})
