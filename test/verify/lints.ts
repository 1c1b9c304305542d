/**
 * LinTS replayed on recorded contexts, noise and posterior draws: the arms it pulls, its last θ and its regret, for every run of the index; the run `tl`
 * tunes α by an EXP3 (tuning.ts).
 */
import { LinTs, type LinTsOptions } from '../../operators/bandits/index.ts'
import { type CaseKind, fileWith, isRecord, numberAt, numbersAt, type ReferenceCase } from './case.ts'
import { type LinearReplay, replayLinear } from './linear-replay.ts'
import { type LinearEnvironment, linUcbRuns } from './linucb.ts'
import { compareTuning, replayTuning } from './tuning.ts'

type Json = Readonly<Record<string, unknown>>

/** LinTS as the reference has it: one draw a decision, and `uniform` gives its normals themselves. */
export const recordedLinTs = (options: Omit<LinTsOptions, 'variant' | 'draws' | 'explorationFloor'>): LinTs =>
  new LinTs({ ...options, variant: 'shared', draws: 1, explorationFloor: 0 }, (z) => z)

/** The recorded normals: rounds × dimension. @throws Error where they are not as many */
export const recordedNormals = (reference: ReferenceCase, environment: LinearEnvironment): Float64Array => {
  const tensor = fileWith(reference, 'z')['z']
  if (!isRecord(tensor)) throw new Error("'z' is not a tensor")
  return numbersAt(tensor, 'data', environment.rounds * environment.dimension)
}

/** What a decision draws in each round: its recorded normals, then numbers that choose nothing where one arm has all probability. */
export const drawsOf =
  (normals: Float64Array, dimension: number) =>
  (round: number): (() => number) => {
    let drawn = 0
    return () => (drawn < dimension ? normals[round * dimension + drawn++]! : 0.5)
  }

/** Runs LinTS through an environment. */
export const replayLinTs = (
  environment: LinearEnvironment,
  normals: Float64Array,
  config: Json,
): LinearReplay & { readonly theta: Float64Array } => {
  const { dimension, sigma } = environment
  const policy = recordedLinTs({
    dimension,
    lambda: numberAt(config, 'lam'),
    ...(config['alpha'] === 'theory'
      ? {
          alpha: 'theory' as const,
          theory: { sigma, delta: numberAt(config, 'delta', 0.1), maxNorm: numberAt(config, 'L', 1) },
        }
      : { alpha: numberAt(config, 'alpha') }),
  })
  const replay = replayLinear(environment, policy, config['centred'] === true, drawsOf(normals, dimension))
  return { ...replay, theta: policy.theta() }
}

export const verifyLinTs: CaseKind = (reference, comparison) => {
  const { environment, runs } = linUcbRuns(reference)
  const normals = recordedNormals(reference, environment)
  for (const { name, config, expected } of runs) {
    if (config['tl'] === true) {
      const uniforms = numbersAt(fileWith(reference, 'uAlpha'), 'uAlpha', environment.rounds + 1)
      const replay = replayTuning(environment, config, 'each', [uniforms], normals)
      compareTuning(replay, expected, (quantity, found, wanted, fallback) =>
        comparison.numbers(quantity, found, wanted, name, fallback),
      )
      continue
    }
    const { arms, theta, regret } = replayLinTs(environment, normals, config)
    comparison.numbers('arms', arms, expected['arms'], name)
    comparison.numbers('theta', theta, expected['theta'], name)
    comparison.numbers('regret', regret, expected['regret'], name)
    comparison.numbers('finalRegret', regret.subarray(-1), expected['finalRegret'], name, 'regret')
  }
}
