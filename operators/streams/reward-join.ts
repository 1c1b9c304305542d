/**
 * The reward join: each decision meets its reward, once, when its window closes in event time.
 *
 * A reward belongs to its decision when `reward.occurredAt ≤ decision.occurredAt + window`; a decision closes when the task's watermark
 * passes `occurredAt + window + grace`, with the earliest such reward or else the default. Rewards that come before their decision wait for
 * it. What cannot be joined is counted under a reason, never lost silently:
 *
 *   decisions = outcomes + reasons + pending      rewards = used + reasons + pending
 *
 * Pure: events, offsets and the clock are passed in. Memory: one entry a pending decision, one small one a closed decision until the
 * horizon. O(log n) an event.
 */
import type { Decision, Outcome, OutcomeCorrection, Reward } from '../../schemas/generated/events.ts'
import { BinaryHeap } from './binary-heap.ts'
import { Watermark } from './watermark.ts'

export interface RewardJoinOptions {
  /** How long after a decision its reward may occur, in milliseconds of event time. */
  readonly windowMs: number
  /** How much longer to wait for records that arrive out of order. */
  readonly graceMs: number
  /** The reward of a decision that earned none. */
  readonly defaultReward: number
  /** See Watermark. */
  readonly maxFutureSkewMs: number
  /** See Watermark. */
  readonly idleMs: number
  /** How long a closed decision is remembered, in event time after its close (twice the window by default). */
  readonly horizonMs?: number
}

/** Why a decision or a reward made no outcome: a closed list. */
export const JOIN_REASONS = [
  'duplicate-decision',
  'decision-behind-watermark',
  'duplicate-reward',
  'surplus-reward',
  'late-reward',
  'reward-behind-watermark',
  'unknown-decision',
] as const
export type JoinReason = (typeof JOIN_REASONS)[number]

export type JoinInput =
  | { readonly kind: 'decision'; readonly event: Decision; readonly topic: number; readonly offset: number }
  | { readonly kind: 'reward'; readonly event: Reward; readonly topic: number; readonly offset: number }

export interface JoinOutputs {
  outcomes: Outcome[]
  corrections: OutcomeCorrection[]
}

/** What a rebuild needs, small enough to ride in an offset commit's metadata. */
export interface JoinProgress {
  readonly watermark: number
  /** By input topic: the largest event time, -Infinity where none came. */
  readonly largest: readonly number[]
  /** By input topic: the earliest offset that is still undecided, or -1 where none is. */
  readonly earliest: readonly number[]
}

interface HeldReward {
  readonly event: Reward
  readonly topic: number
  readonly offset: number
}

interface Pending {
  readonly decision: Decision
  readonly topic: number
  readonly offset: number
  reward: HeldReward | null
  late: Reward[] | null
}

interface Closed {
  readonly policy: string
  readonly policyVersion: number
  readonly arm: string
  readonly recorded: number
  readonly closedAt: number
  readonly windowEnd: number
  readonly used: Reward | null
}

/** The order in which rewards of one decision are preferred: earliest first, then by id, then by value. */
const earlier = (a: Reward, b: Reward): boolean =>
  a.occurredAt !== b.occurredAt
    ? a.occurredAt < b.occurredAt
    : a.rewardId !== b.rewardId
      ? a.rewardId < b.rewardId
      : a.value < b.value

const same = (a: Reward, b: Reward): boolean =>
  a.rewardId === b.rewardId && a.occurredAt === b.occurredAt && a.value === b.value

export class RewardJoin {
  /** Totals since construction; the ledgers of the header hold after every call. */
  readonly counts: {
    decisions: number
    rewards: number
    outcomes: number
    used: number
    reasons: Record<JoinReason, number>
  }
  private readonly options: RewardJoinOptions
  private readonly horizonMs: number
  private readonly watermark: Watermark
  private readonly pending = new Map<string, Pending>()
  private readonly early = new Map<string, HeldReward[]>()
  private readonly closed = new Map<string, Closed>()
  private readonly closing = new BinaryHeap<string>()
  private readonly expiring = new BinaryHeap<string>()
  private readonly forgetting = new BinaryHeap<string>()
  /** Undecided offsets by topic, in the order they came, which is their own order. */
  private readonly undecided: Set<number>[]
  private heldRewards = 0

