import { expect, it } from 'vitest'
import { linUcb } from '../../../../operators/bandits/policies/lin-ucb.ts'

it.each(['disjoint', 'shared'] as const)(
  'what %s LinUCB says of its arms is what its scores are made of',
  (variant) => {
    const alpha = 0.7
    const policy = linUcb({ dimension: 3, variant, alpha, lambda: 2 })
    const rows = [
      [1, 0.5, -1],
      [0, 2, 0.25],
    ]
    for (let i = 0; i < 40; i++) {
      const vector = Float64Array.from(rows[i % 2]!, (value, k) => value + Math.sin(i + k))
      policy.learn({ arm: `arm-${i % 2}`, vector, reward: Math.cos(i), propensity: 0.5 })
    }
    const input = { arms: ['arm-0', 'arm-1'], vectors: Float64Array.from(rows.flat()) }
    const { estimates, widths } = policy.explain(input)
    expect([...policy.scores(input)]).toEqual([...estimates].map((value, a) => value + alpha * widths[a]!))
    expect(widths.every((width) => width > 0)).toBe(true)
  },
)
