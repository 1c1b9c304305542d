/**
 * What holds for every story: decisions that come twice, rewards that are early, late, repeated, contradictory or nobody's, clocks that are wrong, topics
 * that are out of order by more than grace allows. Every interleaving of the topics, and every crash in the middle, comes to what the join is
 * by definition.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JOIN_KINDS } from '../../../operators/streams/join-ledgers.ts'
import type {
  JoinInput,
  JoinOutputs,
  JoinProgress,
  RewardJoinOptions,
} from '../../../operators/streams/join-options.ts'
import { RewardJoin } from '../../../operators/streams/reward-join.ts'
import { decisionAt, rewardAt } from './events.ts'
import { correctionLine, type Defined, joinByDefinition, outcomeLine } from './join-by-definition.ts'

const NOW = 1_000_000_000
const YEAR_2099 = 4_070_908_800_000
const TOPICS = ['decision', 'reward', 'reward', 'activation'] as const
/** All topics end here: nothing before it is undecided then. */
const END = 500_000

const anyOptions = fc.record({
  windowMs: fc.constantFrom(20, 60),
  graceMs: fc.constantFrom(0, 5, 20),
  defaultReward: fc.constantFrom(0, -1),
  rewards: fc.constantFrom<'first' | 'last' | 'sum'>('first', 'last', 'sum'),
  activation: fc.constantFrom<'immediate' | 'deferred'>('immediate', 'deferred'),
  horizonMs: fc.constantFrom(0, 10, 40, 200),
  maxFutureSkewMs: fc.constantFrom(0, 10, 100),
  idleMs: fc.constant(1_000),
}) satisfies fc.Arbitrary<RewardJoinOptions>

/** Records as they lie in their topics: time goes on by steps, and they are out of order by up to twice the longest window. */
const anyRecord = fc.record({
  topic: fc.nat(TOPICS.length - 1),
  step: fc.constantFrom(0, 1, 3, 10, 50, 300),
  lag: fc.oneof(fc.nat(10), fc.nat(120)),
  clock: fc.constantFrom('right', 'right', 'right', 'right', 'fast', '2099', 'both 2099', '1970', 'none'),
  request: fc.nat(3),
  rewardId: fc.constantFrom('', 'x'),
  value: fc.constantFrom(0.1, 0.2, 0.7),
  gap: fc.nat(2),
})
type Story = readonly (typeof anyRecord extends fc.Arbitrary<infer T> ? T : never)[]

const topicsOf = (story: Story): JoinInput[][] => {
  const topics: JoinInput[][] = TOPICS.map(() => [])
  const offsets = TOPICS.map(() => 0)
  let time = 1_000
  for (const { topic, step, lag, clock, request, rewardId, value, gap } of story) {
    time += step
    offsets[topic]! += gap
    const right = time - lag
    const occurredAt =
      clock === '1970' ? 0 : clock.includes('2099') ? YEAR_2099 : clock === 'fast' ? right + 150 : right
    const timestamp = clock === 'both 2099' ? YEAR_2099 : clock === 'none' ? -1 : time
    const requestId = `r${request}`
    const place = { topic, offset: offsets[topic]!++, timestamp: clock === '2099' ? time : timestamp }
    const kind = TOPICS[topic]!
    topics[topic]!.push(
      kind === 'decision'
        ? { kind, event: decisionAt(requestId, occurredAt), handle: place.offset, bytes: 1, ...place }
        : kind === 'reward'
          ? { kind, event: rewardAt(requestId, occurredAt, value, rewardId), ...place }
          : { kind, event: { requestId, occurredAt }, ...place },
    )
  }
  return topics
}

const endOf = (topic: number, offset: number): JoinInput => {
  const place = { topic, offset, timestamp: END }
  const kind = TOPICS[topic]!
  const requestId = 'end'
  return kind === 'decision'
    ? { kind, event: decisionAt(requestId, END), handle: -1, bytes: 1, ...place }
    : kind === 'reward'
      ? { kind, event: rewardAt(requestId, END), ...place }
      : { kind, event: { requestId, occurredAt: END }, ...place }
}

/** Merges the topics in an order drawn from `picks`, each topic in its own order, the ends last. */
const interleave = (topics: readonly (readonly JoinInput[])[], picks: readonly number[]): JoinInput[] => {
  const next = topics.map(() => 0)
  const merged: JoinInput[] = []
  const total = topics.reduce((sum, { length }) => sum + length, 0)
  for (let i = 0; merged.length < total; i++) {
    let topic = picks[i % picks.length]! % topics.length
    while (next[topic]! >= topics[topic]!.length) topic = (topic + 1) % topics.length
    merged.push(topics[topic]![next[topic]!++]!)
  }
  return [...merged, ...endsOf(topics)]
}

