/**
 * The reward join by definition: every decision against all rewards there are, with no notion of order. Only for worlds in which nothing comes
 * behind the watermark, and where every window has closed.
 */
import type { Decision, Reward } from '../../schemas/generated/events.ts'

export interface JoinRules {
  readonly windowMs: number
  readonly graceMs: number
  readonly defaultReward: number
  /** Of several rewards in the window; `first` where absent. */
  readonly rewards?: 'first' | 'last' | 'sum'
}

export interface Joined {
  /** A line for each outcome and correction that there should be. */
  readonly outcomes: string[]
  readonly corrections: string[]
  /** Rewards that went into outcomes. */
  readonly used: number
  /** What went into none, by why. */
  readonly reasons: { readonly decisions: Map<string, number>; readonly rewards: Map<string, number> }
}

/** Counts one more. */
export const count = (counts: Map<string, number>, reason: string): void => {
  counts.set(reason, (counts.get(reason) ?? 0) + 1)
}

const places = (x: number): string => x.toPrecision(12)

export const outcomeLine = (
  of: Pick<Decision, 'requestId' | 'policy' | 'arm' | 'occurredAt' | 'stateOffset' | 'propensity'>,
  reward: number,
  kind: string,
  at: number | null,
): string =>
  `${of.requestId} ${of.policy} ${of.arm} ${of.stateOffset} ${places(of.propensity)} ${kind} ${places(reward)} ${at ?? '-'}`

export const correctionLine = (
  requestId: string,
  arm: string,
  rewardId: string,
  reward: number,
  recorded: number,
  at: number,
): string => `${requestId} ${arm} ${rewardId} ${places(reward)} ${places(recorded)} ${at}`

const inOrder = (a: Reward, b: Reward): number =>
  a.occurredAt - b.occurredAt ||
  (a.rewardId < b.rewardId ? -1 : a.rewardId > b.rewardId ? 1 : a.value - b.value)

/**
 * @param decisions in the order of their log: of two for one request, the first counts.
 * @param rewards in the order of theirs: of two with one name, the first counts.
 */
export const naiveJoin = (
  decisions: readonly Decision[],
  rewards: readonly Reward[],
  { windowMs, defaultReward, rewards: rule = 'first' }: JoinRules,
): Joined => {
  const byId = new Map<string, Reward[]>()
  for (const reward of rewards) {
    const others = byId.get(reward.requestId)
    if (others === undefined) byId.set(reward.requestId, [reward])
    else others.push(reward)
  }
  const reasons = { decisions: new Map<string, number>(), rewards: new Map<string, number>() }
  const joined = { outcomes: [] as string[], corrections: [] as string[], used: 0, reasons }
  const seen = new Set<string>()
  for (const decision of decisions) {
    if (seen.has(decision.requestId)) {
      count(reasons.decisions, 'duplicate-decision')
      continue
    }
    seen.add(decision.requestId)
    const end = decision.occurredAt + windowMs
    const named = new Map<string, Reward>()
    for (const reward of byId.get(decision.requestId) ?? []) {
      const twin = named.get(reward.rewardId)
      if (twin === undefined) named.set(reward.rewardId, reward)
      else count(reasons.rewards, inOrder(twin, reward) === 0 ? 'duplicate-reward' : 'conflicting-reward')
    }
    const all = [...named.values()].sort(inOrder)
    const inTime = all.filter(({ occurredAt }) => occurredAt <= end)
    const taken = rule === 'sum' ? inTime : rule === 'last' ? inTime.slice(-1) : inTime.slice(0, 1)
    for (let i = taken.length; i < inTime.length; i++) count(reasons.rewards, 'surplus-reward')
    const value = taken.length === 0 ? defaultReward : taken.reduce((sum, reward) => sum + reward.value, 0)
    const kind = taken.length === 0 ? 'defaulted' : 'observed'
    joined.used += taken.length
    joined.outcomes.push(outcomeLine(decision, value, kind, taken.at(-1)?.occurredAt ?? null))
    for (const late of all.filter(({ occurredAt }) => occurredAt > end)) {
      count(reasons.rewards, 'late-reward')
      joined.corrections.push(
        correctionLine(decision.requestId, decision.arm, late.rewardId, late.value, value, late.occurredAt),
      )
    }
  }
  for (const [id, given] of byId)
    if (!seen.has(id)) for (const _ of given) count(reasons.rewards, 'unknown-decision')
  return joined
}
