/** What the reward join is told, what it takes in and what it gives out. */
import type { Activation, Decision, OutcomeCorrection, Reward } from '../../schemas/generated/events.ts'
import type { JoinCounts } from './join-ledgers.ts'
import type { WatermarkOptions } from './watermark.ts'

export interface RewardJoinOptions extends WatermarkOptions {
  /** How long after a decision its reward may occur, in milliseconds of event time. */
  readonly windowMs: number
  /** How much longer to wait for records that arrive out of order. */
  readonly graceMs: number
  /** The reward of a decision that earned none. */
  readonly defaultReward: number
  /** Of several rewards in the window: the first (default), the last, or their sum. */
  readonly rewards?: 'first' | 'last' | 'sum'
  /** `deferred`: a decision counts only if an activation says, within the window, that it was shown. Default `immediate`. */
  readonly activation?: 'immediate' | 'deferred'
  /** How long a closed decision and its rewards are remembered, in event time after its close (twice the window by default). */
  readonly horizonMs?: number
}

/** Where a record lay. */
interface FromTopic {
  /** Number of the input, from 0. All decisions come from one. */
  readonly topic: number
  readonly offset: number
  /** The record's own time, in milliseconds since the epoch; -1 where it has none. */
  readonly timestamp: number
}

export interface DecisionInput extends FromTopic {
  readonly kind: 'decision'
  readonly event: Pick<Decision, 'requestId' | 'policy' | 'policyVersion' | 'arm' | 'occurredAt'>
  /** The caller's name for the whole decision, given back when it closes; -1 where offsets are enough. */
  readonly handle: number
  /** About what the decision will take at its close, in bytes. */
  readonly bytes: number
}

export interface RewardInput extends FromTopic {
  readonly kind: 'reward'
  readonly event: Reward
}

export interface ActivationInput extends FromTopic {
  readonly kind: 'activation'
  readonly event: Activation
}

export type JoinInput = DecisionInput | RewardInput | ActivationInput

/** A decision whose window has closed. */
export interface Closing {
  readonly requestId: string
  readonly handle: number
  /** Offset of the decision. */
  readonly offset: number
  /** Whether it makes an outcome: false where it was never activated. */
  readonly used: boolean
  /** Event time at which the window closed. */
  readonly closedAt: number
  readonly reward: number
  readonly rewardKind: 'observed' | 'defaulted'
  readonly rewardOccurredAt: number | null
}

export interface JoinOutputs {
  closings: Closing[]
  corrections: OutcomeCorrection[]
}

/**
 * What became of an input: `held`, a decision that waits, whose handle is kept until its closing; `from-the-future`, to be refused; else
 * `taken`.
 */
export type JoinVerdict = 'held' | 'taken' | 'from-the-future'

/** What a rebuild needs, small enough to ride in an offset commit's metadata. */
export interface JoinProgress {
  /** Event time up to which everything has closed. */
  readonly watermark: number
  /** The clock when that was so. */
  readonly clock: number
  /** By input: the largest event time as the watermark counts it, -Infinity where none came. */
  readonly largest: readonly number[]
  /** By input: the earliest offset that is undecided or remembered, -1 where none is. */
  readonly earliest: readonly number[]
  /** By input: how far event time had come before that offset; where there is none, before the next record. */
  readonly before: readonly number[]
  /** What was used, and what was not and why; null where nobody counted. */
  readonly counts: JoinCounts | null
}
