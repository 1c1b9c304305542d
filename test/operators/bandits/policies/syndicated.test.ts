import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type DecisionInput,
  decisionOutput,
  epsilonGreedy,
  type HyperParameter,
  interaction,
  linearEnvironment,
  linTs,
  linUcb,
  type Policy,
  robust,
  type Syndicate,
  type SyndicateOptions,
  syndicated,
} from '../../../../operators/bandits/index.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { describePolicyLaws, refusal } from '../laws.ts'

const ALPHAS = [0, 0.5, 2]
const LAMBDAS = [0.1, 1]
const FLOOR = 0.02

const ucb = (structural: Readonly<Record<string, number>> = {}) =>
  linUcb({ variant: 'disjoint', dimension: 3, refreshEvery: 7, ...structural })
const syndicate = (options: SyndicateOptions = {}) =>
  syndicated(
    ucb,
    { alpha: ALPHAS, lambda: LAMBDAS },
    { rewardRange: [-10, 10], explorationFloor: FLOOR, ...options },
  )

/** Draws as decisions record them: often of the candidates, sometimes of others or none. */
const drawOf = (name: string, values: readonly number[]): fc.Arbitrary<HyperParameter> =>
  fc.record({
    name: fc.constant(name),
    value: fc.constantFrom(...values, 7),
    probability: fc.double({ min: 0.01, max: 1, noNaN: true }),
  })
const draws = fc
  .option(fc.tuple(drawOf('alpha', ALPHAS), drawOf('lambda', LAMBDAS)))
  .map((pair): readonly HyperParameter[] => pair ?? [])

/** Whether some candidate's favourite depends on the order of the arms. */
const tied = (policy: Policy, { arms, vectors }: DecisionInput): boolean => {
  const d = policy.dimension
  const reversed = {
    arms: arms.toReversed(),
    vectors: Float64Array.from(
      arms
        .toReversed()
        .flatMap((_, a) => [...vectors.subarray((arms.length - 1 - a) * d, (arms.length - a) * d)]),
    ),
  }
  const favourites = (input: DecisionInput): string[] =>
    (policy as Syndicate).bases.flatMap((base) => {
      base.look(input, () => 0.5)
      return [...ALPHAS, base.exploration, base.exploration + 1].map((alpha) => {
        const ranking = new Int32Array(arms.length)
        base.rank(alpha, ranking)
        return [...ranking].map((a) => input.arms[a]).join()
      })
    })
  return favourites({ arms, vectors }).join(';') !== favourites(reversed).join(';')
}

const laws = { explorationFloor: FLOOR, hyperParameters: draws, lastDraws: 2, tied }
describePolicyLaws('Syndicated', { make: () => syndicate(), ...laws })
describePolicyLaws('Syndicated with a warm-up and epochs of two that restart, unclipped', {
  make: () => syndicate({ warmUp: 5, firstEpoch: 2, epochEnd: 'restart', clip: false }),
  ...laws,
})
describePolicyLaws('TL-Combined', { make: () => syndicate({ tuner: 'combined', horizon: 50 }), ...laws })
describePolicyLaws('OP', { make: () => syndicate({ tuner: 'thompson', draws: 5 }), ...laws })
describePolicyLaws('Syndicated by EXP4', { make: () => syndicate({ tuner: 'exp4' }), ...laws, lastDraws: 1 })
describePolicyLaws('RobustBandit', {
  make: () => robust(ucb, { levels: [0, 1], rewardRange: [-10, 10], explorationFloor: FLOOR }),
  ...laws,
  hyperParameters: drawOf('corruption', [0, 1]).map((draw) => [draw]),
})

