/**
 * One run: the environment and the policy each draw from a generator of their own, seeded by the seed and a name, so that a run comes out the same
 * whatever else is simulated beside it, and policies meet the same rounds.
 */
import {
  type Attack,
  contextAttack,
  garcelon,
  oracle,
  targetedContext,
  targetedReward,
} from '../../operators/bandits/attacks/index.ts'
import {
  classificationEnvironment,
  driftingEnvironment,
  type Environment,
  Interaction,
  linearEnvironment,
  loggedEnvironment,
  logisticEnvironment,
} from '../../operators/bandits/environments/index.ts'
import type { Policy } from '../../operators/bandits/policy.ts'
import { createPolicy } from '../../operators/bandits/state/definition.ts'
import { DecisionRandom } from '../../operators/numerics/random.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { EnvironmentData } from './data.ts'
import type {
  AttackSpec,
  EnvironmentSpec,
  Run,
  RunResult,
  Simulation,
  SimulationPolicy,
} from './simulation.ts'

/** Rounds played between two looks at the clock. */
const STRIDE = 200

/**
 * @param onProgress told now and then how many rounds were played since it was told last
 * @throws MillraceError as the policy, naming the run
 */
export const playRun = (
  run: Run,
  { rounds, points, delay }: Pick<Simulation, 'rounds' | 'points' | 'delay'>,
  data: EnvironmentData,
  onProgress: (rounds: number) => void = () => {},
): RunResult => {
  try {
    const environment = openEnvironment(run.environment, data, generator(run.seed, run.environment.name))
    const attack = openAttack(run.attack)
    const game = new Interaction({
      policy: openPolicy(run.policy, environment),
      environment,
      uniform: generator(run.seed, `policy ${run.policy.name}`),
      delay,
      ...(attack === undefined ? {} : { attack }),
    })
    return curvesOf(game, Math.min(rounds, environment.rounds), points, onProgress)
  } catch (cause) {
    if (!(cause instanceof MillraceError)) throw cause
    throw new MillraceError(cause.code, `${runName(run)}: ${cause.message}`, { cause })
  }
}

const curvesOf = (
  game: Interaction,
  rounds: number,
  points: number,
  onProgress: (rounds: number) => void,
): RunResult => {
  const curves = {
    rounds: [] as number[],
    regret: [] as (number | null)[],
    reward: [] as number[],
    counted: [] as number[],
    cost: [] as number[],
    attacks: [] as number[],
  }
  const count = Math.min(points, rounds)
  for (let point = 1; point <= count; point++) {
    const until = Math.round((rounds * point) / count)
    while (game.rounds < until) {
      const before = game.rounds
      game.play(Math.min(STRIDE, until - before))
      onProgress(game.rounds - before)
    }
    curves.rounds.push(game.rounds)
    curves.regret.push(Number.isNaN(game.regret) ? null : game.regret)
    curves.reward.push(game.counted === 0 ? 0 : game.reward / game.counted)
    curves.counted.push(game.counted)
    curves.cost.push(game.cost)
    curves.attacks.push(game.attacks)
  }
  return { ...curves, lastAttacked: game.lastAttacked }
}

/** How a run is called where something must be said of it. */
export const runName = ({ policy, environment, attack, seed }: Run): string =>
  `${policy.name} in ${environment.name}${attack.kind === 'none' ? '' : ` under ${attack.name}`}, seed ${seed}`

/** @throws MillraceError INVALID_CONFIG, INVALID_PROPENSITY */
export const openEnvironment = (
  spec: EnvironmentSpec,
  data: EnvironmentData,
  uniform: () => number,
): Environment => {
  if (data.kind === 'examples') return classificationEnvironment(data.examples, uniform)
  if (data.kind === 'log') return loggedEnvironment(data.log, uniform)
  switch (spec.kind) {
    case 'linear':
      return linearEnvironment(spec, uniform)
    case 'logistic':
      return logisticEnvironment(spec, uniform)
    case 'drifting':
      return driftingEnvironment(spec, uniform)
    default:
      throw new MillraceError('INVALID_CONFIG', `environment ${spec.name}: its data were not read`)
  }
}

/** @throws MillraceError INVALID_CONFIG */
export const openAttack = (spec: AttackSpec): Attack | undefined => {
  switch (spec.kind) {
    case 'none':
      return undefined
    case 'garcelon':
      return garcelon(spec)
    case 'oracle':
      return oracle(spec)
    case 'context':
      return contextAttack(spec)
    case 'targetedReward':
      return targetedReward(spec)
    case 'targetedContext':
      return targetedContext(spec)
  }
}

/** A policy of the environment's dimension. @throws MillraceError INVALID_CONFIG */
export const openPolicy = (
  { algorithm, explorationFloor }: SimulationPolicy,
  { dimension, input }: Environment,
): Policy =>
  createPolicy({
    algorithm: input.oneVector === true ? algorithm.disjoint : algorithm.shared,
    features: { dense: dimension },
    explorationFloor,
  })

const generator = (seed: number, name: string): (() => number) => {
  const random = new DecisionRandom(String(seed), name, 1)
  random.reseed('')
  return random.uniform
}
