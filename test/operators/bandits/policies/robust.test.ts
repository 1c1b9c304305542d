import { describe, expect, it } from 'vitest'
import {
  type Attack,
  confidenceWeighted,
  garcelon,
  interaction,
  linearEnvironment,
  linUcb,
  oracle,
  type Policy,
  paperLevels,
  restarting,
  rewardGuard,
  robust,
} from '../../../../operators/bandits/index.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { describePolicyLaws, refusal } from '../laws.ts'

const disjoint = () => linUcb({ variant: 'disjoint', dimension: 3, refreshEvery: 7 })
for (const [name, make] of Object.entries({
  'restarting LinUCB': () => restarting(disjoint, { sigma: 0.5, explorationFloor: 0.02 }),
  'confidence-weighted LinUCB': () => confidenceWeighted(disjoint, { scale: 0.3, explorationFloor: 0.02 }),
}))
  describePolicyLaws(name, {
    make,
    explorationFloor: 0.02,
    // Arms never learned, and arms of one vector, have equal scores.
    tied: (policy, { arms, vectors }) => {
      const { estimates, widths } = policy.explain!({ arms, vectors })
      const scores = estimates.map((estimate, a) => estimate + 0.25 * widths[a]!)
      return new Set(scores).size < scores.length
    },
  })
describePolicyLaws('guarded LinUCB', {
  make: () =>
    rewardGuard(linUcb({ variant: 'disjoint', dimension: 3, explorationFloor: 0.02 }), { rewards: [-1, 1] }),
  explorationFloor: 0.02,
  tied: (policy, { arms, vectors }) => {
    const inner = (policy as ReturnType<typeof rewardGuard<ReturnType<typeof linUcb>>>).policy
    const scores = inner.scores({ arms, vectors })
    return new Set(scores).size < scores.length
  },
})

const uniformOf = (seed: number, stream: number) => {
  const random = new Xoshiro128()
  random.seed(seed, stream, 7, 9)
  for (let i = 0; i < 20; i++) random.next()
  return random.uniform
}
const T = 20_000
const linear = {
  variant: 'shared',
  dimension: 5,
  lambda: 0.1,
  alpha: 'theory',
  theory: { sigma: 0.1, delta: 0.01 },
  explorationFloor: 0,
} as const
const ucb = () => linUcb(linear)
const restartingUcb = () => restarting(ucb, { sigma: 0.1, lambda: 0.1, explorationFloor: 0 })
/** Mean regret over a few sets of fixed arms. */
const regretOf = (make: () => Policy, attack: () => Attack | undefined = () => undefined): number => {
  const seeds = [1, 2, 3]
  let sum = 0
  for (const seed of seeds) {
    const environment = linearEnvironment(
      { dimension: 5, arms: 10, contexts: 'fixed', rewards: 'product' },
      uniformOf(seed, 1),
    )
    const attacked = attack()
    const game = interaction({
      policy: make(),
      environment,
      uniform: uniformOf(seed, 2),
      ...(attacked === undefined ? {} : { attack: attacked }),
    })
    game.play(T)
    sum += game.regret
  }
  return sum / seeds.length
}

describe('RobustBandit', () => {
  const tuned = { rewardRange: [-1, 1], explorationFloor: 0, horizon: T } as const

  it('loses at most half of what LinUCB loses to reward attacks on the better arms', {
    timeout: 120_000,
  }, () => {
    for (const attack of [() => oracle({ budget: 400, arms: 5 }), () => garcelon({ budget: 400, arms: 5 })])
      expect(regretOf(() => robust(ucb, tuned), attack)).toBeLessThan(0.5 * regretOf(ucb, attack))
  })

  it('over a policy that restarts and with EXP4, extensions, loses less than as published without attack, and at most half of LinUCB under it', {
    timeout: 120_000,
  }, () => {
    const extended = () => robust(restartingUcb, { rewardRange: [-1, 1], explorationFloor: 0, tuner: 'exp4' })
    expect(regretOf(extended)).toBeLessThan(regretOf(() => robust(ucb, tuned)))
    const attack = () => oracle({ budget: 400, arms: 5 })
    expect(regretOf(extended, attack)).toBeLessThan(0.5 * regretOf(ucb, attack))
  })

  it('has the grid of the paper’s code: steps of ½ below 2(⌊√(d ln(T² + T)) + √λ⌋ + 1)', () => {
    // √(10·ln(10¹⁰ + 10⁵)) + √.1 = 15.49
    const levels = paperLevels(10, 100_000, 0.1)
    expect([levels[0], levels[1], levels.at(-1), levels.length]).toEqual([0, 0.5, 31.5, 64])
    const policy = robust(ucb, { levels: 'paper', lambda: 0.1 })
    expect(policy.layers[0]!.candidates.length).toBe(paperLevels(5, 1_000_000, 0.1).length)
  })

  it('tunes other hyper-parameters beside the levels', () => {
    const policy = robust((given) => linUcb({ ...linear, ...given }), {
      candidates: { lambda: [0.1, 1] },
      levels: [0, 2],
    })
    expect(policy.kind).toBe('robust-lin-ucb-shared')
    expect(policy.layers.map(({ names }) => names)).toEqual([['lambda'], ['corruption']])
    expect(policy.bases.length).toBe(2)
    expect(refusal(() => robust(ucb, { candidates: { corruption: [1] } }))).toBe('INVALID_CONFIG')
  })
})

