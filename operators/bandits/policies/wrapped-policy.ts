/** A policy around another: everything is the other's, but for what an extension changes. Its own numbers go with the other's state into one snapshot. */
import { MillraceError } from '../../../schemas/errors.ts'
import { TunedDecision } from '../decision-output.ts'
import { requireRules } from '../models/linear-options.ts'
import type { ArmEstimates, DecisionInput, DecisionOutput, LearningInput, TunablePolicy } from '../policy.ts'
import { decodeComposite, encodeComposite } from '../state/composite-snapshot.ts'

/** A policy that says what it predicts. */
export interface PredictingPolicy extends TunablePolicy {
  explain(input: DecisionInput): ArmEstimates
}

export abstract class WrappedPolicy<P extends PredictingPolicy> implements PredictingPolicy {
  readonly kind: string
  readonly dimension: number
  readonly propensityKind: 'exact' | 'estimated'
  readonly explorationName: string
  /** The policy within. */
  protected policy: P
  /** Own numbers; in the snapshot. */
  protected readonly state: Float64Array
  protected readonly make: () => P
  readonly #layout: string
  readonly #tuned: TunedDecision

  /**
   * @param name goes before the other's kind
   * @param settings what gives the state its meaning beside that
   * @param make makes the other, without experience
   * @param numbers how many own numbers there are
   * @throws MillraceError INVALID_CONFIG
   */
  constructor(
    name: string,
    settings: readonly number[],
    make: () => P,
    numbers: number,
    explorationFloor: number,
  ) {
    requireRules(name, [
      ['explorationFloor', explorationFloor, explorationFloor >= 0 && explorationFloor <= 1, 'from 0 to 1'],
    ])
    this.make = make
    this.policy = make()
    this.state = new Float64Array(numbers)
    this.kind = `${name}-${this.policy.kind}`
    this.#layout = `${this.kind} ${JSON.stringify(settings)}`
    this.dimension = this.policy.dimension
    this.propensityKind = this.policy.propensityKind
    this.explorationName = this.policy.explorationName
    this.#tuned = new TunedDecision(this, explorationFloor)
  }

  get learned(): number {
    return this.policy.learned
  }

  get evicted(): number {
    return this.policy.evicted
  }

  get exploration(): number {
    return this.policy.exploration
  }

  decide(input: DecisionInput, uniform: () => number, output: DecisionOutput): void {
    this.#tuned.decide(input, uniform, output)
  }

  look(input: DecisionInput, uniform: () => number): void {
    this.policy.look(input, uniform)
  }

  spread(exploration: number, weight: number, probabilities: Float64Array): void {
    this.policy.spread(exploration, weight, probabilities)
  }

  rank(exploration: number, ranking: Int32Array): void {
    this.policy.rank(exploration, ranking)
  }

  explain(input: DecisionInput): ArmEstimates {
    return this.policy.explain(input)
  }

  abstract learn(outcome: LearningInput): void

  snapshot(): Uint8Array {
    return encodeComposite(this.#header, this.learned, [this.state], [this.policy.snapshot()])
  }

  restore(bytes: Uint8Array): void {
    const policy = this.make()
    const { numbers, parts } = decodeComposite(bytes, this.#header, [this.state.length], 1)
    policy.restore(parts[0]!)
    this.policy = policy
    this.state.set(numbers[0]!)
  }

  /** What the policy predicts of an outcome's arm; undefined for a vector that it will refuse. */
  protected predictionOf({ arm, vector }: LearningInput): { estimate: number; width: number } | undefined {
    if (vector.length !== this.dimension) return undefined
    for (let i = 0; i < vector.length; i++) if (!Number.isFinite(vector[i]!)) return undefined
    try {
      const { estimates, widths } = this.policy.explain({ arms: [arm], vectors: vector })
      return { estimate: estimates[0]!, width: widths[0]! }
    } catch (error) {
      // Finite numbers whose prediction overflows.
      if (error instanceof MillraceError) return undefined
      throw error
    }
  }

  get #header() {
    return { kind: this.#layout, dimension: this.dimension, lambda: 0 }
  }
}
