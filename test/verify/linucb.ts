/**
 * LinUCB replayed on recorded contexts and noise: the arms it pulls, its last θ and its regret, for every run of the index.
 * Conventions: the set's README (mean (x·θ + 1)/2, `centred` regresses 2y − 1, regret in means).
 */
import { decisionOutput, type LinUcbOptions, linUcb } from '../../operators/bandits/index.ts'
import { type CaseKind, fileWith, isRecord, numberAt, numbersAt, type ReferenceCase } from './case.ts'

type Json = Readonly<Record<string, unknown>>

/** The recorded environment: contexts, true weights and noise. */
export interface LinearEnvironment {
  readonly rounds: number
  readonly arms: number
  readonly dimension: number
  readonly sigma: number
  readonly theta: Float64Array
  /** rounds × arms × dimension, or arms × dimension where they stay. */
  readonly contexts: Float64Array
  readonly noise: Float64Array
}

/** @throws Error where an array is missing, of another shape or not finite */
export const linearEnvironment = (inputs: Json): LinearEnvironment => {
  const rounds = numberAt(inputs, 'T')
  const arms = numberAt(inputs, 'K')
  const dimension = numberAt(inputs, 'd')
  const tensor = inputs['X']
  if (!isRecord(tensor) || !Array.isArray(tensor['shape'])) throw new Error("'X' is not a tensor")
  const shape = tensor['shape'].join('×')
  const fixed = `${arms}×${dimension}`
  if (shape !== fixed && shape !== `${rounds}×${fixed}`) throw new Error(`'X' is ${shape}`)
  return {
    rounds,
    arms,
    dimension,
    sigma: numberAt(inputs, 'sigma'),
    theta: numbersAt(inputs, 'theta', dimension),
    contexts: numbersAt(tensor, 'data', (shape === fixed ? 1 : rounds) * arms * dimension),
    noise: numbersAt(inputs, 'noise', rounds),
  }
}

export interface Replay {
  readonly arms: Int32Array
  readonly theta: Float64Array
  /** Running sum. */
  readonly regret: Float64Array
}

/** Runs LinUCB through an environment. */
export const replayLinUcb = (environment: LinearEnvironment, config: Json): Replay => {
  const { rounds, arms: count, dimension: d, contexts, theta, noise } = environment
  const sigma = numberAt(config, 'sigma', environment.sigma)
  const options: LinUcbOptions = {
    variant: 'shared',
    dimension: d,
    lambda: numberAt(config, 'lambda' in config ? 'lambda' : 'lam'),
    explorationFloor: 0,
    ...(config['alpha'] === 'theory'
      ? {
          alpha: 'theory' as const,
          theory: { sigma, delta: numberAt(config, 'delta', 0.1), maxNorm: numberAt(config, 'L', 1) },
        }
      : { alpha: numberAt(config, 'alpha') }),
  }
  const policy = linUcb(options)
  const ids = Array.from({ length: count }, (_, a) => String(a))
  const output = decisionOutput(count)
  const arms = new Int32Array(rounds)
  const regret = new Float64Array(rounds)
  let lost = 0
  for (let t = 0; t < rounds; t++) {
    const start = contexts.length === count * d ? 0 : t * count * d
    const vectors = contexts.subarray(start, start + count * d)
    policy.decide({ arms: ids, vectors }, () => 0, output)
    const means = ids.map((_, a) => {
      let product = 0
      for (let i = 0; i < d; i++) product += vectors[a * d + i]! * theta[i]!
      return (product + 1) / 2
    })
    const arm = output.arm
    const observed = means[arm]! + sigma * noise[t]!
    const reward = config['centred'] === true ? 2 * observed - 1 : observed
    policy.learn({
      arm: ids[arm]!,
      vector: vectors.subarray(arm * d, (arm + 1) * d),
      reward,
      propensity: output.probabilities[arm]!,
    })
    lost += Math.max(...means) - means[arm]!
    arms[t] = arm
    regret[t] = lost
  }
  return { arms, theta: policy.theta(), regret }
}

/** The runs of a case, by name, with the settings of the index and the reference results. */
export const linUcbRuns = (
  reference: ReferenceCase,
): { environment: LinearEnvironment; runs: { name: string; config: Json; expected: Json }[] } => {
  const results = fileWith(reference, 'runs')['runs']
  const configs = reference.config['runs']
  if (!isRecord(results) || !isRecord(configs)) throw new Error('no runs')
  const names = [...new Set([...Object.keys(configs), ...Object.keys(results)])]
  if (names.length === 0) throw new Error('no runs')
  const runs = names.map((name) => {
    const config = configs[name]
    const expected = results[name]
    if (!isRecord(config)) throw new Error(`run '${name}' is not in the index`)
    if (!isRecord(expected)) throw new Error(`run '${name}' has no results`)
    return { name, config, expected }
  })
  return { environment: linearEnvironment(fileWith(reference, 'X', 'noise')), runs }
}

export const verifyLinUcb: CaseKind = (reference, comparison) => {
  const { environment, runs } = linUcbRuns(reference)
  for (const { name, config, expected } of runs) {
    const { arms, theta, regret } = replayLinUcb(environment, config)
    comparison.numbers('arms', arms, expected['arms'], name)
    comparison.numbers('theta', theta, expected['theta'], name)
    comparison.numbers('regret', regret, expected['regret'], name)
    comparison.numbers('finalRegret', regret.subarray(-1), expected['finalRegret'], name, 'regret')
  }
}
