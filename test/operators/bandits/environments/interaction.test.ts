import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Attack, contextAttack, garcelon, oracle } from '../../../../operators/bandits/attacks/index.ts'
import { interaction } from '../../../../operators/bandits/environments/interaction.ts'
import { linearEnvironment } from '../../../../operators/bandits/environments/linear.ts'
import { loggedEnvironment } from '../../../../operators/bandits/environments/logged.ts'
import { linUcb } from '../../../../operators/bandits/policies/lin-ucb.ts'
import type { LearningInput, Policy } from '../../../../operators/bandits/policy.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { goldenPath } from '../../../golden.ts'
import { refusal } from '../laws.ts'
import { golden, type Json, recordedEnvironment } from './recorded.ts'

const inputs = golden('inputs-attack.json')
/** Too large for the copy in this checkout. */
const whole = existsSync(join(goldenPath('bandits'), 'robust.json'))
if (!whole) console.warn('SKIPPED, robust.json is not here: the reference runs under attack')
const runs = whole ? (golden('robust.json')['runs'] as Readonly<Record<string, Json>>) : {}

const ATTACKS = { garcelon, oracle, context: contextAttack } as const

/** The policies of the reference that draw nothing. */
const policyOf = (algorithm: unknown): Policy =>
  linUcb({
    variant: 'shared',
    dimension: 10,
    lambda: 0.1,
    explorationFloor: 0,
    ...(algorithm === 'greedy'
      ? { alpha: 0 }
      : { alpha: 'theory' as const, theory: { sigma: 0.1, delta: 0.01, maxNorm: 1 } }),
  })

const attackOf = ({ attack, N, C }: Json): Attack | undefined =>
  attack === 'none'
    ? undefined
    : ATTACKS[attack as keyof typeof ATTACKS]({ budget: C as number, arms: N as number })

const seeded = (seed: number): Xoshiro128 => {
  const random = new Xoshiro128()
  random.seed(seed, 1, 2, 3)
  return random
}

