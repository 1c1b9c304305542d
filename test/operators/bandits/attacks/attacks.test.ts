import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Attack,
  AttackBudget,
  contextAttack,
  garcelon,
  oracle,
  targetedContext,
  targetedReward,
} from '../../../../operators/bandits/attacks/index.ts'
import { interaction, linearEnvironment, linUcb } from '../../../../operators/bandits/index.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { goldenPath } from '../../../golden.ts'
import { verifyFolder } from '../../../verify/verify.ts'
import { refusal } from '../laws.ts'

const MEANS = Float64Array.of(0.5, -0.2, 0.1, 0.5, 0.3)
const WORST = 1

describe('attacks', () => {
  it('change the recorded rewards as the reference does, at its cost', async () => {
    expect(JSON.parse(readFileSync(join(goldenPath('bandits'), 'attack-rewards.json'), 'utf8'))).toBeTruthy()
    const results = await verifyFolder(goldenPath('bandits'), ['attack-rewards'])
    expect(results).toMatchObject([{ name: 'attack-rewards', passed: true }])
  })

  it('garcelon makes a reward pure noise, and leaves the worst arm alone', () => {
    const attack = garcelon({ budget: 10 })
    expect(attack.mean(MEANS, 0)).toBe(0)
    expect(attack.budget.cost).toBe(0.5)
    expect(attack.mean(MEANS, WORST)).toBe(-0.2)
    expect(attack.budget.attacks).toBe(1)
  })

  it('oracle takes a reward just below the worst, and costs nothing where it is there already', () => {
    const attack = oracle({ budget: 10, margin: 0.1, arms: 5 })
    expect(attack.mean(MEANS, 4)).toBeCloseTo(-0.3, 15)
    expect(attack.budget.cost).toBeCloseTo(0.6, 15)
    // Without a margin the worst arm is as low as it is to be.
    const gentle = oracle({ budget: 10, margin: 0, arms: 5 })
    expect(gentle.mean(MEANS, WORST)).toBe(-0.2)
    expect(gentle.budget.attacks).toBe(0)
  })

  it('context shows the vector of a good arm larger, at the cost of the difference', () => {
    const attack = contextAttack({ budget: 10, arms: 'topHalf', factor: 3 })
    const vector = Float64Array.of(0.3, 0.4)
    expect(attack.vector(MEANS, 2, vector)).toBe(false)
    expect(vector).toEqual(Float64Array.of(0.3, 0.4))
    expect(attack.vector(MEANS, 0, vector)).toBe(true)
    expect(vector[0]).toBeCloseTo(0.9, 15)
    expect(vector[1]).toBeCloseTo(1.2, 15)
    expect(attack.budget.cost).toBeCloseTo(1, 15)
  })

  it('targetedReward takes a mean to a share below that of its own arm, and leaves that arm and lower ones alone', () => {
    const means = Float64Array.of(0.9, 0.6, 0.2, 1.5, -0.3)
    const attack = targetedReward({ budget: 10, target: 1 })
    expect(attack.mean(means, 0)).toBeCloseTo(0.3, 15)
    expect(attack.budget.cost).toBeCloseTo(0.6, 15)
    expect(attack.mean(means, 1)).toBe(0.6)
    expect(attack.mean(means, 2)).toBe(0.2)
    expect(attack.mean(means, 4)).toBe(-0.3)
    expect(attack.budget.attacks).toBe(1)
    // Clipped: of 1.5 only 1 − (1 − ε)·0.6 is taken.
    expect(attack.mean(means, 3)).toBeCloseTo(0.8, 15)
    expect(attack.budget.cost).toBeCloseTo(1.3, 15)
    // Without a target of its own it is for the worst arm, whose mean counts 0 here.
    const worst = targetedReward({ budget: 10, epsilon: 0.1 })
    expect(worst.mean(means, 2)).toBe(0)
    expect(worst.mean(means, 4)).toBe(-0.3)
  })

  it('targetedContext shows a vector so long that half of what the target brings is learned of it', () => {
    const means = Float64Array.of(0.9, 0.6, 0.2, -0.1)
    const attack = targetedContext({ budget: 10, target: 1 })
    const vector = Float64Array.of(0.3, 0.4)
    expect(attack.vector(means, 1, vector)).toBe(false)
    expect(attack.vector(means, 2, vector)).toBe(false)
    expect(attack.vector(means, 3, vector)).toBe(false)
    expect(vector).toEqual(Float64Array.of(0.3, 0.4))
    expect(attack.vector(means, 0, vector)).toBe(true)
    expect(vector[0]).toBeCloseTo(0.9, 15)
    expect(vector[1]).toBeCloseTo(1.2, 15)
    expect(attack.budget.cost).toBeCloseTo(1, 15)
    // No length would do for an arm that brings nothing.
    const worst = targetedContext({ budget: 10 })
    expect(worst.vector(means, 0, vector)).toBe(false)
    expect(worst.budget.attacks).toBe(0)
  })

  it.each<[string, (budget: number) => Attack]>([
    ['targetedReward', (budget) => targetedReward({ budget })],
    ['targetedContext', (budget) => targetedContext({ budget })],
  ])('%s makes LinUCB take the worst arm, at a cost that grows slower than time', (_, make) => {
    const play = (attack?: Attack) => {
      const random = new Xoshiro128()
      random.seed(3, 1, 4, 1)
      const game = interaction({
        policy: linUcb({ variant: 'shared', dimension: 4, alpha: 0.5, lambda: 0.1, explorationFloor: 0 }),
        environment: linearEnvironment(
          { dimension: 4, arms: 4, contexts: 'fixed', rewards: 'unit' },
          random.uniform,
        ),
        uniform: random.uniform,
        ...(attack === undefined ? {} : { attack }),
      })
      game.play(2_000)
      const { regret, cost } = game
      game.play(2_000)
      return { first: { regret, cost }, regret: game.regret, cost: game.cost }
    }
    const free = play()
    const attacked = play(make(1e6))
    expect(attacked.regret).toBeGreaterThan(10 * free.regret)
    expect(attacked.cost).toBeGreaterThan(0)
    expect(attacked.cost - attacked.first.cost).toBeLessThan(attacked.first.cost)
  })

  it.each([
    ['strongest', [true, false, true, true, true]],
    ['topHalf', [true, false, false, true, false]],
    [1, [true, false, false, true, false]],
    [0, [false, false, false, false, false]],
    [9, [true, true, true, true, true]],
  ] as const)(
    '%s attacks the arms that are among so many best; equal arms are equally good',
    (arms, expected) => {
      const budget = new AttackBudget({ budget: 1, arms })
      expect([...MEANS].map((_, arm) => budget.allows(MEANS, arm))).toEqual(expected)
    },
  )

  it('stops once the budget is spent, going beyond by at most one attack', () => {
    const arm = fc.integer({ min: 0, max: 4 })
    const makers = [garcelon, oracle, targetedReward] as const
    fc.assert(
      fc.property(
        fc.array(arm, { maxLength: 200 }),
        fc.double({ min: 0, max: 30, noNaN: true }),
        fc.constantFrom(...makers),
        (arms, budget, make) => {
          const attack = make({ budget })
          let before = 0
          for (const each of arms) {
            const { cost, attacks } = attack.budget
            attack.mean(MEANS, each)
            if (attack.budget.attacks > attacks) {
              expect(cost).toBeLessThan(budget)
              before = cost
            } else expect(attack.budget.cost).toBe(cost)
          }
          expect(before).toBeLessThanOrEqual(budget)
        },
      ),
    )
  })

  it('refuses options that make no sense', () => {
    expect(refusal(() => garcelon({ budget: -1 }))).toBe('INVALID_CONFIG')
    expect(refusal(() => garcelon({ budget: Number.NaN }))).toBe('INVALID_CONFIG')
    expect(refusal(() => garcelon({ budget: 1, arms: 1.5 }))).toBe('INVALID_CONFIG')
    expect(refusal(() => oracle({ budget: 1, margin: -1 }))).toBe('INVALID_CONFIG')
    expect(refusal(() => contextAttack({ budget: 1, factor: Infinity }))).toBe('INVALID_CONFIG')
    expect(refusal(() => targetedReward({ budget: 1, epsilon: 1.1 }))).toBe('INVALID_CONFIG')
    expect(refusal(() => targetedReward({ budget: -1 }))).toBe('INVALID_CONFIG')
    expect(refusal(() => targetedContext({ budget: 1, target: -1 }))).toBe('INVALID_CONFIG')
    const beyond = targetedContext({ budget: 1, target: 5 })
    expect(refusal(() => beyond.vector(MEANS, 0, Float64Array.of(1)))).toBe('UNKNOWN_ARM')
  })
})
