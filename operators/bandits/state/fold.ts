/**
 * How a policy's state follows its outcomes. `WholeFold` learns each outcome as it comes; `SplitFold` (split-fold.ts) learns those of several parts
 * in an order that does not depend on how the parts interleave.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { Outcome } from '../../../schemas/generated/events.ts'
import type { Policy } from '../policy.ts'

/** A state and how far it has come: what a snapshot keeps. */
export interface SavedState {
  readonly bytes: Uint8Array
  /** For each part the offset up to which (exclusive) its outcomes are in the bytes. */
  readonly offsets: readonly number[]
}

export interface Fold {
  /** For each part the offset of its next outcome. */
  readonly offsets: readonly number[]
  /** See `LivePolicy.stateOffset`. */
  readonly stateOffset: number
  /** See `LivePolicy.leftOut`. */
  readonly leftOut: number
  /**
   * Takes a part's outcome, its offset not being below the part's own. Whatever the outcome holds, the fold has then seen it.
   * @throws MillraceError WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_PROPENSITY: the outcome changes no number of the state
   */
  learn(part: number, offset: number, outcome: Outcome): void
  /** Passes over a part's outcome that is no business of this state: seen, and nothing learned. */
  pass(part: number, offset: number): void
  save(): SavedState
  /** @throws MillraceError SNAPSHOT_CORRUPT, SNAPSHOT_MISMATCH: nothing has then changed */
  load(bytes: Uint8Array, offsets: readonly number[]): void
}

export class WholeFold implements Fold {
  readonly offsets: number[]
  readonly leftOut = 0
  readonly #policy: Policy
  readonly #from: number
  readonly #vector: Float64Array

  /** @param from offset of the first outcome that belongs to the state */
  constructor(policy: Policy, from: number) {
    this.#policy = policy
    this.#from = from
    this.#vector = new Float64Array(policy.dimension)
    this.offsets = [from]
  }

  get stateOffset(): number {
    return this.offsets[0]!
  }

  learn(_part: number, offset: number, outcome: Outcome): void {
    this.offsets[0] = offset + 1
    const vector = this.#vector
    requireDimension(outcome, vector.length)
    for (let i = 0; i < vector.length; i++) vector[i] = outcome.vector[i]!
    const { arm, reward, propensity, hyperParameters } = outcome
    if (hyperParameters.length === 0) this.#policy.learn({ arm, vector, reward, propensity })
    else this.#policy.learn({ arm, vector, reward, propensity, hyperParameters })
  }

  pass(_part: number, offset: number): void {
    this.offsets[0] = offset + 1
  }

  save(): SavedState {
    return { bytes: this.#policy.snapshot(), offsets: [...this.offsets] }
  }

  load(bytes: Uint8Array, offsets: readonly number[]): void {
    requireOffsets(offsets, 1, this.#from)
    this.#policy.restore(bytes)
    this.offsets[0] = offsets[0]!
  }
}

/** @throws MillraceError WRONG_DIMENSION */
export const requireDimension = ({ requestId, policy, vector }: Outcome, dimension: number): void => {
  if (vector.length === dimension) return
  throw new MillraceError(
    'WRONG_DIMENSION',
    `the outcome of "${requestId}" has ${vector.length} features, policy "${policy}" ${dimension}`,
  )
}

/** @throws MillraceError SNAPSHOT_MISMATCH unless there is an offset of each part, none before the state began */
export const requireOffsets = (offsets: readonly number[], parts: number, from: number): void => {
  if (offsets.length === parts && offsets.every((offset) => Number.isSafeInteger(offset) && offset >= from))
    return
  throw new MillraceError(
    'SNAPSHOT_MISMATCH',
    `snapshot: its offsets are [${offsets.join(', ')}], the policy has ${parts} part(s) from offset ${from}`,
  )
}
