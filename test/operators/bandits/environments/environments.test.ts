import { describe, expect, it } from 'vitest'
import {
  classificationEnvironment,
  driftingEnvironment,
  type Environment,
  linearEnvironment,
  loggedEnvironment,
  logisticEnvironment,
} from '../../../../operators/bandits/environments/index.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { refusal } from '../laws.ts'

const seeded = (seed: number): (() => number) => {
  const random = new Xoshiro128()
  random.seed(seed, 1, 2, 3)
  return random.uniform
}

const SHAPE = { dimension: 4, arms: 6 }

const productOf = ({ input, dimension }: Environment, theta: Float64Array, arm: number): number => {
  let sum = 0
  for (let i = 0; i < dimension; i++) sum += input.vectors[arm * dimension + i]! * theta[i]!
  return sum
}

describe.each(['product', 'unit', 'centred'] as const)('a linear environment with rewards %s', (rewards) => {
  it('has means that follow from the vectors, and noise of the deviation asked for, the same for all arms', () => {
    const world = linearEnvironment({ ...SHAPE, rewards, sigma: 0.5 }, seeded(1))
    const rounds = 1_000
    let sum = 0
    let squares = 0
    for (let t = 0; t < rounds; t++) {
      world.next()
      for (let a = 0; a < 6; a++) {
        const product = productOf(world, world.theta, a)
        expect(Math.abs(product)).toBeLessThanOrEqual(1)
        expect(world.means[a]).toBe(rewards === 'product' ? product : (product + 1) / 2)
      }
      const noise = world.reward(2) - world.means[2]!
      expect(world.reward(5) - world.means[5]!).toBeCloseTo(noise, 12)
      sum += noise
      squares += noise * noise
    }
    // Four standard errors of a fixed sample.
    expect(Math.abs(sum / rounds)).toBeLessThan((4 * 0.5) / Math.sqrt(rounds))
    expect(Math.abs(squares / rounds - 0.25)).toBeLessThan((4 * 0.25 * Math.SQRT2) / Math.sqrt(rounds))
    expect(world.target(0.75)).toBe(rewards === 'centred' ? 0.5 : 0.75)
  })
})

it('a fixed set of arms stays, fresh vectors do not', () => {
  const rounds = (contexts: 'fixed' | 'fresh') => {
    const world = linearEnvironment({ ...SHAPE, contexts }, seeded(1))
    return Array.from({ length: 3 }, () => {
      world.next()
      return [...world.input.vectors].join()
    })
  }
  expect(new Set(rounds('fixed')).size).toBe(1)
  expect(new Set(rounds('fresh')).size).toBe(3)
})

it('a logistic environment pays 1 as often as its means say, and never less to the better arm', () => {
  const world = logisticEnvironment({ ...SHAPE, contexts: 'fixed', scale: 5 }, seeded(1))
  const rounds = 1_000
  const paid = new Float64Array(6)
  for (let t = 0; t < rounds; t++) {
    world.next()
    const best = world.means.indexOf(Math.max(...world.means))
    for (let a = 0; a < 6; a++) {
      expect([0, 1]).toContain(world.reward(a))
      expect(world.reward(best)).toBeGreaterThanOrEqual(world.reward(a))
      paid[a]! += world.reward(a) / rounds
    }
  }
  paid.forEach((share, a) => {
    expect(Math.abs(share - world.means[a]!)).toBeLessThan(4 * Math.sqrt(0.25 / rounds))
  })
  expect(Math.max(...world.means) - Math.min(...world.means)).toBeGreaterThan(0.2)
})

describe('a drifting environment', () => {
  const thetas = (drift: 'abrupt' | 'slow', rounds: number): Float64Array[] => {
    const world = driftingEnvironment({ ...SHAPE, drift, every: 100 }, seeded(1))
    return Array.from({ length: rounds }, () => {
      world.next()
      expect(world.means[3]).toBe(productOf(world, world.theta, 3))
      return world.theta.slice()
    })
  }
  const distance = (a: Float64Array, b: Float64Array) => Math.hypot(...a.map((x, i) => x - b[i]!))

  it('changes at once, every so many rounds', () => {
    const seen = thetas('abrupt', 250)
    const changes = seen.flatMap((theta, t) => (t > 0 && distance(theta, seen[t - 1]!) > 0 ? [t] : []))
    expect(changes).toEqual([100, 200])
  })

  it('turns slowly, and is back after so many rounds', () => {
    const seen = thetas('slow', 201)
    expect(distance(seen[0]!, seen[100]!)).toBeLessThan(1e-12)
    expect(distance(seen[0]!, seen[50]!)).toBeGreaterThan(0.5)
    for (let t = 1; t < 200; t++) expect(distance(seen[t]!, seen[t - 1]!)).toBeLessThan(0.1)
  })
})

