/**
 * UCB-GLM with the exact fit, replayed on recorded contexts and uniforms: the arms it pulls, θ before some rounds and after the last, and its regret.
 * Conventions: the set's README (mean logistic(x·θ), two warm-up rounds whose second label is flipped where both rewards agree, regret in means).
 */
import { decisionOutput, ucbGlm } from '../../operators/bandits/index.ts'
import { type CaseKind, fileWith, isRecord, numberAt, numbersAt } from './case.ts'

type Json = Readonly<Record<string, unknown>>

/** The recorded environment. */
export interface LogisticRecording {
  readonly rounds: number
  readonly arms: number
  readonly dimension: number
  readonly theta: Float64Array
  /** rounds × arms × dimension. */
  readonly contexts: Float64Array
  readonly uniforms: Float64Array
  readonly warmupArms: Float64Array
}

/** @throws Error where an array is missing, of another shape or not finite */
export const logisticRecording = (inputs: Json): LogisticRecording => {
  const rounds = numberAt(inputs, 'T')
  const arms = numberAt(inputs, 'K')
  const dimension = numberAt(inputs, 'd')
  const tensor = inputs['X']
  const warmup = inputs['warmupArms']
  if (!isRecord(tensor) || !Array.isArray(warmup)) throw new Error("no 'X' or no 'warmupArms'")
  return {
    rounds,
    arms,
    dimension,
    theta: numbersAt(inputs, 'theta', dimension),
    contexts: numbersAt(tensor, 'data', rounds * arms * dimension),
    uniforms: numbersAt(inputs, 'u', rounds),
    warmupArms: numbersAt(inputs, 'warmupArms', warmup.length),
  }
}

export interface GlmReplay {
  readonly arms: Int32Array
  readonly labels: Int32Array
  /** Round → the θ it was decided by. */
  readonly thetaBefore: ReadonlyMap<number, Float64Array>
  readonly theta: Float64Array
  /** Running sum. */
  readonly regret: Float64Array
}

/** Runs UCB-GLM through a recording. @param fit `exact` is what the reference computed */
export const replayUcbGlm = (
  recording: LogisticRecording,
  config: Json,
  fit: 'exact' | 'streaming' = 'exact',
): GlmReplay => {
  const { rounds, arms: count, dimension: d, contexts, theta, uniforms, warmupArms } = recording
  const lambda = numberAt(config, 'lam')
  const theory = {
    sigma: numberAt(config, 'sigma', 0.5),
    delta: numberAt(config, 'delta', 0.1),
    maxNorm: numberAt(config, 'L', 1),
  }
  const alpha = config['alpha'] === 'theory' ? 'theory' : numberAt(config, 'alpha')
  const ridge = numberAt(config, 'ridge', lambda)
  const policy = ucbGlm({
    ...{ variant: 'shared', dimension: d, link: 'logistic', fit },
    ...{ alpha, theory, lambda, ridge, explorationFloor: 0 },
  })
  const ids = Array.from({ length: count }, (_, a) => String(a))
  const output = decisionOutput(count)
  const arms = new Int32Array(rounds)
  const labels = new Int32Array(rounds)
  const regret = new Float64Array(rounds)
  const thetaBefore = new Map<number, Float64Array>()
  let lost = 0
  for (let t = 0; t < rounds; t++) {
    const vectors = contexts.subarray(t * count * d, (t + 1) * count * d)
    const means = ids.map((_, a) => {
      let product = 0
      for (let i = 0; i < d; i++) product += vectors[a * d + i]! * theta[i]!
      return 1 / (1 + Math.exp(-product))
    })
    thetaBefore.set(t, policy.theta())
    policy.decide({ arms: ids, vectors }, () => 0, output)
    const arm = warmupArms[t] ?? output.arm
    const drawn = uniforms[t]! < means[arm]! ? 1 : 0
    const flipped = t === 1 && warmupArms.length === 2 && drawn === labels[0]
    labels[t] = flipped ? 1 - drawn : drawn
    policy.learn({
      arm: ids[arm]!,
      vector: vectors.subarray(arm * d, (arm + 1) * d),
      reward: labels[t]!,
      propensity: 1,
    })
    lost += Math.max(...means) - means[arm]!
    arms[t] = arm
    regret[t] = lost
  }
  return { arms, labels, thetaBefore, theta: policy.theta(), regret }
}

export const verifyUcbGlm: CaseKind = (reference, comparison) => {
  const recording = logisticRecording(fileWith(reference, 'X', 'u', 'warmupArms'))
  const runs = fileWith(reference, 'runs')['runs']
  if (!isRecord(runs)) throw new Error('no runs')
  const names = [...new Set([...Object.keys(reference.config), ...Object.keys(runs)])]
  if (names.length === 0) throw new Error('no runs')
  for (const name of names) {
    const config = reference.config[name]
    const expected = runs[name]
    if (!isRecord(config)) throw new Error(`run '${name}' is not in the index`)
    if (!isRecord(expected)) throw new Error(`run '${name}' has no results`)
    const replay = replayUcbGlm(recording, config)
    comparison.numbers('arms', replay.arms, expected['arms'], name)
    comparison.numbers('labels', replay.labels, expected['labels'], name, 'arms')
    const before = expected['thetaBeforeRound']
    if (!isRecord(before)) throw new Error(`run '${name}' has no 'thetaBeforeRound'`)
    for (const [round, theta] of Object.entries(before)) {
      const found = replay.thetaBefore.get(Number(round)) ?? []
      comparison.numbers('theta', found, theta, `${name}, round ${round}`)
    }
    comparison.numbers('theta', replay.theta, expected['theta'], name)
    comparison.numbers('regret', replay.regret, expected['regret'], name)
    comparison.numbers('finalRegret', replay.regret.subarray(-1), expected['finalRegret'], name, 'regret')
  }
}
