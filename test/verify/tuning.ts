/**
 * Tuning of hyper-parameters replayed on recorded contexts, noise and uniforms: TL (one EXP3 over α), Syndicated (another over λ) and Combined (one over the
 * product). The policies regress 2y − 1 where a run is centred, the tuners count y as it is.
 */
import {
  LinTs,
  linUcb,
  type Syndicate,
  syndicated,
  type TunablePolicy,
} from '../../operators/bandits/index.ts'
import { type CaseKind, fileWith, isRecord, numberAt, numbersAt } from './case.ts'
import { drawCandidates, favourite, recorded } from './drawn-candidates.ts'
import { type LinearEnvironment, linearEnvironment } from './linucb.ts'

type Json = Readonly<Record<string, unknown>>

export interface TuningReplay {
  readonly arms: number[]
  readonly regret: number[]
  /** Of each round the candidates in force, by layer. */
  readonly indices: number[][]
  /** Of each layer, after so many rounds: probabilities and log-weights. */
  readonly checkpoints: Map<number, { p: Float64Array; logWeights: Float64Array }[]>
  readonly theta: Float64Array
}

/** A run of TL or one of its kin over LinUCB or, where normals are given, LinTS. */
export const replayTuning = (
  environment: LinearEnvironment,
  config: Json,
  kind: 'each' | 'combined',
  uniforms: readonly Float64Array[],
  normals?: Float64Array,
): TuningReplay => {
  const { rounds, arms: count, dimension: d, contexts, theta, noise, sigma } = environment
  const alpha = config['J'] as number[]
  const lambda = (config['lambdas'] ?? [numberAt(config, 'lam', 1)]) as number[]
  const centred = config['centred'] === true
  const options = { variant: 'shared', dimension: d, explorationFloor: 0 } as const
  const base = (structural: Readonly<Record<string, number>>): TunablePolicy & { theta(): Float64Array } =>
    normals === undefined
      ? linUcb({ ...options, lambda: lambda[0]!, ...structural })
      : new LinTs({ ...options, lambda: lambda[0]!, ...structural, draws: 1 }, (z) => z)
  const syndicate = syndicated(base, lambda.length === 1 ? { alpha } : { alpha, lambda }, {
    tuner: kind === 'combined' ? 'combined' : 'exp3',
    horizon: rounds,
    rewardRange: centred ? [-1, 1] : [0, 1],
    clip: false,
    explorationFloor: 0,
  })
  const ids = Array.from({ length: count }, (_, a) => String(a))
  const replay = { arms: [] as number[], regret: [] as number[], indices: [] as number[][] }
  const checkpoints: TuningReplay['checkpoints'] = new Map()
  let lost = 0
  let last = 0
  for (let t = 0; t < rounds; t++) {
    const indices = drawCandidates(syndicate, uniforms, t)
    const draws = recorded(syndicate, indices)
    const inForce = (name: string): number | undefined => draws.find((draw) => draw.name === name)?.value
    last = Math.max(lambda.indexOf(inForce('lambda') ?? lambda[0]!), 0)
    const vectors = contexts.subarray(t * count * d, (t + 1) * count * d)
    let at = t * d
    const arm = favourite(
      syndicate.bases[last]!,
      { arms: ids, vectors },
      () => inForce('alpha')!,
      () => normals?.[at++] ?? 0.5,
    )
    const means = ids.map((_, a) => {
      let product = 0
      for (let i = 0; i < d; i++) product += vectors[a * d + i]! * theta[i]!
      return (product + 1) / 2
    })
    const observed = means[arm]! + sigma * noise[t]!
    syndicate.learn({
      arm: ids[arm]!,
      vector: vectors.subarray(arm * d, (arm + 1) * d),
      reward: centred ? 2 * observed - 1 : observed,
      propensity: 1,
      hyperParameters: draws,
    })
    lost += Math.max(...means) - means[arm]!
    replay.arms.push(arm)
    replay.indices.push(indices)
    replay.regret.push(lost)
    checkpoints.set(t + 1, tunersOf(syndicate))
  }
  // θ under the λ that the next round would use.
  const next = recorded(syndicate, drawCandidates(syndicate, uniforms, rounds))
  last = Math.max(lambda.indexOf(next.find(({ name }) => name === 'lambda')?.value ?? lambda[0]!), 0)
  return { ...replay, checkpoints, theta: (syndicate.bases[last] as ReturnType<typeof base>).theta() }
}

const tunersOf = ({ layers }: Syndicate): { p: Float64Array; logWeights: Float64Array }[] =>
  layers.map(({ tuner }) => {
    if (!('logWeights' in tuner)) throw new Error('the tuner is no EXP3')
    return { p: tuner.weigh(() => 0.5).slice(), logWeights: tuner.logWeights as Float64Array }
  })

export const verifyTuning: CaseKind = (reference, comparison) => {
  const inputs = fileWith(reference, 'X', 'uAlpha', 'uLambda')
  const environment = linearEnvironment(inputs)
  const { runs } = fileWith(reference, 'runs')
  if (!isRecord(runs)) throw new Error('no runs')
  const uniforms = ['uAlpha', 'uLambda'].map((key) => numbersAt(inputs, key, environment.rounds + 1))
  for (const [name, config] of Object.entries(reference.config)) {
    const expected = runs[name]
    if (!isRecord(config) || !isRecord(expected)) throw new Error(`run '${name}' has no results`)
    const replay = replayTuning(
      environment,
      config,
      name.startsWith('combined') ? 'combined' : 'each',
      uniforms,
    )
    compareTuning(replay, expected, (quantity, found, wanted, fallback) =>
      comparison.numbers(quantity, found, wanted, name, fallback),
    )
  }
}

/** Holds a replay against a reference run; log-weights are held to the tolerance of p, relative to their size. */
export const compareTuning = (
  { arms, regret, indices, checkpoints, theta }: TuningReplay,
  expected: Json,
  compare: (quantity: string, found: ArrayLike<number>, wanted: unknown, fallback?: string) => void,
): void => {
  compare('arms', arms, expected['arms'])
  compare('regret', regret, expected['regret'])
  if ('theta' in expected) compare('theta', theta, expected['theta'], 'regret')
  const names = ['alpha', 'lambda'] as const
  const stages = expected['checkpoints']
  if (!isRecord(stages)) throw new Error('no checkpoints')
  names.forEach((name, l) => {
    const key = `${name}IndexUsed`
    const used = indices.map((each) => each[l] ?? -1)
    if (key in expected) compare(key, used, expected[key], 'arms')
    for (const [after, stage] of Object.entries(stages)) {
      if (!isRecord(stage) || !(name in stage)) continue
      const found = checkpoints.get(Number(after))?.[l]
      if (found === undefined) throw new Error(`nothing at checkpoint ${after}`)
      compare('p', found.p, stage[name], 'regret')
      compare('logw', found.logWeights, stage[`logw_${name}`], 'regret')
    }
  })
}