  /** @param topics number of input topics. @param now the clock: inputs count as heard from then on. */
  constructor(options: RewardJoinOptions, topics: number, now: number) {
    this.options = options
    this.horizonMs = options.horizonMs ?? 2 * options.windowMs
    this.watermark = new Watermark(topics, options, now)
    this.undecided = Array.from({ length: topics }, () => new Set())
    this.counts = {
      decisions: 0,
      rewards: 0,
      outcomes: 0,
      used: 0,
      reasons: Object.fromEntries(JOIN_REASONS.map((reason) => [reason, 0])) as Record<JoinReason, number>,
    }
  }

  /** Decisions that wait for their window to close, and rewards that wait for their decision or its close. */
  get waiting(): { readonly decisions: number; readonly rewards: number } {
    return { decisions: this.pending.size, rewards: this.heldRewards }
  }

  get progress(): JoinProgress {
    return {
      watermark: this.watermark.value,
      largest: this.watermark.largest,
      earliest: this.undecided.map((offsets) => offsets.values().next().value ?? -1),
    }
  }

  /** Takes one event in. Nothing closes until `advance`. */
  step(input: JoinInput, now: number, outputs: JoinOutputs): void {
    this.watermark.observe(input.topic, input.event.occurredAt, now)
    if (input.kind === 'decision') this.decision(input.event, input.topic, input.offset)
    else this.reward(input.event, input.topic, input.offset, outputs)
  }

  /**
   * Takes in again an event that lies before the committed position. Give every record from `progress.earliest` to the committed
   * positions, then call `resume`, before any `step`.
   */
  rebuild(input: JoinInput): void {
    if (input.kind === 'decision') this.decision(input.event, input.topic, input.offset)
    else this.reward(input.event, input.topic, input.offset, { outcomes: [], corrections: [] })
  }

  /** Ends a rebuild: what had closed at the committed watermark closes silently, and the ledgers start from what is still pending. */
  resume({ watermark, largest }: JoinProgress): void {
    this.watermark.restore(watermark, largest)
    this.closeUpTo(watermark, { outcomes: [], corrections: [] })
    this.counts.decisions = this.pending.size
    this.counts.rewards = this.heldRewards
    this.counts.outcomes = 0
    this.counts.used = 0
    for (const reason of JOIN_REASONS) this.counts.reasons[reason] = 0
  }

  /** Moves event time as far as the inputs allow and emits what closes. Call it at the end of a batch, and on idle ones. */
  advance(now: number, outputs: JoinOutputs): void {
    this.closeUpTo(this.watermark.advance(now), outputs)
  }

  private closeUpTo(time: number, outputs: JoinOutputs): void {
    while (this.closing.minimum <= time) this.close(this.closing.pop()!, outputs)
    while (this.expiring.minimum <= time) this.expire(this.expiring.pop()!, time)
    while (this.forgetting.minimum <= time) this.closed.delete(this.forgetting.pop()!)
  }

  private closeTime(decision: Decision): number {
    return decision.occurredAt + this.options.windowMs + this.options.graceMs
  }

  /** When a reward whose decision never came is given up: no decision that it could belong to can still be open then. */
  private expiryTime(reward: Reward): number {
    return reward.occurredAt + this.options.windowMs + this.options.graceMs
  }

  private decision(decision: Decision, topic: number, offset: number): void {
    this.counts.decisions++
    const id = decision.requestId
    if (this.pending.has(id) || this.closed.has(id)) {
      this.counts.reasons['duplicate-decision']++
      return
    }
    if (this.closeTime(decision) <= this.watermark.value) {
      this.counts.reasons['decision-behind-watermark']++
      return
    }
    const entry: Pending = { decision, topic, offset, reward: null, late: null }
    this.pending.set(id, entry)
    this.undecided[topic]!.add(offset)
    this.closing.push(this.closeTime(decision), id)
    const waiting = this.early.get(id)
    if (waiting === undefined) return
    this.early.delete(id)
    for (const held of waiting) this.offer(entry, held)
  }

  private reward(reward: Reward, topic: number, offset: number, outputs: JoinOutputs): void {
    this.counts.rewards++
    const id = reward.requestId
    const held: HeldReward = { event: reward, topic, offset }
    const entry = this.pending.get(id)
    const closed = entry === undefined ? this.closed.get(id) : undefined
    if (entry !== undefined) {
      this.hold(held)
      this.offer(entry, held)
    } else if (closed !== undefined) this.afterClose(closed, reward, outputs)
    else if (this.expiryTime(reward) <= this.watermark.value) this.counts.reasons['unknown-decision']++
    else {
      this.hold(held)
      const others = this.early.get(id)
      if (others === undefined) this.early.set(id, [held])
      else others.push(held)
      this.expiring.push(this.expiryTime(reward), id)
    }
  }

