/** attribute around its join: what rides in the metadata, what the ledgers say, what is held and what is read again. */
import { expect, test } from 'vitest'
import { METADATA_LIMIT } from '../../infra/kafka/port.ts'
import { partKey, partOf } from '../../operators/bandits/state/split.ts'
import { JOIN_KINDS, JOIN_REASONS, noCounts } from '../../operators/streams/join-ledgers.ts'
import type { JoinProgress } from '../../operators/streams/join-options.ts'
import { decodeProgress, encodeProgress } from '../../pipelines/attribute/join-progress.ts'
import type { Ledger } from '../../schemas/generated/events.ts'
import { decisionAt, rewardAt } from '../operators/streams/events.ts'
import { describeOnClusters, failureCode, POLICIES, type Running, type Stage, WINDOW_MS } from './harness.ts'

const TIMEOUT = { timeout: 120_000 }
const DAY = 86_400_000

/** Progress of a task with as many topics, every number in it large. */
const progressOf = (topics: number): JoinProgress => {
  const counts = noCounts()
  for (const kind of JOIN_KINDS) {
    counts[kind].used = 1e12
    for (const reason of JOIN_REASONS[kind]) (counts[kind].reasons as Record<string, number>)[reason] = 1e12
  }
  const each = <T>(value: T) => new Array<T>(topics).fill(value)
  const now = 1_900_000_000_123
  return {
    watermark: now - 5_000,
    clock: now,
    largest: each(now - 4_321),
    earliest: each(1e12),
    before: each(now - 21 * DAY),
    counts,
  }
}
const names = (count: number) => Array.from({ length: count }, (_, i) => `rewards-of-team-${i}`)

test('progress of six input topics with counters up to 10^12 fits the metadata of a position, and reads as it was', () => {
  const progress = progressOf(6)
  const text = encodeProgress(progress, names(6))
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(METADATA_LIMIT)
  const read = decodeProgress(text, names(6), 0)!
  expect({ ...read, counts: null }).toEqual({ ...progress, counts: null })
  for (const kind of JOIN_KINDS) {
    expect(read.counts![kind].used).toBe(1e12)
    expect(read.counts![kind].reasons).toEqual(progress.counts![kind].reasons)
  }
})

test('progress of a task that has seen little reads as it was, wherever its topics stand now', () => {
  const progress: JoinProgress = {
    watermark: Number.NEGATIVE_INFINITY,
    clock: 5,
    largest: [Number.NEGATIVE_INFINITY, 100],
    earliest: [-1, 7],
    before: [Number.NEGATIVE_INFINITY, 150],
    counts: noCounts(),
  }
  const text = encodeProgress(progress, ['a', 'b'])
  expect(decodeProgress(text, ['a', 'b'], 0)).toEqual(progress)
  expect(decodeProgress(text, ['c', 'b', 'a'], 0)).toEqual({
    ...progress,
    largest: [Number.NEGATIVE_INFINITY, 100, Number.NEGATIVE_INFINITY],
    earliest: [-1, 7, -1],
    before: [Number.NEGATIVE_INFINITY, 150, Number.NEGATIVE_INFINITY],
  })
})

test('progress of the release before is read, and that release finds in ours what it looks for', () => {
  const old = '{"v":1,"w":null,"t":{"1pq8a7v":[1000,17]}}'
  const [name] = Object.keys(JSON.parse(encodeProgress(progressOf(1), ['decisions'])).t)
  expect(decodeProgress(old.replace('1pq8a7v', name!), ['decisions'], 99)).toEqual({
    watermark: Number.NEGATIVE_INFINITY,
    clock: 99,
    largest: [1_000],
    earliest: [17],
    before: [Number.NEGATIVE_INFINITY],
    counts: null,
  })
  const { v, w, t } = JSON.parse(encodeProgress(progressOf(2), names(2)))
  expect([v, w]).toEqual([1, progressOf(2).watermark])
  for (const pair of Object.values(t)) expect(pair).toEqual([progressOf(2).largest[0], 1e12])
})

const taken = (running: Running) => running.progress.reduce((sum, { received }) => sum + received, 0)

