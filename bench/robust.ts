/**
 * Robustness: regret on a fixed set of arms (K = 20, d = 10, σ = .1, λ = .1, δ = .01) over 100,000 rounds, without attack and with reward attacks on the ten best arms of
 * total cost 1,000; the mean of five seeds. RobustBandit of the paper, LinUCB and LinTS, and beside them this project's extensions, named as such.
 * One policy plays at a time, in this process.
 */
import {
  type Attack,
  garcelon,
  interaction,
  linearEnvironment,
  linTs,
  linUcb,
  oracle,
  type Policy,
  restarting,
  robust,
} from '../operators/bandits/index.ts'
import { Xoshiro128 } from '../operators/numerics/random.ts'
import type { BenchReport, BenchRow } from './report.ts'

const ROUNDS = 100_000
const BUDGET = 1_000
const SEEDS = [1, 2, 3, 4, 5]
const LEVELS = [0, 0.5, 1, 2, 4, 8, 16]
const LAMBDA = 0.1
const SIGMA = 0.1

const linear = {
  variant: 'shared',
  dimension: 10,
  lambda: LAMBDA,
  alpha: 'theory',
  theory: { sigma: SIGMA, delta: 0.01 },
  explorationFloor: 0,
} as const
const tuned = { levels: LEVELS, rewardRange: [-1, 1], explorationFloor: 0 } as const
const ucb = () => linUcb(linear)
const restartingUcb = () => restarting(ucb, { sigma: SIGMA, lambda: LAMBDA, explorationFloor: 0 })

const POLICIES: Readonly<Record<string, () => Policy>> = {
  LinUCB: ucb,
  LinTS: () => linTs({ ...linear, draws: 1 }),
  RobustBandit: () => robust(ucb, { ...tuned, horizon: ROUNDS }),
  'RobustBandit, its own grid': () =>
    robust(ucb, {
      rewardRange: [-1, 1],
      explorationFloor: 0,
      lambda: LAMBDA,
      horizon: ROUNDS,
      levels: 'paper',
    }),
  'RobustBandit, doubling': () => robust(ucb, tuned),
  'extension: restarting LinUCB': restartingUcb,
  'extension: EXP4': () => robust(ucb, { ...tuned, tuner: 'exp4', horizon: ROUNDS }),
  'extension: EXP4 over restarting': () =>
    robust(restartingUcb, { ...tuned, tuner: 'exp4', horizon: ROUNDS }),
  'extension: EXP4 over restarting, doubling': () => robust(restartingUcb, { ...tuned, tuner: 'exp4' }),
}

const ATTACKS: Readonly<Record<string, () => Attack | undefined>> = {
  none: () => undefined,
  oracle: () => oracle({ budget: BUDGET, arms: 10 }),
  garcelon: () => garcelon({ budget: BUDGET, arms: 10 }),
}

const uniformOf = (seed: number, stream: number): (() => number) => {
  const random = new Xoshiro128()
  random.seed(seed, stream, 77, 1_234_567)
  for (let i = 0; i < 20; i++) random.next()
  return random.uniform
}

const regretOf = (make: () => Policy, attack: Attack | undefined, seed: number): number => {
  const environment = linearEnvironment(
    { dimension: 10, arms: 20, contexts: 'fixed', rewards: 'product', sigma: SIGMA },
    uniformOf(seed, 1),
  )
  const game = interaction({
    policy: make(),
    environment,
    uniform: uniformOf(seed, 2),
    ...(attack === undefined ? {} : { attack }),
  })
  game.play(ROUNDS)
  return game.regret
}

export const run = async (): Promise<BenchReport> => {
  const rows: BenchRow[] = []
  const ratios: Record<string, number> = {}
  const reference: Record<string, number> = {}
  for (const [policy, make] of Object.entries(POLICIES)) {
    const row: Record<string, string | number> = { who: policy, rounds: ROUNDS, seeds: SEEDS.length }
    for (const [name, attack] of Object.entries(ATTACKS)) {
      const regrets = SEEDS.map((seed) => regretOf(make, attack(), seed))
      const mean = regrets.reduce((sum, regret) => sum + regret, 0) / regrets.length
      row[`${name}Regret`] = mean
      row[`${name}Worst`] = Math.max(...regrets)
      reference[name] ??= mean
      // Regret, not throughput: below 1 is better than LinUCB.
      ratios[`robust.${policy}.${name}.linucb`] = mean / reference[name]
    }
    rows.push(row)
  }
  return { bench: 'robust', rows, ratios, missing: [] }
}
