/**
 * The reward join with a million undecided decisions of twenty features and ten arms, held as `attribute` holds them: what they take in memory, and how
 * many events a second go in and come out. Decisions and rewards are encoded and decoded as on the wire; no broker is in between. Half of the
 * decisions have a reward.
 */
import { createCodec } from '../infra/avro/codec.ts'
import type { Broker } from '../infra/kafka/port.ts'
import { type JoinOutputs, RewardJoin } from '../operators/streams/index.ts'
import { HeldDecisions } from '../pipelines/attribute/held-decisions.ts'
import { outcomeEvent } from '../pipelines/attribute/join-events.ts'
import { ownInput } from '../pipelines/delivery/inputs.ts'
import { decisionAt } from './load/events.ts'
import type { BenchReport, BenchRow } from './report.ts'

const DECISIONS = Number(process.env['JOIN_DECISIONS'] ?? 1_000_000)
const START = 1_700_000_000_000
const [DECISION_TOPIC, REWARD_TOPIC] = [0, 1]
/** Decisions closed in one commit, in bytes of their messages. */
const PART_BYTES = 2 ** 19
const MIB = 2 ** 20

const memory = (): { readonly rssMiB: number; readonly heapMiB: number; readonly externalMiB: number } => {
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  return {
    rssMiB: Math.round(rss / MIB),
    heapMiB: Math.round(heapUsed / MIB),
    externalMiB: Math.round(external / MIB),
  }
}

export const run = async (): Promise<BenchReport> => {
  const codec = createCodec({})
  const input = ownInput(codec, 'decisions', 'decision')
  // Decisions of this size are never read again.
  const held = new HeldDecisions({ kind: 'kafkajs' } as Broker, input, 0)
  const join = new RewardJoin(
    {
      windowMs: 10 * DECISIONS,
      graceMs: 0,
      defaultReward: 0,
      idleMs: 10_000,
      maxFutureSkewMs: 0,
    },
    2,
  )
  const now = START + 100 * DECISIONS
  const outputs: JoinOutputs = { closings: [], corrections: [] }
  const rows: BenchRow[] = []
  const empty = memory()
  rows.push({ what: 'empty', ...empty })

  const start = performance.now()
  let bytes = 0
  for (let i = 0; i < DECISIONS; i++) {
    const message = codec.encode('decision', decisionAt(i, START))
    bytes += message.length
    const event = input.read(message)
    const handle = held.hold(message)
    const at = { offset: i, timestamp: event.occurredAt }
    const decision = {
      kind: 'decision',
      event,
      topic: DECISION_TOPIC!,
      handle,
      bytes: message.length,
      ...at,
    } as const
    if (join.step(decision, now, outputs) !== 'held') throw new Error('a decision is not held')
    if (i % 2 === 0) {
      const { requestId } = event
      const reward = { requestId, rewardId: '', value: 1, occurredAt: event.occurredAt }
      join.step({ kind: 'reward', event: reward, topic: REWARD_TOPIC!, ...at }, now, outputs)
    }
    if (i % 1_000 === 999) join.advance(now, outputs)
  }
  const inSeconds = (performance.now() - start) / 1_000
  const full = memory()
  rows.push({
    what: `${join.counts.decisions.pending} undecided, ${join.counts.rewards.pending} rewards`,
    ...full,
    bytesADecision: bytes / DECISIONS,
    eventsPerSecond: (1.5 * DECISIONS) / inSeconds,
  })

  let closed = 0
  let largest = 0
  const closing = performance.now()
  // All inputs are silent, and the clock is past every window.
  const late = START + 100 * DECISIONS
  for (let more = true; more; ) {
    const part: JoinOutputs = { closings: [], corrections: [] }
    more = join.advance(late, part, new Set([DECISION_TOPIC!, REWARD_TOPIC!]), PART_BYTES)
    const decisions = await held.take(part.closings)
    for (const [i, each] of part.closings.entries())
      if (codec.encode('outcome', outcomeEvent(decisions[i]!, each, 1, 0).value as never).length > 0) closed++
    largest = Math.max(largest, part.closings.length)
  }
  const outSeconds = (performance.now() - closing) / 1_000
  if (closed !== DECISIONS) throw new Error(`${closed} of ${DECISIONS} closed`)
  rows.push({
    what: `all closed, at most ${largest} at once`,
    ...memory(),
    eventsPerSecond: closed / outSeconds,
  })
  // In kilobytes, since the start of the process.
  rows.push({ what: 'the most at any moment', rssMiB: Math.round(process.resourceUsage().maxRSS / 1_024) })
  return { bench: 'join', rows, ratios: {}, missing: [] }
}
