/** What leaves the join as events: outcomes, and the ledgers of a task at a commit. */
import { partKey, partOf } from '../../operators/bandits/state/split.ts'
import type { Outgoing } from '../../operators/streams/batch.ts'
import { JOIN_KINDS, type JoinCounts, type JoinKind } from '../../operators/streams/join-ledgers.ts'
import type { Closing } from '../../operators/streams/join-options.ts'
import type { Decision, Ledger, Outcome } from '../../schemas/generated/events.ts'
import { isServed, throughDecisions } from '../delivery/served-requests.ts'

const outcome = (decision: Decision, closing: Closing, partition: number): Outcome => ({
  requestId: decision.requestId,
  policy: decision.policy,
  policyVersion: decision.policyVersion,
  policyHash: decision.policyHash,
  occurredAt: decision.occurredAt,
  closedAt: closing.closedAt,
  arm: decision.arm,
  propensity: decision.propensity,
  propensityKind: decision.propensityKind,
  arms: decision.arms,
  probabilities: decision.probabilities,
  vector: decision.vector,
  hyperParameters: decision.hyperParameters,
  stateOffset: decision.stateOffset,
  ...requestPlace(decision, closing, partition),
  reward: closing.reward,
  rewardKind: closing.rewardKind,
  rewardOccurredAt: closing.rewardOccurredAt,
})

/** Where the request lies; one that rides with its decision is found through that. */
const requestPlace = (
  { requestPartition, requestOffset }: Decision,
  { offset }: Closing,
  partition: number,
): Pick<Outcome, 'requestPartition' | 'requestOffset'> =>
  isServed(requestPartition)
    ? { requestPartition: throughDecisions(partition), requestOffset: offset }
    : { requestPartition, requestOffset }

/**
 * The outcome of a closing, under the key of its part where its policy is split.
 * @param parts of a policy, 1 where it is not split
 * @param partition of `decisions` that holds the decision
 */
export const outcomeEvent = (
  decision: Decision,
  closing: Closing,
  parts: number,
  partition: number,
): Outgoing => {
  const value = outcome(decision, closing, partition)
  if (parts === 1) return { event: 'outcome', value }
  return { event: 'outcome', value, key: partKey(value.policy, partOf(value.requestId, parts), parts) }
}

/** The ledgers of a task that have moved since they were last told. */
export class Ledgers {
  private readonly kinds: readonly JoinKind[]
  private readonly partition: number
  private readonly told = new Map<JoinKind, string>()

  /** @param counts what was told already. */
  constructor(partition: number, kinds: readonly JoinKind[], counts: JoinCounts) {
    this.partition = partition
    this.kinds = kinds
    for (const kind of JOIN_KINDS) this.told.set(kind, standing(counts, kind))
  }

  /** One event a kind, or none where nothing moved. @param now the clock. */
  events(counts: JoinCounts, watermark: number, now: number): Outgoing[] {
    const moved = this.kinds.filter((kind) => standing(counts, kind) !== this.told.get(kind))
    if (moved.length === 0) return []
    for (const kind of moved) this.told.set(kind, standing(counts, kind))
    return this.kinds.map((kind) => {
      const { taken, used, pending, reasons } = counts[kind]
      const value: Ledger = {
        partition: this.partition,
        kind,
        taken,
        used,
        pending,
        reasons: Object.fromEntries(Object.entries(reasons).filter(([, count]) => count > 0)),
        watermark: Number.isFinite(watermark) ? watermark : null,
        at: now,
      }
      return { event: 'ledger', value }
    })
  }
}

/** Nothing moves in a ledger but by one of these. */
const standing = (counts: JoinCounts, kind: JoinKind): string =>
  `${counts[kind].taken}/${counts[kind].pending}`