describe('restarting', () => {
  it('costs nothing without attack', () => {
    expect(regretOf(restartingUcb)).toBe(regretOf(ucb))
  })

  it('never restarts where noise is what it was told, and does when rewards change', () => {
    const policy = restarting(() => linUcb({ variant: 'shared', dimension: 2 }), { sigma: 0.1 })
    const uniform = uniformOf(3, 3)
    const teach = (rounds: number, sign: number): void => {
      for (let t = 0; t < rounds; t++) {
        const vector = Float64Array.of(2 * uniform() - 1, 2 * uniform() - 1)
        const noise = 0.1 * Math.sqrt(12) * (uniform() - 0.5)
        policy.learn({
          arm: '',
          vector,
          reward: sign * (0.5 * vector[0]! - 0.3 * vector[1]!) + noise,
          propensity: 1,
        })
      }
    }
    teach(20_000, 1)
    expect(policy.restarts).toBe(0)
    teach(3_000, -1)
    expect(policy.restarts).toBeGreaterThan(0)
    expect(policy.learned).toBe(23_000)
    const { estimates } = policy.explain({ arms: [''], vectors: Float64Array.of(1, 0) })
    expect(estimates[0]).toBeLessThan(-0.3)
  })

  it('names the option that is wrong', () => {
    expect(() => restarting(ucb, { sigma: 0 })).toThrow('restarting.sigma')
    expect(() => restarting(ucb, { sigma: 1, threshold: 0 })).toThrow('restarting.threshold')
    expect(() => restarting(ucb, { sigma: 1, lambda: -1 })).toThrow('restarting.lambda')
    expect(() => restarting(ucb, { sigma: 1, explorationFloor: 2 })).toThrow('restarting.explorationFloor')
    expect(() => confidenceWeighted(ucb, { scale: 0 })).toThrow('confidenceWeighted.scale')
    expect(() => rewardGuard(ucb(), { rewards: [1, 0] })).toThrow('rewardGuard.rewards')
  })
})

it('confidence weighting learns an outcome of an unsure arm by √weight·x and √weight·r', () => {
  const make = () => linUcb({ variant: 'shared', dimension: 1, lambda: 1 })
  const policy = confidenceWeighted(make, { scale: 0.5 })
  const twin = make()
  const outcome = { arm: '', reward: 3, propensity: 1 }
  policy.learn({ ...outcome, vector: Float64Array.of(2) }) // width 2: weight ¼
  twin.learn({ ...outcome, vector: Float64Array.of(1), reward: 1.5 })
  const ask = { arms: [''], vectors: Float64Array.of(1) }
  expect(policy.explain(ask)).toEqual(twin.explain(ask))
})

it('a guard clips rewards and features and refuses what is not finite', () => {
  const make = () => linUcb({ variant: 'shared', dimension: 2 })
  const policy = rewardGuard(make(), { rewards: [0, 1], features: [-1, 1] })
  const twin = make()
  policy.learn({ arm: '', vector: Float64Array.of(5, -0.5), reward: -7, propensity: 1 })
  twin.learn({ arm: '', vector: Float64Array.of(1, -0.5), reward: 0, propensity: 1 })
  expect(policy.snapshot()).toEqual(twin.snapshot())
  const bad = { arm: '', vector: Float64Array.of(1, 1), reward: Number.POSITIVE_INFINITY, propensity: 1 }
  expect(refusal(() => policy.learn(bad))).toBe('NON_FINITE_NUMBER')
})
