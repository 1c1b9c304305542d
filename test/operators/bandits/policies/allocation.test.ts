/** Deciding and learning allocate nothing an arm: garbage is what makes tails of latency. What remains is a few numbers a call. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { decisionOutput, linTs, linUcb, type Policy } from '../../../../operators/bandits/index.ts'
import { DecisionRandom } from '../../../../operators/numerics/random.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const D = 8
const K = 100

/** Bytes that a decision and its outcome leave behind, once all is compiled. */
const garbage = (policy: Policy, ownVectors: boolean, events: number): number => {
  const random = new DecisionRandom('salt', 'policy', 1)
  random.reseed('request')
  const arms = Array.from({ length: K }, (_, a) => `arm ${a}`)
  const vectors = new Float64Array(K * D)
  const vector = new Float64Array(D)
  const input = { arms, vectors }
  const output = decisionOutput(K)
  const outcome = { arm: '', vector, reward: 0, propensity: 1 }
  const run = (count: number): void => {
    for (let t = 0; t < count; t++) {
      for (let i = 0; i < D; i++) vector[i] = random.uniform()
      for (let a = 0; a < K; a++)
        for (let i = 0; i < D; i++) vectors[a * D + i] = vector[i]! * (ownVectors ? a : 1)
      policy.decide(input, random.uniform, output)
      outcome.arm = arms[output.arm]!
      outcome.reward = vector[0]!
      outcome.propensity = output.probabilities[output.arm]!
      policy.learn(outcome)
    }
  }
  run(2 * events)
  // The least of a few tries: the compiler's own garbage falls into some of them.
  const tries = Array.from({ length: 6 }, () => {
    collect()
    const before = process.memoryUsage().heapUsed
    run(events / 4)
    return (4 * (process.memoryUsage().heapUsed - before)) / events
  })
  return Math.min(...tries.map(Math.abs))
}

const VARIANTS = ['disjoint', 'shared'] as const

it.each(VARIANTS)('LinUCB, %s, leaves under one byte an arm behind', (variant) => {
  const policy = linUcb({ variant, dimension: D, alpha: 0.5 })
  expect(garbage(policy, variant === 'shared', 12_000)).toBeLessThan(K)
})

it.each(VARIANTS.flatMap((variant) => [1, 16].map((draws) => [variant, draws] as const)))(
  'LinTS, %s, with %i draws, leaves under two bytes an arm behind',
  (variant, draws) => {
    const policy = linTs({ variant, dimension: D, alpha: 0.5, draws })
    expect(garbage(policy, variant === 'shared', 6_000)).toBeLessThan(2 * K)
  },
)
