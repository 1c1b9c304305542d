/** Any policy run through a recorded linear environment; conventions: the set's README (mean (x·θ + 1)/2, `centred` regresses 2y − 1, regret in means). */
import { decisionOutput, type Policy } from '../../operators/bandits/index.ts'
import type { LinearEnvironment } from './linucb.ts'

export interface LinearReplay {
  readonly arms: Int32Array
  /** Running sum. */
  readonly regret: Float64Array
}

/** @param uniformOf the numbers that the decision of a round draws */
export const replayLinear = (
  environment: LinearEnvironment,
  policy: Policy,
  centred: boolean,
  uniformOf: (round: number) => () => number,
): LinearReplay => {
  const { rounds, arms: count, dimension: d, contexts, theta, noise, sigma } = environment
  const ids = Array.from({ length: count }, (_, a) => String(a))
  const output = decisionOutput(count)
  const arms = new Int32Array(rounds)
  const regret = new Float64Array(rounds)
  const means = new Float64Array(count)
  let lost = 0
  for (let t = 0; t < rounds; t++) {
    const start = contexts.length === count * d ? 0 : t * count * d
    const vectors = contexts.subarray(start, start + count * d)
    policy.decide({ arms: ids, vectors }, uniformOf(t), output)
    for (let a = 0; a < count; a++) {
      let product = 0
      for (let i = 0; i < d; i++) product += vectors[a * d + i]! * theta[i]!
      means[a] = (product + 1) / 2
    }
    const { arm, hyperParameters } = output
    const observed = means[arm]! + sigma * noise[t]!
    policy.learn({
      arm: ids[arm]!,
      vector: vectors.subarray(arm * d, (arm + 1) * d),
      reward: centred ? 2 * observed - 1 : observed,
      propensity: output.probabilities[arm]!,
      hyperParameters,
    })
    lost += Math.max(...means) - means[arm]!
    arms[t] = arm
    regret[t] = lost
  }
  return { arms, regret }
}
