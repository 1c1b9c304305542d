/** What a decision is written into, and how a policy that can be tuned writes it. */
import { drawArm } from './exploration/exploration-floor.ts'
import type { DecisionInput, DecisionOutput, HyperParameter, TunablePolicy } from './policy.ts'

/** An output with room for so many arms. */
export const decisionOutput = (arms: number): DecisionOutput => ({
  arm: 0,
  probabilities: new Float64Array(arms),
  ranking: new Int32Array(arms),
  hyperParameters: [],
})

/** Decides by a policy at its own exploration, mixed with a uniform floor ε: p = (1 − ε)·π + ε/K. */
export class TunedDecision {
  readonly #policy: TunablePolicy
  readonly #floor: number
  #hyperParameters: readonly HyperParameter[] = []

  /** @param floor ε, in [0, 1] */
  constructor(policy: TunablePolicy, floor: number) {
    this.#policy = policy
    this.#floor = floor
  }

  /** See Policy.decide. @throws MillraceError as `look`: `output` is then untouched */
  decide(input: DecisionInput, uniform: () => number, output: DecisionOutput): void {
    const policy = this.#policy
    const count = input.arms.length
    policy.look(input, uniform)
    const value = policy.exploration
    const { probabilities } = output
    probabilities.fill(this.#floor / count, 0, count)
    if (policy.favourite === undefined) {
      policy.spread(value, 1 - this.#floor, probabilities)
      // Many small shares may round above 1, which is no probability.
      for (let a = 0; a < count; a++) if (probabilities[a]! > 1) probabilities[a] = 1
    } else {
      const favourite = policy.favourite(value)
      probabilities[favourite] = Math.min(probabilities[favourite]! + (1 - this.#floor), 1)
    }
    policy.rank(value, output.ranking)
    output.arm = drawArm(probabilities, count, uniform())
    if (this.#hyperParameters[0]?.value !== value)
      this.#hyperParameters = [{ name: policy.explorationName, value, probability: 1 }]
    output.hyperParameters = this.#hyperParameters
  }
}
