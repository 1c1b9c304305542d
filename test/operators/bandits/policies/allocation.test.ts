/** Deciding and learning allocate nothing an arm: garbage is what makes tails of latency. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { decisionOutput, linUcb } from '../../../../operators/bandits/index.ts'
import { DecisionRandom } from '../../../../operators/numerics/random.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

it.each(['disjoint', 'shared'] as const)('LinUCB, %s, leaves under two bytes an arm behind', (variant) => {
  const d = 8
  const k = 50
  const events = 20_000
  const random = new DecisionRandom('salt', 'policy', 1)
  random.reseed('request')
  const arms = Array.from({ length: k }, (_, a) => `arm ${a}`)
  const vectors = new Float64Array(k * d)
  const vector = new Float64Array(d)
  const input = { arms, vectors }
  const output = decisionOutput(k)
  const outcome = { arm: '', vector, reward: 0, propensity: 1 }
  const policy = linUcb({ variant, dimension: d, alpha: 0.5 })
  const run = (count: number): void => {
    for (let t = 0; t < count; t++) {
      for (let i = 0; i < d; i++) vector[i] = random.uniform()
      for (let a = 0; a < k; a++)
        for (let i = 0; i < d; i++) vectors[a * d + i] = vector[i]! * (variant === 'shared' ? a : 1)
      policy.decide(input, random.uniform, output)
      outcome.arm = arms[output.arm]!
      outcome.reward = vector[0]!
      outcome.propensity = output.probabilities[output.arm]!
      policy.learn(outcome)
    }
  }
  run(events) // until it is compiled
  // The least of a few tries: the compiler's own garbage falls into some of them.
  const perEvent = Array.from({ length: 5 }, () => {
    collect()
    const before = process.memoryUsage().heapUsed
    run(events)
    return (process.memoryUsage().heapUsed - before) / events
  })
  expect(Math.min(...perEvent.map(Math.abs))).toBeLessThan(2 * k)
})