/** The newest ledger of each task, added up by kind; every ledger ever written balances. */
const ledgersOf = async (
  stage: Stage,
): Promise<Record<string, Omit<Ledger, 'partition' | 'kind' | 'at'>>> => {
  const newest = new Map<string, Ledger>()
  for (const { event, key } of await stage.events('ledger')) {
    expect(key).toBe(`${event.partition}/${event.kind}`)
    const reasons = Object.values(event.reasons)
    expect(reasons.every((count) => count > 0)).toBe(true)
    expect(event.taken).toBe(event.used + event.pending + reasons.reduce((sum, count) => sum + count, 0))
    newest.set(key!, event)
  }
  const sums: Record<
    string,
    { taken: number; used: number; pending: number; reasons: Record<string, number> }
  > = {}
  for (const { kind, taken, used, pending, reasons } of newest.values()) {
    sums[kind] ??= { taken: 0, used: 0, pending: 0, reasons: {} }
    const sum = sums[kind]
    sum.taken += taken
    sum.used += used
    sum.pending += pending
    for (const [reason, count] of Object.entries(reasons))
      sum.reasons[reason] = (sum.reasons[reason] ?? 0) + count
  }
  return sums as never
}

describeOnClusters('attribute', (open) => {
  test(
    'says in ledgers what became of everything, and goes on counting after a restart',
    TIMEOUT,
    async () => {
      const stage = await open({ overrides: { 'join.activation': 'deferred', 'join.rewards': 'sum' } })
      let attribute = stage.start(['attribute'])
      const at = stage.time
      const all = Array.from({ length: 40 }, (_, i) => `r${i}`)
      await stage.publish(
        'decision',
        [...all, ...all.slice(0, 5)].map((id) => decisionAt(id, at)),
      )
      await stage.until('decisions', () => taken(attribute) === 45)
      await attribute.stop()
      attribute = stage.start(['attribute'], await stage.process())
      await stage.publish(
        'activation',
        all.slice(0, 30).map((requestId) => ({ requestId, occurredAt: at + 10 })),
      )
      await stage.publish(
        'reward',
        all.flatMap((id) => [rewardAt(id, at + 20, 1, 'a'), rewardAt(id, at + 30, 2, 'b')]),
      )
      await stage.until('the rest', () => taken(attribute) === 110)
      expect(await ledgersOf(stage)).toMatchObject({
        decisions: { taken: 45, used: 0, pending: 40, reasons: { 'duplicate-decision': 5 } },
        rewards: { taken: 80, used: 0, pending: 80, reasons: {} },
        activations: { taken: 30, used: 0, pending: 30, reasons: {} },
      })
      await attribute.stop()
      stage.pass(WINDOW_MS + 1_000)
      attribute = stage.start(['attribute'], await stage.process())
      const outcomes = await stage.eventually('outcome', 30)
      expect(outcomes.map(({ event }) => event.requestId).sort()).toEqual(all.slice(0, 30).sort())
      for (const { event } of outcomes) expect([event.reward, event.rewardOccurredAt]).toEqual([3, at + 30])
      await attribute.stop()
      const third = await stage.process()
      attribute = stage.start(['attribute'], third)
      await stage.publish('reward', [rewardAt('r0', at + 40, 7, 'late'), rewardAt('r0', at + 20, 1, 'a')])
      const [correction] = await stage.eventually('outcome-correction', 1)
      expect(correction!.event).toMatchObject({
        requestId: 'r0',
        reward: 7,
        recorded: 3,
        arm: 'a',
        policy: 'p',
      })
      await stage.until('both', () => taken(attribute) === 2)
      expect(await ledgersOf(stage)).toMatchObject({
        decisions: {
          taken: 45,
          used: 30,
          pending: 0,
          reasons: { 'duplicate-decision': 5, 'not-activated': 10 },
        },
        rewards: {
          taken: 82,
          used: 60,
          pending: 0,
          reasons: { 'not-activated': 20, 'duplicate-reward': 1, 'reward-behind-watermark': 1 },
        },
        activations: { taken: 30, used: 30, pending: 0, reasons: {} },
      })
      const counted = (reason: string) =>
        stage.metric(`millrace_join_reasons_total{job="attribute",reason="${reason}"}`, third)
      expect(await counted('reward-behind-watermark')).toBe(1)
      expect(await counted('not-activated')).toBe(0)
    },
  )

  test('reads a large decision again when its window closes', TIMEOUT, async () => {
    const stage = await open()
    const attribute = stage.start(['attribute'])
    const vector = Array.from({ length: 1_000 }, (_, i) => Math.sin(i))
    const decisions = Array.from({ length: 30 }, (_, i) => {
      const decision = decisionAt(`r${i}`, stage.time + i)
      return i % 3 === 0 ? { ...decision, vector } : decision
    })
    await stage.publish('decision', decisions)
    await stage.until('them to wait', () => taken(attribute) === 30)
    stage.pass(10 * WINDOW_MS)
    const outcomes = await stage.eventually('outcome', 30)
    expect(outcomes).toHaveLength(30)
    for (const decision of decisions) {
      const found = outcomes.find(({ event }) => event.requestId === decision.requestId)
      expect(found?.event).toMatchObject({ vector: decision.vector, occurredAt: decision.occurredAt })
    }
  })

  test('spreads the outcomes of a split policy over its parts', TIMEOUT, async () => {
    const split = { ...POLICIES[0], partitions: 3 }
    const stage = await open({ overrides: { policies: [split] } })
    const attribute = stage.start(['attribute'])
    const decisions = Array.from({ length: 40 }, (_, i) => ({
      ...decisionAt(`r${i}`, stage.time),
      policy: i % 2 === 0 ? split.name : 'another',
    }))
    await stage.publish('decision', decisions)
    await stage.until('them to wait', () => taken(attribute) === 40)
    stage.pass(10 * WINDOW_MS)
    for (const { event, key } of await stage.eventually('outcome', 40)) {
      const { policy, requestId } = event
      expect(key).toBe(policy === 'another' ? policy : partKey(policy, partOf(requestId, 3), 3))
    }
  })
})

