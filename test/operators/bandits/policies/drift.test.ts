/** Where rewards change abruptly, policies that forget lose at most half of what those that do not lose. */
import { describe, expect, it } from 'vitest'
import {
  decisionOutput,
  type Forgetting,
  linTs,
  linUcb,
  type Policy,
} from '../../../../operators/bandits/index.ts'
import { standardNormal } from '../../../../operators/numerics/normal.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'

const ROUNDS = 3_000
const BETWEEN_CHANGES = 500
const SEEDS = [1, 2, 3, 4, 5, 6]

/** What a run loses: Σ (best mean − mean of the arm taken). Rounds and noise depend on the seed alone. */
const regretOf = (policy: Policy, variant: 'disjoint' | 'shared', arms: number, seed: number): number => {
  const d = policy.dimension
  const world = new Xoshiro128()
  world.seed(seed, 1, 2, 3)
  const draws = new Xoshiro128()
  draws.seed(seed, 9, 9, 9)
  const names = Array.from({ length: arms }, (_, a) => `arm ${a}`)
  const output = decisionOutput(arms)
  const vectors = new Float64Array(arms * d)
  let weights: readonly Float64Array[] = []
  let regret = 0
  for (let t = 0; t < ROUNDS; t++) {
    if (t % BETWEEN_CHANGES === 0) {
      const drawn = (): Float64Array => {
        const direction = Float64Array.from({ length: d }, () => standardNormal(world.uniform()))
        const length = Math.hypot(...direction)
        return direction.map((value) => value / length)
      }
      const one = drawn()
      weights = names.map(() => (variant === 'shared' ? one : drawn()))
    }
    for (let k = 0; k < vectors.length; k++)
      vectors[k] = variant === 'disjoint' && k >= d ? vectors[k - d]! : 2 * world.uniform() - 1
    const noise = 0.1 * standardNormal(world.uniform())
    const means = weights.map((weight, a) =>
      weight.reduce((sum, value, i) => sum + value * vectors[a * d + i]!, 0),
    )
    policy.decide({ arms: names, vectors }, draws.uniform, output)
    const { arm } = output
    regret += Math.max(...means) - means[arm]!
    const vector = vectors.slice(arm * d, (arm + 1) * d)
    const propensity = output.probabilities[arm]!
    policy.learn({ arm: names[arm]!, vector, reward: means[arm]! + noise, propensity })
  }
  return regret
}

const POLICIES = {
  LinUCB: (variant: 'disjoint' | 'shared', dimension: number, forgetting: Forgetting) =>
    linUcb({ variant, dimension, forgetting }),
  LinTS: (variant: 'disjoint' | 'shared', dimension: number, forgetting: Forgetting) =>
    linTs({ variant, dimension, forgetting, draws: 1 }),
}

describe.each([
  ['shared', 5, 10],
  ['disjoint', 3, 5],
] as const)('on abrupt drift, %s', (variant, dimension, arms) => {
  it.each(['LinUCB', 'LinTS'] as const)(
    '%s with a discount or a window has at most half the regret',
    (name) => {
      const total = (forgetting: Forgetting): number =>
        SEEDS.reduce((sum, seed) => {
          const policy = POLICIES[name](variant, dimension, forgetting)
          return sum + regretOf(policy, variant, arms, seed)
        }, 0)
      const plain = total('never')
      expect(total({ discount: 0.98 })).toBeLessThan(plain / 2)
      expect(total({ window: 100 })).toBeLessThan(plain / 2)
    },
  )
})