describe('classification data', () => {
  const examples = {
    features: Float64Array.of(1, 10, 5, 2, 20, 5, 3, 60, 5, 6, 10, 5),
    labels: Int32Array.of(0, 1, 1, 2),
    classes: ['a', 'b', 'c'],
  }

  it('shows every example once before any twice, and pays 1 for its class alone', () => {
    const world = classificationEnvironment(examples, seeded(1))
    expect(world.arms).toEqual(['a', 'b', 'c'])
    for (let epoch = 0; epoch < 3; epoch++) {
      const shown = Array.from({ length: 4 }, () => {
        world.next()
        expect([...world.means].sort()).toEqual([0, 0, 1])
        const { vectors } = world.input
        expect(vectors.subarray(4, 8)).toEqual(vectors.subarray(0, 4))
        return `${world.means.indexOf(1)} ${vectors.subarray(0, 4).join()}`
      })
      expect(new Set(shown).size).toBe(4)
      expect(shown.map((each) => each[0]).sort()).toEqual(['0', '1', '1', '2'])
    }
  })

  it('scales features to mean 0 and deviation 1 over √d, keeps a constant, and survives one that never varies', () => {
    const world = classificationEnvironment(examples, seeded(1))
    const rows = Array.from({ length: 4 }, () => {
      world.next()
      return world.input.vectors.slice(0, 4)
    })
    for (const column of [0, 1]) {
      const values = rows.map((row) => row[column]! * 2)
      expect(values.reduce((sum, x) => sum + x, 0)).toBeCloseTo(0, 12)
      expect(values.reduce((sum, x) => sum + x * x, 0) / 4).toBeCloseTo(1, 12)
    }
    expect(rows.map((row) => [row[2], row[3]])).toEqual(Array.from({ length: 4 }, () => [0, 0.5]))
  })
})

describe('a log', () => {
  const log = {
    arms: ['a', 'b'],
    dimension: 1,
    contexts: new Float64Array(4_000).fill(1),
    taken: Int32Array.from({ length: 4_000 }, (_, t) => (t % 5 === 0 ? 1 : 0)),
    propensities: Float64Array.from({ length: 4_000 }, (_, t) => (t % 5 === 0 ? 0.2 : 0.8)),
    rewards: new Float64Array(4_000).fill(0.7),
  }

  it('counts arms equally often whatever their propensities were, and knows no other reward', () => {
    const world = loggedEnvironment(log, seeded(1))
    const counted = [0, 0]
    for (let t = 0; t < world.rounds; t++) {
      world.next()
      for (const arm of [0, 1]) {
        const reward = world.reward(arm)
        if (arm !== log.taken[t]) expect(reward).toBeNaN()
        if (!Number.isNaN(reward)) counted[arm]! += 1
      }
    }
    expect(counted[1]).toBe(800)
    expect(Math.abs(counted[0]! - 800)).toBeLessThan(4 * Math.sqrt(3_200 * 0.25 * 0.75))
    expect(world.means.every(Number.isNaN)).toBe(true)
  })

  it('refuses probabilities that are none', () => {
    const propensities = log.propensities.with(7, 0)
    expect(refusal(() => loggedEnvironment({ ...log, propensities }, seeded(1)))).toBe('INVALID_PROPENSITY')
  })
})

it('environments refuse shapes and options that make no sense', () => {
  const uniform = seeded(1)
  const refused = (make: () => Environment) => expect(refusal(make)).toBe('INVALID_CONFIG')
  refused(() => linearEnvironment({ dimension: 0, arms: 2 }, uniform))
  refused(() => linearEnvironment({ dimension: 2, arms: 1.5 }, uniform))
  refused(() => linearEnvironment({ ...SHAPE, sigma: -1 }, uniform))
  refused(() => logisticEnvironment({ ...SHAPE, scale: Number.NaN }, uniform))
  refused(() => driftingEnvironment({ ...SHAPE, every: 0 }, uniform))
  refused(() =>
    classificationEnvironment(
      { features: new Float64Array(3), labels: new Int32Array(2), classes: ['a'] },
      uniform,
    ),
  )
  refused(() =>
    loggedEnvironment(
      {
        arms: [],
        dimension: 1,
        contexts: new Float64Array(0),
        taken: new Int32Array(0),
        propensities: new Float64Array(0),
        rewards: new Float64Array(0),
      },
      uniform,
    ),
  )
})
