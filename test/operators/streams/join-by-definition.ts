/**
 * The reward join by definition: whole topics at once, each in its own order, with no watermark, no memory and no arrival. What the join must
 * come to, whatever the interleaving.
 */
import type { JoinInput, RewardJoinOptions } from '../../../operators/streams/join-options.ts'

const HOUR = 3_600_000

interface Judged {
  readonly input: JoinInput
  /** Event time. */
  readonly e: number
  /** How far event time had come before it in its topic. */
  readonly before: number
}

export interface Defined {
  /** A line an outcome: request, offset of the decision, reward, kind, time of the reward. */
  readonly outcomes: string[]
  readonly corrections: string[]
  /** A line a record that went into no outcome: what it was, and why. */
  readonly reasons: string[]
}

export const outcomeLine = (c: {
  requestId: string
  offset: number
  reward: number
  rewardKind: string
  rewardOccurredAt: number | null
}): string => `${c.requestId}@${c.offset} ${c.reward} ${c.rewardKind} ${c.rewardOccurredAt}`

export const correctionLine = (c: {
  requestId: string
  rewardId: string
  reward: number
  recorded: number
  occurredAt: number
}): string => `${c.requestId} ${c.rewardId} ${c.reward} instead of ${c.recorded} at ${c.occurredAt}`

/** @param topics the records of each input @param now the clock, which stands still */
export const joinByDefinition = (
  topics: readonly (readonly JoinInput[])[],
  options: RewardJoinOptions,
  now: number,
): Defined => {
  const { windowMs, graceMs, defaultReward, maxFutureSkewMs, rewards: rule, activation } = options
  const span = windowMs + graceMs
  const horizon = options.horizonMs ?? 2 * windowMs
  const reasons: string[] = []
  const drop = (kind: string, reason: string) => reasons.push(`${kind} ${reason}`)

  const judged = topics.map((records) => {
    let before = Number.NEGATIVE_INFINITY
    return records.flatMap((input): Judged[] => {
      const { occurredAt } = input.event
      const e = input.timestamp < 0 ? occurredAt : Math.min(occurredAt, input.timestamp + maxFutureSkewMs)
      if (e > now + maxFutureSkewMs + HOUR) {
        drop(input.kind, 'from-the-future')
        return []
      }
      const each = { input, e, before }
      before = Math.max(before, input.timestamp < 0 ? occurredAt : Math.min(occurredAt, input.timestamp))
      return [each]
    })
  })
  const close = (d: Judged) => d.e + span
  const forget = (d: Judged) => close(d) + horizon
  const expiry = (r: Judged) => r.e + span

  const accepted: Judged[] = []
  for (const d of judged.flat().filter(({ input }) => input.kind === 'decision')) {
    const twin = accepted.some(
      (other) => other.input.event.requestId === d.input.event.requestId && d.before < forget(other),
    )
    if (twin) drop('decision', 'duplicate-decision')
    else if (d.before >= close(d)) drop('decision', 'decision-behind-watermark')
    else accepted.push(d)
  }

  const belonging = new Map<Judged, Judged[]>(accepted.map((d) => [d, []]))
  for (const r of judged.flat().filter(({ input }) => input.kind !== 'decision')) {
    const d = accepted.find(
      (each) =>
        each.input.event.requestId === r.input.event.requestId &&
        each.before < expiry(r) &&
        r.before < forget(each),
    )
    if (d === undefined) drop(r.input.kind, 'unknown-decision')
    else belonging.get(d)!.push(r)
  }

  const outcomes: string[] = []
  const corrections: string[] = []
  for (const [d, records] of belonging) {
    const isLate = (r: Judged) => r.input.event.occurredAt > d.input.event.occurredAt + windowMs
    let activated = 0
    for (const a of records.filter(({ input }) => input.kind === 'activation')) {
      if (isLate(a)) drop('activation', 'late-activation')
      else if (a.before >= close(d)) drop('activation', 'activation-behind-watermark')
      else if (activated++ > 0) drop('activation', 'duplicate-activation')
    }
    const used = activation !== 'deferred' || activated > 0
    const first = new Map<string, Judged>()
    const late: Judged[] = []
    const candidates: Judged[] = []
    for (const r of records) {
      const { input } = r
      if (input.kind !== 'reward') continue
      const name = `${input.topic}/${input.event.rewardId}`
      const twin = first.get(name)?.input
      if (twin?.kind === 'reward') {
        const same =
          twin.event.occurredAt === input.event.occurredAt && twin.event.value === input.event.value
        drop('reward', same ? 'duplicate-reward' : 'conflicting-reward')
        continue
      }
      first.set(name, r)
      if (isLate(r)) drop('reward', 'late-reward')
      else if (r.before >= close(d)) drop('reward', 'reward-behind-watermark')
      if (isLate(r) || r.before >= close(d)) late.push(r)
      else candidates.push(r)
    }
    const given = candidates.map(({ input }) => input).filter((input) => input.kind === 'reward')
    given.sort(
      (a, b) =>
        a.event.occurredAt - b.event.occurredAt ||
        (a.event.rewardId < b.event.rewardId ? -1 : a.event.rewardId > b.event.rewardId ? 1 : 0) ||
        a.event.value - b.event.value ||
        a.topic - b.topic,
    )
    const chosen = !used ? [] : rule === 'sum' ? given : rule === 'last' ? given.slice(-1) : given.slice(0, 1)
    for (let i = chosen.length; i < given.length; i++)
      drop('reward', used ? 'surplus-reward' : 'not-activated')
    const reward =
      chosen.length === 0 ? defaultReward : chosen.map(({ event }) => event.value).reduce((sum, v) => sum + v)
    if (!used) {
      drop('decision', 'not-activated')
      continue
    }
    const { requestId } = d.input.event
    outcomes.push(
      outcomeLine({
        requestId,
        offset: d.input.offset,
        reward,
        rewardKind: chosen.length === 0 ? 'defaulted' : 'observed',
        rewardOccurredAt: chosen.at(-1)?.event.occurredAt ?? null,
      }),
    )
    for (const { input } of late)
      if (input.kind === 'reward') {
        const { rewardId, value, occurredAt } = input.event
        corrections.push(correctionLine({ requestId, rewardId, reward: value, recorded: reward, occurredAt }))
      }
  }
  return { outcomes: outcomes.sort(), corrections: corrections.sort(), reasons: reasons.sort() }
}
