/**
 * Weighted by confidence, as CW-OFUL is (He, Zhou, Zhang and Gu 2022): an outcome of an arm whose width is w = ‖x‖_V⁻¹ is learned with weight min(1, scale/w), so
 * that an adversary's changes of total C shift no prediction by more than scale · C widths. An extension of this project; not part of RobustBandit.
 *
 * The weighted sample is (√weight·x, √weight·r). For a budget C the paper takes a scale of √d/C, and α enlarged by scale · C.
 * Cost: a prediction of one arm an outcome, and a few small arrays that are allocated for it.
 */
import { requireRules } from '../models/linear-options.ts'
import type { LearningInput } from '../policy.ts'
import { type PredictingPolicy, WrappedPolicy } from './wrapped-policy.ts'

export interface ConfidenceWeightedOptions {
  /** Widths up to this have weight 1; above 0. */
  readonly scale: number
  /** Share of decisions spread evenly over all arms, in [0, 1]; default 0.01. Inside a syndicate the syndicate's own holds. */
  readonly explorationFloor?: number
}

export class ConfidenceWeighted<P extends PredictingPolicy = PredictingPolicy> extends WrappedPolicy<P> {
  readonly #scale: number
  readonly #vector: Float64Array

  /** @param make makes a policy without experience @throws MillraceError INVALID_CONFIG */
  constructor(make: () => P, { scale, explorationFloor = 0.01 }: ConfidenceWeightedOptions) {
    requireRules('confidenceWeighted', [['scale', scale, scale > 0 && Number.isFinite(scale), 'above 0']])
    super('confidence-weighted', [scale], make, 0, explorationFloor)
    this.#scale = scale
    this.#vector = new Float64Array(this.dimension)
  }

  learn(outcome: LearningInput): void {
    const { width = 0 } = this.predictionOf(outcome) ?? {}
    if (width <= this.#scale) {
      this.policy.learn(outcome)
      return
    }
    const root = Math.sqrt(this.#scale / width)
    const vector = this.#vector
    for (let i = 0; i < vector.length; i++) vector[i] = root * outcome.vector[i]!
    this.policy.learn({ ...outcome, vector, reward: root * outcome.reward })
  }
}

/** See ConfidenceWeighted. @throws MillraceError INVALID_CONFIG */
export const confidenceWeighted = <P extends PredictingPolicy>(
  make: () => P,
  options: ConfidenceWeightedOptions,
): ConfidenceWeighted<P> => new ConfidenceWeighted(make, options)
