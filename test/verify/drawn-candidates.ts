/**
 * A syndicate driven as the reference drives it: candidates are drawn first, from recorded uniforms, and the arm is the one that they ask for. Only the
 * draw of the arm from the mixture is left out; tuners, policies and what they learn are the syndicate's own.
 */
import {
  type DecisionInput,
  drawArm,
  type HyperParameter,
  type Syndicate,
  type TunablePolicy,
} from '../../operators/bandits/index.ts'

/** Draws each layer's candidate for a round. @param uniforms of each layer @returns their indices */
export const drawCandidates = (
  { layers }: Syndicate,
  uniforms: readonly Float64Array[],
  round: number,
): number[] =>
  layers.map(({ tuner }, l) => {
    const u = uniforms[l]![round]!
    return drawArm(
      tuner.weigh(() => u),
      tuner.size,
      u,
    )
  })

/** The candidates drawn, as a decision records them. */
export const recorded = ({ layers }: Syndicate, indices: readonly number[]): HyperParameter[] => {
  const draws: HyperParameter[] = []
  layers.forEach((layer, l) => {
    layer.record(
      indices[l]!,
      layer.tuner.weigh(() => 0.5),
      draws,
    )
  })
  return draws
}

/** The arm that a policy favours at an exploration. */
export const favourite = (
  policy: TunablePolicy,
  input: DecisionInput,
  exploration: (policy: TunablePolicy) => number,
  uniform: () => number,
): number => {
  const probabilities = new Float64Array(input.arms.length)
  policy.look(input, uniform)
  policy.spread(exploration(policy), 1, probabilities)
  return probabilities.indexOf(Math.max(...probabilities))
}
