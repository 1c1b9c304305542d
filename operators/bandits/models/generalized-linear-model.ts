/**
 * Rewards whose mean is a known function of xᵀθ (generalized-linear-link.ts), and how sure that is. Two ways to learn θ:
 *
 *   streaming  every outcome once, by a step of Laplace's approximation: memory d² an arm whatever comes (generalized-linear-streaming.ts)
 *   exact      the maximum a posteriori of all outcomes kept, made anew when outcomes came: memory grows with them (generalized-linear-exact.ts)
 *
 * They differ because a stream sees each outcome at the θ of its time, and never again; docs/operators/ucb-glm.md says by how much.
 */
import type { DecisionInput, LearningInput } from '../policy.ts'
import type { Link } from './generalized-linear-link.ts'

export interface GeneralizedLinearOptions {
  /** Names the policy and the layout of its snapshot. */
  readonly kind: string
  readonly variant: 'disjoint' | 'shared'
  readonly dimension: number
  readonly link: Link
  /** Of V = λI + Σxxᵀ. */
  readonly lambda: number
  /** Precision of θ's prior N(0, I/ridge). */
  readonly ridge: number
  readonly maxArms: number
  /** Of the streaming fit: where an arm of a disjoint policy starts; see LinearOptions. */
  readonly prior: 'zero' | 'pooled'
}

export interface GeneralizedLinearModel {
  /** The policy's kind, and what else the layout of its snapshot depends on. */
  readonly kind: string
  readonly learned: number
  /** Arms forgotten to make room for others. */
  readonly evicted: number
  /** Outcomes that θ rests on; all that were learned where none is kept. */
  readonly rows: number
  /** θ of an arm, a copy; zeros for an arm never learned. The shared variant has one θ for all. */
  theta(arm?: string): Float64Array
  /**
   * xᵀθ and the squared width of its confidence (at least 0) of a decision's arms.
   * @throws MillraceError EMPTY_ARMS, WRONG_DIMENSION, NON_FINITE_NUMBER
   */
  predict(input: DecisionInput, estimates: Float64Array, variances: Float64Array): void
  /**
   * Folds one outcome into the state.
   * @throws MillraceError WRONG_DIMENSION, INVALID_PROPENSITY, NON_FINITE_NUMBER; INVALID_EVENT where the link has no such reward. The state is then untouched.
   */
  learn(outcome: LearningInput): void
  snapshot(): Uint8Array
  /** @throws MillraceError SNAPSHOT_CORRUPT, SNAPSHOT_MISMATCH: the state is then untouched */
  restore(bytes: Uint8Array): void
}