describe.skipIf(!whole)('the reference runs under attack', () => {
  const names = Object.keys(runs).filter((name) => /^(linucb|greedy)\//.test(name))

  it.each(names)('%s takes the same arms, at the same cost', (name) => {
    const expected = runs[name] as Json
    const config = expected['config'] as Json
    const environment = recordedEnvironment(inputs)
    const attack = attackOf(config)
    const game = interaction({
      policy: policyOf(config['algo']),
      environment,
      uniform: () => 0,
      ...(attack === undefined ? {} : { attack }),
    })
    const arms: number[] = []
    const attacked: number[] = []
    for (let t = 0; t < environment.rounds; t++) {
      game.play(1)
      arms.push(game.arm)
      if (game.lastAttacked === t) attacked.push(t)
    }
    expect(arms).toEqual(expected['arms'])
    expect(attacked).toEqual(expected['attacked'])
    expect(Math.abs(game.regret - (expected['finalRegret'] as number))).toBeLessThan(1e-7)
    expect(Math.abs(game.cost - (expected['cost'] as number))).toBeLessThan(1e-8)
  })
})

describe('an interaction', () => {
  const environment = () => linearEnvironment({ dimension: 3, arms: 4, rewards: 'unit' }, seeded(1).uniform)

  it('hands over a reward so many rounds after its decision, and the vector of that decision', () => {
    const learned: LearningInput[] = []
    const policy = linUcb({ variant: 'shared', dimension: 3 })
    const spied = Object.create(policy) as Policy
    Object.defineProperties(spied, {
      decide: { value: policy.decide.bind(policy) },
      learn: {
        value: (outcome: LearningInput) => void learned.push({ ...outcome, vector: outcome.vector.slice() }),
      },
    })
    const world = environment()
    const decided: { arm: string; vector: Float64Array; reward: number }[] = []
    const game = interaction({ policy: spied, environment: world, uniform: seeded(2).uniform, delay: 3 })
    for (let t = 0; t < 10; t++) {
      game.play(1)
      const vector = world.input.vectors.slice(game.arm * 3, (game.arm + 1) * 3)
      decided.push({ arm: String(game.arm), vector, reward: world.reward(game.arm) })
      expect(learned.map(({ arm, vector, reward }) => ({ arm, vector, reward }))).toEqual(
        decided.slice(0, Math.max(0, t - 2)),
      )
    }
  })

  it('shows policies of all kinds the same rounds: a different choice changes no later round', () => {
    const rounds = (alpha: number) => {
      const world = environment()
      const policy = linUcb({ variant: 'shared', dimension: 3, alpha, explorationFloor: alpha })
      const game = interaction({ policy, environment: world, uniform: seeded(2).uniform })
      const seen: number[][] = []
      for (let t = 0; t < 20; t++) {
        game.play(1)
        seen.push([...world.input.vectors, ...world.means, world.reward(0)])
      }
      return seen
    }
    expect(rounds(1)).toEqual(rounds(0))
  })

  it('counts the true rewards, whatever an attack makes of them', () => {
    const play = (attack?: Attack) => {
      const policy = linUcb({ variant: 'shared', dimension: 3, explorationFloor: 1 })
      const game = interaction({
        policy,
        environment: environment(),
        uniform: seeded(2).uniform,
        ...(attack === undefined ? {} : { attack }),
      })
      game.play(50)
      return { regret: game.regret, reward: game.reward }
    }
    expect(play(garcelon({ budget: 5 }))).toEqual(play())
  })

  it('leaves the vectors of an environment as they were, whatever was shown', () => {
    const world = linearEnvironment({ dimension: 3, arms: 4, contexts: 'fixed' }, seeded(1).uniform)
    const before = world.input.vectors.slice()
    const policy = linUcb({ variant: 'shared', dimension: 3 })
    const attack = contextAttack({ budget: 100 })
    interaction({ policy, environment: world, attack, uniform: seeded(2).uniform }).play(50)
    expect(attack.budget.attacks).toBeGreaterThan(10)
    expect(world.input.vectors).toEqual(before)
  })

  it('lets only those rounds of a log count whose arm was taken, learns from no other, and ends with the log', () => {
    const log = {
      arms: ['a', 'b'],
      dimension: 1,
      contexts: new Float64Array(400).fill(1),
      taken: Int32Array.from({ length: 400 }, (_, t) => t % 2),
      propensities: new Float64Array(400).fill(0.5),
      rewards: Float64Array.from({ length: 400 }, (_, t) => t % 2),
    }
    const policy = linUcb({ variant: 'disjoint', dimension: 1, explorationFloor: 0 })
    const environment = loggedEnvironment(log, seeded(1).uniform)
    const game = interaction({ policy, environment, uniform: seeded(2).uniform })
    game.play(1_000)
    expect(game.rounds).toBe(400)
    expect(policy.learned).toBe(game.counted)
    expect(game.counted).toBeGreaterThan(190)
    expect(game.reward / game.counted).toBeGreaterThan(0.95)
    expect(game.regret).toBeNaN()
  })

  it('refuses what does not fit together', () => {
    const uniform = () => 0.5
    const policy = linUcb({ variant: 'shared', dimension: 2 })
    const world = linearEnvironment({ dimension: 2, arms: 2 }, uniform)
    const log = loggedEnvironment(
      {
        arms: ['a'],
        dimension: 2,
        contexts: new Float64Array(2),
        taken: new Int32Array(1),
        propensities: Float64Array.of(1),
        rewards: new Float64Array(1),
      },
      uniform,
    )
    const refused = (options: Partial<Parameters<typeof interaction>[0]>) =>
      refusal(() => interaction({ policy, environment: world, uniform, ...options }))
    expect(refused({})).toBeUndefined()
    expect(refused({ policy: linUcb({ variant: 'shared', dimension: 3 }) })).toBe('INVALID_CONFIG')
    expect(refused({ environment: log, attack: oracle({ budget: 1 }) })).toBe('INVALID_CONFIG')
    expect(refused({ delay: -1 })).toBe('INVALID_CONFIG')
  })
})