  /** Gives a held reward to a decision that is still open. */
  private offer(entry: Pending, held: HeldReward): void {
    const { event } = held
    if (event.occurredAt > entry.decision.occurredAt + this.options.windowMs) {
      this.dismiss(held, 'late-reward')
      entry.late = [...(entry.late ?? []), event]
    } else if (entry.reward === null) entry.reward = held
    else if (same(entry.reward.event, event)) this.dismiss(held, 'duplicate-reward')
    else if (earlier(event, entry.reward.event)) {
      this.dismiss(entry.reward, 'surplus-reward')
      entry.reward = held
    } else this.dismiss(held, 'surplus-reward')
  }

  private afterClose(closed: Closed, reward: Reward, outputs: JoinOutputs): void {
    const { reasons } = this.counts
    if (closed.used !== null && same(closed.used, reward)) {
      reasons['duplicate-reward']++
      return
    }
    reasons[reward.occurredAt > closed.windowEnd ? 'late-reward' : 'reward-behind-watermark']++
    outputs.corrections.push(correction(closed, reward))
  }

  private close(id: string, outputs: JoinOutputs): void {
    const entry = this.pending.get(id)
    if (entry === undefined) return
    this.pending.delete(id)
    this.undecided[entry.topic]!.delete(entry.offset)
    const { decision, reward } = entry
    if (reward !== null) {
      this.letGo(reward)
      this.counts.used++
    }
    this.counts.outcomes++
    const closed: Closed = {
      policy: decision.policy,
      policyVersion: decision.policyVersion,
      arm: decision.arm,
      recorded: reward?.event.value ?? this.options.defaultReward,
      closedAt: this.closeTime(decision),
      windowEnd: decision.occurredAt + this.options.windowMs,
      used: reward?.event ?? null,
    }
    outputs.outcomes.push(outcome(decision, closed))
    for (const late of entry.late ?? []) outputs.corrections.push(correction(closed, late))
    this.closed.set(id, closed)
    this.forgetting.push(closed.closedAt + this.horizonMs, id)
  }

  /** Gives up the rewards of `id` whose decision can no longer come. */
  private expire(id: string, time: number): void {
    const waiting = this.early.get(id)
    if (waiting === undefined) return
    const kept = waiting.filter((held) => this.expiryTime(held.event) > time)
    for (const held of waiting) if (!kept.includes(held)) this.dismiss(held, 'unknown-decision')
    if (kept.length === 0) this.early.delete(id)
    else this.early.set(id, kept)
  }

  private hold(held: HeldReward): void {
    this.heldRewards++
    this.undecided[held.topic]!.add(held.offset)
  }

  private letGo(held: HeldReward): void {
    this.heldRewards--
    this.undecided[held.topic]!.delete(held.offset)
  }

  private dismiss(held: HeldReward, reason: JoinReason): void {
    this.letGo(held)
    this.counts.reasons[reason]++
  }
}

const outcome = (decision: Decision, closed: Closed): Outcome => ({
  requestId: decision.requestId,
  policy: decision.policy,
  policyVersion: decision.policyVersion,
  policyHash: decision.policyHash,
  occurredAt: decision.occurredAt,
  closedAt: closed.closedAt,
  arm: decision.arm,
  propensity: decision.propensity,
  propensityKind: decision.propensityKind,
  arms: decision.arms,
  probabilities: decision.probabilities,
  vector: decision.vector,
  hyperParameters: decision.hyperParameters,
  stateOffset: decision.stateOffset,
  requestPartition: decision.requestPartition,
  requestOffset: decision.requestOffset,
  reward: closed.recorded,
  rewardKind: closed.used === null ? 'defaulted' : 'observed',
  rewardOccurredAt: closed.used?.occurredAt ?? null,
})

const correction = (closed: Closed, reward: Reward): OutcomeCorrection => ({
  requestId: reward.requestId,
  policy: closed.policy,
  policyVersion: closed.policyVersion,
  arm: closed.arm,
  rewardId: reward.rewardId,
  reward: reward.value,
  recorded: closed.recorded,
  occurredAt: reward.occurredAt,
  closedAt: closed.closedAt,
})