const endsOf = (topics: readonly (readonly JoinInput[])[]): JoinInput[] =>
  topics.map((records, topic) => endOf(topic, (records.at(-1)?.offset ?? 0) + 7))

const ledgersHold = ({ counts }: RewardJoin): void => {
  for (const kind of JOIN_KINDS) {
    const { taken, used, pending, reasons } = counts[kind]
    expect(taken).toBe(used + pending + Object.values(reasons).reduce((sum, count) => sum + count, 0))
  }
}

const nothing = (): JoinOutputs => ({ closings: [], corrections: [] })

const comesTo = (outputs: JoinOutputs, { counts }: RewardJoin): Defined => ({
  outcomes: outputs.closings
    .filter(({ used }) => used)
    .map(outcomeLine)
    .sort(),
  corrections: outputs.corrections.map(correctionLine).sort(),
  reasons: JOIN_KINDS.flatMap((kind) =>
    Object.entries(counts[kind].reasons).flatMap(([reason, count]) =>
      new Array<string>(count).fill(`${kind.slice(0, -1)} ${reason}`),
    ),
  ).sort(),
})

/** Closes all that is due, in parts of one decision. */
const advance = (join: RewardJoin, outputs: JoinOutputs, commit: () => void): void => {
  let more = true
  while (more) {
    more = join.advance(NOW, outputs, undefined, 1)
    commit()
  }
}

/** What is committed after a batch. */
interface Committed {
  readonly progress: JoinProgress
  /** Positions by topic. */
  readonly positions: readonly number[]
}

const rebuilt = (
  options: RewardJoinOptions,
  topics: readonly (readonly JoinInput[])[],
  { progress, positions }: Committed,
  order: readonly number[],
): RewardJoin => {
  const join = new RewardJoin(options, topics.length)
  join.restore(progress)
  for (const topic of order) {
    const from = progress.earliest[topic]!
    if (from < 0) continue
    for (const input of topics[topic]!)
      if (input.offset >= from && input.offset < positions[topic]!) join.rebuild(input)
  }
  join.resume()
  return join
}

const RUNS = { numRuns: Number(process.env['JOIN_RUNS'] ?? 1_500) }
const anyPicks = fc.array(fc.nat(3), { minLength: 1, maxLength: 20 })
const anyStory = fc.array(anyRecord, { minLength: 1, maxLength: 40 })

describe('every story', () => {
  test('comes to the same outcomes, corrections and reasons in every interleaving of its topics, within grace and beyond', () => {
    fc.assert(
      fc.property(anyOptions, anyStory, anyPicks, (options, story, picks) => {
        const topics = topicsOf(story)
        const join = new RewardJoin(options, TOPICS.length)
        const outputs = nothing()
        for (const [i, input] of interleave(topics, picks).entries()) {
          join.step(input, NOW, outputs)
          if (picks[i % picks.length] !== 3) advance(join, outputs, () => ledgersHold(join))
          ledgersHold(join)
        }
        advance(join, outputs, () => {})
        expect(comesTo(outputs, join)).toEqual(joinByDefinition(topics, options, NOW))
      }),
      RUNS,
    )
  })

  test('comes to the same wherever it crashes and is rebuilt from its committed progress', () => {
    fc.assert(
      fc.property(
        anyOptions,
        anyStory,
        anyPicks,
        fc.array(fc.nat(9), { minLength: 1, maxLength: 15 }),
        fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
        (options, story, picks, crashes, order) => {
          const topics = topicsOf(story)
          const inputs = interleave(topics, picks)
          const logs = endsOf(topics).map((end, topic) => [...topics[topic]!, end])
          const outputs = nothing()
          let join = new RewardJoin(options, TOPICS.length)
          let commits = 0
          const positions = TOPICS.map(() => 0)
          const commit = () => {
            if (crashes[commits++ % crashes.length] !== 0) return
            join = rebuilt(options, logs, { progress: join.progress, positions }, order)
            ledgersHold(join)
          }
          for (const input of inputs) {
            join.step(input, NOW, outputs)
            positions[input.topic] = input.offset + 1
            let more = true
            while (more) {
              more = join.advance(NOW, outputs, undefined, 1)
              commit()
            }
          }
          advance(join, outputs, () => {})
          expect(comesTo(outputs, join)).toEqual(joinByDefinition(topics, options, NOW))
          const taken = JOIN_KINDS.reduce((sum, kind) => sum + join.counts[kind].taken, 0)
          expect(taken).toBe(inputs.length)
        },
      ),
      RUNS,
    )
  })
})
