/**
 * Uniform: every arm alike, whatever came of it. The baseline that a policy must beat, and the log from which any other policy can be evaluated.
 * It learns nothing but how many outcomes it has seen; outcomes and decisions are held to the same rules as a linear policy's, so that one
 * may take the place of the other. Cost: a pass over the vectors.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { drawArm } from '../exploration/exploration-floor.ts'
import { requireArms, requireOutcome } from '../models/linear-model.ts'
import { requireRules, whole } from '../models/linear-options.ts'
import type {
  DecisionInput,
  DecisionOutput,
  HyperParameter,
  LearningInput,
  MergeablePolicy,
} from '../policy.ts'
import { decodeSnapshot, encodeSnapshot } from '../state/snapshot-format.ts'

export interface UniformOptions {
  /** Length of an arm's vector, 1 to 8,192. */
  readonly dimension: number
}

const NONE: readonly HyperParameter[] = []

export class Uniform implements MergeablePolicy {
  readonly kind = 'uniform'
  readonly dimension: number
  readonly propensityKind = 'exact'
  readonly evicted = 0
  /** Nothing is regressed; the snapshot's header has a place for it. */
  readonly lambda = 0
  #learned = 0

  /** @throws MillraceError INVALID_CONFIG */
  constructor({ dimension }: UniformOptions) {
    const holds = whole(dimension, 1) && dimension <= 8_192
    requireRules('uniform', [['dimension', dimension, holds, 'a whole number from 1 to 8,192']])
    this.dimension = dimension
  }

  get learned(): number {
    return this.#learned
  }

  decide({ arms, vectors }: DecisionInput, uniform: () => number, output: DecisionOutput): void {
    const count = requireArms(arms, vectors, this.dimension)
    if (!Number.isFinite(squaredLength(vectors))) {
      throw new MillraceError('NON_FINITE_NUMBER', 'the vectors of the arms are not finite, or too large')
    }
    output.probabilities.fill(1 / count, 0, count)
    for (let a = 0; a < count; a++) output.ranking[a] = a
    output.arm = drawArm(output.probabilities, count, uniform())
    output.hyperParameters = NONE
  }

  /** Zero for every arm: none is better than another. @throws MillraceError EMPTY_ARMS, WRONG_DIMENSION */
  scores({ arms, vectors }: DecisionInput): Float64Array {
    return new Float64Array(requireArms(arms, vectors, this.dimension))
  }

  learn({ vector, reward, propensity }: LearningInput): void {
    requireOutcome(vector, propensity, this.dimension)
    if (!Number.isFinite(squaredLength(vector)) || !Number.isFinite(reward)) {
      throw new MillraceError('NON_FINITE_NUMBER', 'the outcome is not finite, or too large')
    }
    this.#learned++
  }

  snapshot(): Uint8Array {
    return encodeSnapshot(this, { learned: this.#learned, names: [] }, [])
  }

  restore(bytes: Uint8Array): void {
    this.#learned = decodeSnapshot(bytes, this, () => 0).learned
  }

  /** @throws MillraceError SNAPSHOT_MISMATCH */
  merge(other: MergeablePolicy): void {
    if (!(other instanceof Uniform) || other.dimension !== this.dimension) {
      throw new MillraceError(
        'SNAPSHOT_MISMATCH',
        `merge: ${other.kind} is not the same policy as ${this.kind}`,
      )
    }
    this.#learned += other.learned
  }
}

const squaredLength = (vectors: Float64Array): number => {
  let sum = 0
  for (let k = 0; k < vectors.length; k++) sum += vectors[k]! * vectors[k]!
  return sum
}

/** A policy that takes every arm alike. @throws MillraceError INVALID_CONFIG */
export const uniform = (options: UniformOptions): Uniform => new Uniform(options)