describeOnClusters(
  'attribute, in memory alone',
  (open) => {
    test(
      'closes ten thousand windows that run out together in parts, each outcome once',
      TIMEOUT,
      async () => {
        const stage = await open({ overrides: { 'topics.partitions': 1 } })
        const attribute = stage.start(['attribute'])
        const at = stage.time
        const ids = Array.from({ length: 10_000 }, (_, i) => `request-${i}`)
        await stage.publish(
          'decision',
          ids.map((id, i) => ({ ...decisionAt(id, at + i), vector: [...Array(30).keys()] })),
        )
        await stage.until('them to wait', () => taken(attribute) === ids.length)
        stage.pass(10 * WINDOW_MS)
        const outcomes = await stage.eventually('outcome', ids.length)
        expect(outcomes.map(({ event }) => event.requestId)).toEqual(ids)
        const parts = attribute.progress.filter(({ sent }) => (sent['outcome'] ?? 0) > 0)
        expect(parts.length).toBeGreaterThan(1)
        expect((await ledgersOf(stage))['decisions']).toMatchObject({
          taken: 10_000,
          used: 10_000,
          pending: 0,
        })
      },
    )

    test('refuses what is from the future by both its clocks', TIMEOUT, async () => {
      const stage = await open({ overrides: { 'join.maxFutureSkew': '1m', 'topics.partitions': 1 } })
      const attribute = stage.start(['attribute'])
      const far = stage.time + 90 * DAY
      const { codec } = stage.runtime
      const value = (at: number) => codec.encode('reward', rewardAt('r', at))
      await stage.publish('decision', [decisionAt('r', stage.time)])
      await stage.send([
        { topic: stage.topic('reward'), key: Buffer.from('r'), value: value(far), timestamp: far },
        { topic: stage.topic('reward'), key: Buffer.from('r'), value: value(far), timestamp: stage.time },
      ])
      await stage.until('both', () => taken(attribute) === 3)
      const [letter] = await stage.eventually('dead-letter', 1)
      expect(letter!.event).toMatchObject({ stage: 'join', code: 'INVALID_EVENT', offset: 0 })
      expect(letter!.event.message).toMatch(/^from the future: /)
      expect((await ledgersOf(stage))['rewards']).toMatchObject({
        taken: 2,
        pending: 1,
        reasons: { 'from-the-future': 1 },
      })
    })

    test('does not start where a topic no longer holds what is undecided', TIMEOUT, async () => {
      const stage = await open({ overrides: { 'topics.partitions': 1 } })
      const attribute = stage.start(['attribute'])
      await stage.publish('decision', [decisionAt('a', stage.time), decisionAt('b', stage.time)])
      await stage.until('them to wait', () => taken(attribute) === 2)
      await attribute.stop()
      stage.deleteRecords('decision', 0, 1)
      const again = stage.start(['attribute'], await stage.process())
      expect(failureCode(await again.failed())).toBe('OFFSET_OUT_OF_RANGE')
    })

    test('refuses a topic that would bring it two kinds of events', TIMEOUT, async () => {
      const source = (event: string) => ({
        topic: 'both',
        event,
        format: 'json',
        fields: {
          requestId: '$.id',
          occurredAt: '$.at',
          ...(event === 'reward' ? { value: '$.value' } : {}),
        },
      })
      const stage = await open({
        topics: ['both'],
        overrides: { 'join.activation': 'deferred', sources: [source('reward'), source('activation')] },
      })
      expect(failureCode(await stage.start(['attribute']).failed())).toBe('INVALID_CONFIG')
    })
  },
  ['memory'],
)
