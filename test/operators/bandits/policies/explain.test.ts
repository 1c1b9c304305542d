import { expect, it } from 'vitest'
import { linUcb, syndicated, ucbGlm, uniform } from '../../../../operators/bandits/index.ts'

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

it.each(['logistic', 'poisson'] as const)('UCB-GLM, %s, says means and widths in rewards', (link) => {
  const policy = ucbGlm({ dimension: 1, variant: 'shared', link, alpha: 0.5 })
  for (let i = 0; i < 30; i++)
    policy.learn({ arm: '', vector: Float64Array.of(1), reward: i % 3 === 0 ? 1 : 0, propensity: 1 })
  const input = { arms: ['a', 'b'], vectors: Float64Array.of(1, 0) }
  const { estimates, widths } = policy.explain(input)
  const z = policy.theta()[0]!
  const bound = policy.scores(input)[0]!
  const mean = link === 'logistic' ? 1 / (1 + Math.exp(-z)) : Math.exp(z)
  const slope = link === 'logistic' ? mean * (1 - mean) : mean
  expect(estimates[0]).toBeCloseTo(mean, 12)
  expect(widths[0]).toBeCloseTo((slope * (bound - z)) / 0.5, 12)
  // Of an arm whose vector says nothing the mean is that of z = 0, for certain.
  expect([estimates[1], widths[1]]).toEqual([link === 'logistic' ? 0.5 : 1, 0])
})

it('a syndicate says what its heaviest combination makes of the arms, and changes nothing by it', () => {
  const base = (given: Readonly<Record<string, number>>) =>
    linUcb({ dimension: 1, variant: 'disjoint', ...given })
  const policy = syndicated(base, { alpha: [0, 1], lambda: [0.1, 1, 10] }, { horizon: 100 })
  const lambda = { name: 'lambda', value: 10, probability: 0.1 }
  const alpha = { name: 'alpha', value: 1, probability: 0.5 }
  for (let i = 0; i < 20; i++)
    policy.learn({
      ...{ arm: 'a', vector: Float64Array.of(1), reward: 1, propensity: 0.5 },
      hyperParameters: [alpha, lambda],
    })
  const before = policy.snapshot()
  const input = { arms: ['a', 'b'], vectors: Float64Array.of(1, 1) }
  expect(policy.explain?.(input)).toEqual(policy.bases[2]!.explain(input))
  expect(policy.snapshot()).toEqual(before)
})

it('a policy without estimates has nothing to say, nor has a syndicate of such', () => {
  expect(uniform({ dimension: 1 })).not.toHaveProperty('explain')
  const silent = () => Object.assign(linUcb({ dimension: 1, variant: 'shared' }), { explain: undefined })
  expect(syndicated(silent as never, { alpha: [1] }).explain).toBeUndefined()
})
