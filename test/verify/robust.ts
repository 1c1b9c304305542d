/**
 * RobustBandit and its peers under attack, replayed on a recorded set of arms, noise and uniforms: the arms pulled, what the attack cost, regret, θ, and the
 * state of the EXP3 over levels. Levels are drawn first, as the reference does; the rest is the policies' own.
 */
import {
  type Attack,
  type AttackOptions,
  contextAttack,
  garcelon,
  LinTs,
  linUcb,
  oracle,
  robust,
  type TunablePolicy,
} from '../../operators/bandits/index.ts'
import { type CaseKind, fileWith, isRecord, numberAt, numbersAt } from './case.ts'
import { drawCandidates, favourite, recorded } from './drawn-candidates.ts'
import { type LinearEnvironment, linearEnvironment } from './linucb.ts'

type Json = Readonly<Record<string, unknown>>

const ATTACKS: Readonly<Record<string, (options: AttackOptions) => Attack>> = {
  garcelon,
  oracle,
  context: contextAttack,
}
/** Observed rewards that a run of the reference keeps. */
const KEPT = 200

/** What the attacked environment adds to a linear one. */
interface Inputs {
  readonly environment: LinearEnvironment
  readonly lambda: number
  readonly delta: number
  readonly levels: readonly number[]
  /** Of each round d normals. */
  readonly normals: Float64Array
  readonly uniforms: Float64Array
}

export interface AttackReplay {
  readonly arms: number[]
  readonly observed: number[]
  readonly attacked: number[]
  readonly regret: number[]
  readonly cost: number
  readonly theta: Float64Array
  /** Of the EXP3 over levels, where there is one. */
  readonly tuner:
    | { readonly p: Float64Array; readonly logWeights: Float64Array; readonly gamma: number }
    | undefined
}

export const replayAttack = (inputs: Inputs, config: Json): AttackReplay => {
  const { environment, lambda, delta, levels, normals, uniforms } = inputs
  const { rounds, arms: count, dimension: d, contexts, theta, noise, sigma } = environment
  const algorithm = String(config['algo'])
  const options = { variant: 'shared', dimension: d, lambda, explorationFloor: 0 } as const
  const theory = { alpha: 'theory', theory: { sigma, delta } } as const
  const make = (): TunablePolicy & { theta(): Float64Array } =>
    algorithm === 'lints'
      ? new LinTs({ ...options, ...theory, draws: 1 }, (z) => z)
      : linUcb({ ...options, ...(algorithm === 'greedy' ? { alpha: 0 } : theory) })
  const syndicate =
    algorithm === 'rb'
      ? robust(make, { levels, horizon: rounds, rewardRange: [-1, 1], explorationFloor: 0 })
      : undefined
  const policy = syndicate ?? make()
  const deciding = syndicate?.bases[0] ?? (policy as ReturnType<typeof make>)

  const attack = ATTACKS[String(config['attack'])]?.({
    budget: numberAt(config, 'C'),
    arms: numberAt(config, 'N'),
  })
  const means = Float64Array.from({ length: count }, (_, a) => {
    let product = 0
    for (let i = 0; i < d; i++) product += contexts[a * d + i]! * theta[i]!
    return product
  })
  const best = Math.max(...means)
  const ids = Array.from({ length: count }, (_, a) => String(a))
  const replay = {
    arms: [] as number[],
    observed: [] as number[],
    attacked: [] as number[],
    regret: [] as number[],
  }
  let lost = 0
  for (let t = 0; t < rounds; t++) {
    const draws = syndicate && recorded(syndicate, drawCandidates(syndicate, [uniforms], t))
    const choose = (vectors: Float64Array): number => {
      let at = t * d
      return favourite(
        deciding,
        { arms: ids, vectors },
        ({ exploration }) => exploration + (draws?.[0]?.value ?? 0),
        () => normals[at++]!,
      )
    }
    const before = attack?.budget.attacks ?? 0
    let vectors = contexts
    let arm = choose(vectors)
    if (attack?.on === 'context') {
      vectors = contexts.slice()
      if (attack.vector(means, arm, vectors.subarray(arm * d, (arm + 1) * d))) arm = choose(vectors)
    }
    const mean = attack?.on === 'reward' ? attack.mean(means, arm) : means[arm]!
    const reward = mean + sigma * noise[t]!
    policy.learn({
      arm: ids[arm]!,
      vector: vectors.subarray(arm * d, (arm + 1) * d),
      reward,
      propensity: 1,
      ...(draws === undefined ? {} : { hyperParameters: draws }),
    })
    if ((attack?.budget.attacks ?? 0) > before) replay.attacked.push(t)
    lost += best - means[arm]!
    replay.arms.push(arm)
    if (t < KEPT) replay.observed.push(reward)
    replay.regret.push(lost)
  }
  const tuner = syndicate?.layers[0]?.tuner
  return {
    ...replay,
    cost: attack?.budget.cost ?? 0,
    theta: deciding.theta(),
    tuner:
      tuner === undefined || !('logWeights' in tuner && 'gamma' in tuner)
        ? undefined
        : {
            p: tuner.weigh(() => 0.5).slice(),
            logWeights: tuner.logWeights as Float64Array,
            gamma: tuner.gamma as number,
          },
  }
}

export const attackInputs = (file: Json): Inputs => {
  const environment = linearEnvironment(file)
  const { rounds, dimension } = environment
  const { z, J } = file
  if (!isRecord(z) || !Array.isArray(J)) throw new Error("'z' or 'J' is missing")
  return {
    environment,
    lambda: numberAt(file, 'lambda'),
    delta: numberAt(file, 'delta'),
    levels: [...numbersAt(file, 'J', J.length)],
    normals: numbersAt(z, 'data', rounds * dimension),
    uniforms: numbersAt(file, 'u', rounds + 1),
  }
}

export const verifyRobust: CaseKind = (reference, comparison) => {
  const inputs = attackInputs(fileWith(reference, 'X', 'u', 'J'))
  const { runs } = fileWith(reference, 'runs')
  if (!isRecord(runs) || Object.keys(runs).length === 0) throw new Error('no runs')
  for (const [name, expected] of Object.entries(runs)) {
    if (!isRecord(expected) || !isRecord(expected['config'])) throw new Error(`run '${name}' has no settings`)
    const { arms, observed, attacked, regret, cost, theta, tuner } = replayAttack(inputs, expected['config'])
    const { observedReward } = expected
    comparison.numbers('arms', arms, expected['arms'], name)
    comparison.numbers('finalRegret', regret.slice(-1), expected['finalRegret'], name)
    comparison.numbers(
      'regretEvery100',
      regret.filter((_, t) => t % 100 === 99),
      expected['regretEvery100'],
      name,
      'finalRegret',
    )
    comparison.numbers('cost', [cost], expected['cost'], name)
    comparison.numbers('theta', theta, expected['theta'], name, 'finalRegret')
    if (!isRecord(observedReward)) throw new Error(`run '${name}' has no observed rewards`)
    comparison.numbers('observedReward', observed, observedReward['data'], name, 'p')
    const rounds = expected['attacked']
    if (Array.isArray(rounds) && rounds.length + attacked.length > 0)
      comparison.numbers('attacked', attacked, rounds, name, 'arms')
    if (tuner === undefined) continue
    comparison.numbers('p', tuner.p, expected['p'], name)
    comparison.numbers('logw', tuner.logWeights, expected['logw'], name, 'finalRegret')
    comparison.numbers('gamma', [tuner.gamma], expected['gamma'], name, 'p')
  }
}