const seeded = (seed: number) => {
  const random = new Xoshiro128()
  random.seed(seed, 2, 3, 4)
  return random.uniform
}
const ARMS = ['a', 'b', 'c', 'd']
const input = (uniform: () => number): DecisionInput => ({
  arms: ARMS,
  vectors: Float64Array.from({ length: 12 }, () => 2 * uniform() - 1),
})
/** A syndicate that has decided and learned for a while. */
const experienced = (make: () => Syndicate, rounds = 200) => {
  const policy = make()
  const uniform = seeded(5)
  const output = decisionOutput(4)
  for (let t = 0; t < rounds; t++) {
    const decision = input(uniform)
    policy.decide(decision, uniform, output)
    policy.learn({
      arm: ARMS[output.arm]!,
      vector: decision.vectors.subarray(3 * output.arm, 3 * output.arm + 3),
      reward: output.arm * uniform(),
      propensity: output.probabilities[output.arm]!,
      hyperParameters: output.hyperParameters,
    })
  }
  return policy
}

describe('Syndicated', () => {
  it('mixes the choice of every combination by the product of its candidates’ probabilities, with the floor on top', () => {
    const policy = experienced(() => syndicate())
    const decision = input(seeded(8))
    const output = decisionOutput(4)
    policy.decide(decision, () => 0.5, output)
    const expected = new Float64Array(4).fill(FLOOR / 4)
    const [alpha, lambda] = policy.layers.map(({ tuner }) => tuner.weigh(() => 0.5))
    LAMBDAS.forEach((_, l) => {
      policy.bases[l]!.look(decision, () => 0.5)
      ALPHAS.forEach((value, i) => {
        policy.bases[l]!.spread(value, (1 - FLOOR) * alpha![i]! * lambda![l]!, expected)
      })
    })
    output.probabilities.forEach((p, a) => {
      expect(p).toBeCloseTo(expected[a]!, 12)
    })
  })

  it('draws candidates and arm with the joint distribution of drawing the candidates first', () => {
    const policy = experienced(() => syndicate())
    const decision = input(seeded(9))
    const output = decisionOutput(4)
    const [alpha, lambda] = policy.layers.map(({ tuner }) => tuner.weigh(() => 0.5).slice())
    const n = 40_000
    const uniform = seeded(10)
    const seen = new Map<string, number>()
    for (let i = 0; i < n; i++) {
      policy.decide(decision, uniform, output)
      const key = `${output.hyperParameters.map(({ value }) => value).join()}:${output.arm}`
      seen.set(key, (seen.get(key) ?? 0) + 1 / n)
      for (const { name, value, probability } of output.hyperParameters)
        expect(probability).toBe(
          name === 'alpha' ? alpha![ALPHAS.indexOf(value)] : lambda![LAMBDAS.indexOf(value)],
        )
    }
    LAMBDAS.forEach((l, b) => {
      policy.bases[b]!.look(decision, () => 0.5)
      ALPHAS.forEach((a, i) => {
        const arms = new Float64Array(4).fill(FLOOR / 4)
        policy.bases[b]!.spread(a, 1 - FLOOR, arms)
        arms.forEach((p, arm) => {
          const joint = alpha![i]! * lambda![b]! * p
          expect(Math.abs((seen.get(`${a},${l}:${arm}`) ?? 0) - joint)).toBeLessThan(
            5 * Math.sqrt(joint / n) + 1e-3,
          )
        })
      })
    })
  })

  it('ranks by probability, and arms of equal probability as its heaviest combination does', () => {
    const policy = experienced(() => syndicate())
    const output = decisionOutput(4)
    const decision = input(seeded(11))
    policy.decide(decision, () => 0.5, output)
    const order = [...output.ranking].map((a) => output.probabilities[a]!)
    expect(order).toEqual(order.toSorted((a, b) => b - a))
    const least = [...output.ranking].filter((a) => output.probabilities[a] === FLOOR / 4)
    expect(least.length).toBeGreaterThan(1)
    const weights = policy.layers.map(({ tuner }) => tuner.weigh(() => 0.5))
    const best = weights.map((p) => p.indexOf(Math.max(...p)))
    const ranking = new Int32Array(4)
    policy.bases[best[1]!]!.look(decision, () => 0.5)
    policy.bases[best[1]!]!.rank(ALPHAS[best[0]!]!, ranking)
    expect(least).toEqual([...ranking].filter((a) => least.includes(a)))
  })

  it('takes arms at random, and says nothing of hyper-parameters, until the warm-up is learned', () => {
    const policy = syndicate({ warmUp: 3 })
    const output = decisionOutput(4)
    const uniform = seeded(1)
    for (let t = 0; t < 3; t++) {
      policy.decide(input(uniform), uniform, output)
      expect([...output.probabilities]).toEqual([0.25, 0.25, 0.25, 0.25])
      expect(output.hyperParameters).toEqual([])
      policy.learn({
        arm: 'a',
        vector: Float64Array.of(1, 0, 0),
        reward: 1,
        propensity: 0.25,
        hyperParameters: [],
      })
    }
    expect(policy.unjudged).toBe(3)
    policy.decide(input(uniform), uniform, output)
    expect(output.hyperParameters.map(({ name }) => name)).toEqual(['alpha', 'lambda'])
  })

  it('teaches policies, not tuners, what comes with draws of other candidates, and counts it', () => {
    const policy = syndicate()
    const before = policy.layers.map(({ tuner }) => [...tuner.state])
    const outcome = { arm: 'a', vector: Float64Array.of(1, 0, 0), reward: 1, propensity: 1 }
    const alpha = { name: 'alpha', value: 0.5, probability: 0.3 }
    policy.learn({ ...outcome, hyperParameters: [alpha, { name: 'lambda', value: 3, probability: 0.5 }] })
    policy.learn(outcome)
    expect(policy.layers.map(({ tuner }) => [...tuner.state])).toEqual(before)
    expect([policy.learned, policy.unjudged]).toEqual([2, 2])
    expect(policy.bases.map(({ learned }) => learned)).toEqual([2, 2])
    expect(refusal(() => policy.learn({ ...outcome, hyperParameters: [{ ...alpha, probability: 0 }] }))).toBe(
      'INVALID_PROPENSITY',
    )
    expect(policy.learned).toBe(2)
  })

  it('credits each candidate, as a shadow, with reward · P[it takes the arm]/propensity', () => {
    const policy = experienced(() => syndicate())
    const decision = input(seeded(12))
    const [alpha, lambda] = policy.layers.map(({ tuner }) => tuner.weigh(() => 0.5).slice())
    const gains = policy.layers.map(({ tuner }) => tuner.state.slice(-tuner.size))
    const arm = 2
    const takes = LAMBDAS.map((_, l) => {
      policy.bases[l]!.look(decision, () => 0.5)
      return ALPHAS.map((value) => {
        const p = new Float64Array(4)
        policy.bases[l]!.spread(value, 1, p)
        return p[arm]!
      })
    })
    const vector = decision.vectors.subarray(6, 9)
    policy.observe(decision, { arm: 'c', vector, reward: 5, propensity: 0.4 })
    const credit = 15 / 20 / 0.4
    ALPHAS.forEach((_, i) => {
      const share = lambda![0]! * takes[0]![i]! + lambda![1]! * takes[1]![i]!
      expect(policy.layers[0]!.tuner.state.at(i - 3)! - gains[0]![i]!).toBeCloseTo(credit * share, 10)
    })
    LAMBDAS.forEach((_, l) => {
      const share = ALPHAS.reduce((sum, _, i) => sum + alpha![i]! * takes[l]![i]!, 0)
      expect(policy.layers[1]!.tuner.state.at(l - 2)! - gains[1]![l]!).toBeCloseTo(credit * share, 10)
    })
    expect(refusal(() => policy.observe(decision, { arm: 'x', vector, reward: 5, propensity: 0.4 }))).toBe(
      'UNKNOWN_ARM',
    )
  })

  it('as a shadow of uniform arms credits candidates with what each would have earned', () => {
    // Arm 0 pays 1, the others nothing; ε = 0 finds it, ε = 1 does not look.
    const policy = syndicated(
      () => epsilonGreedy({ variant: 'disjoint', dimension: 1 }),
      { epsilon: [0, 1] },
      { horizon: 4_000 },
    )
    const uniform = seeded(3)
    const vectors = Float64Array.of(1, 1, 1, 1)
    for (let t = 0; t < 4_000; t++) {
      const a = Math.floor(4 * uniform())
      policy.observe(
        { arms: ARMS, vectors },
        { arm: ARMS[a]!, vector: Float64Array.of(1), reward: a === 0 ? 1 : 0, propensity: 0.25 },
      )
    }
    const [greedy, random] = policy.layers[0]!.tuner.state.slice(-2)
    expect(greedy! / 4_000).toBeCloseTo(1, 1)
    expect(random! / 4_000).toBeCloseTo(0.25, 1)
  })

  it('tunes α: far below the worst candidate', () => {
    const regretOf = (policy: Policy): number => {
      const environment = linearEnvironment({ dimension: 5, arms: 20, rewards: 'centred' }, seeded(21))
      const game = interaction({ policy, environment, uniform: seeded(22) })
      game.play(4_000)
      return game.regret
    }
    const base = (structural: object = {}) =>
      linUcb({ variant: 'shared', dimension: 5, alpha: 10, explorationFloor: 0, ...structural })
    const tuned = syndicated(
      base,
      { alpha: [0.01, 0.1, 10] },
      { horizon: 4_000, rewardRange: [-1, 1], explorationFloor: 0 },
    )
    expect(regretOf(tuned)).toBeLessThan(0.7 * regretOf(base()))
  })

  it('wraps a policy with a posterior: its probabilities are then estimates', () => {
    const policy = syndicated((given) => linTs({ variant: 'shared', dimension: 3, ...given }), {
      alpha: ALPHAS,
    })
    expect(policy.propensityKind).toBe('estimated')
    const output = decisionOutput(4)
    const uniform = seeded(2)
    policy.decide(input(uniform), uniform, output)
    expect(output.probabilities.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 12)
    const outcome = { arm: 'a', vector: Float64Array.of(1, 2, 3), reward: 1, propensity: 0.5 }
    const twin = syndicated((given) => linTs({ variant: 'shared', dimension: 3, ...given }), {
      alpha: ALPHAS,
    })
    for (const each of [policy, twin]) for (let t = 0; t < 5; t++) each.observe(input(seeded(t)), outcome)
    expect(twin.snapshot()).toEqual(policy.snapshot())
  })

  it('refuses snapshots of other candidates, reward ranges or tuners', () => {
    const bytes = experienced(() => syndicate()).snapshot()
    for (const options of [
      { rewardRange: [0, 1] },
      { tuner: 'combined' },
      { tuner: 'exp4' },
      { firstEpoch: 5 },
    ] as const)
      expect(refusal(() => syndicate(options).restore(bytes))).toBe('SNAPSHOT_MISMATCH')
    expect(refusal(() => syndicated(ucb, { alpha: ALPHAS }).restore(bytes))).toBe('SNAPSHOT_MISMATCH')
  })

  it('names the option that is wrong', () => {
    const wrong: [Record<string, number[]>, object, string][] = [
      [{}, {}, 'candidates'],
      [{ alpha: [] }, {}, 'candidates.alpha'],
      [{ alpha: [1, 1] }, {}, 'candidates.alpha'],
      [{ alpha: [Number.NaN] }, {}, 'candidates.alpha'],
      [{ corruption: [-1] }, {}, 'candidates.corruption'],
      [{ lambda: [0] }, {}, 'linUcb.lambda'],
      [{ alpha: [1] }, { tuner: 'best' }, 'syndicated.tuner'],
      [{ alpha: [1] }, { warmUp: -1 }, 'syndicated.warmUp'],
      [{ alpha: [1] }, { explorationFloor: 2 }, 'syndicated.explorationFloor'],
      [{ alpha: [1] }, { horizon: 0 }, 'horizon'],
      [{ alpha: [1] }, { firstEpoch: 0.5 }, 'firstEpoch'],
      [{ alpha: [1] }, { epochEnd: 'halve' }, 'epochEnd'],
      [{ alpha: [1] }, { rewardRange: [1, 0] }, 'rewardRange'],
      [{ alpha: [1] }, { tuner: 'thompson', draws: 0 }, 'draws'],
    ]
    for (const [candidates, options, name] of wrong)
      expect(() => syndicated(ucb, candidates, options)).toThrow(name)
  })
})
