/** The user's own topics: requests and rewards as JSON come in, decisions as JSON go out, and what does not map is a dead letter. */
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { describeWithClickHouse, useClickHouse } from '../clickhouse-server.ts'
import { describeOnClusters, type Stage, WINDOW_MS } from './harness.ts'
import { ids } from './rounds.ts'

const TIMEOUT = { timeout: 120_000 }

/** Auctions come in, winners go out, purchases reward them. */
const shop = (winner: Record<string, unknown> = { 'auction.winner': '$.arm' }) => {
  const name = randomUUID().slice(0, 8)
  const topics = { auctions: `${name}.auctions`, purchases: `${name}.purchases`, winners: `${name}.winners` }
  const overrides = {
    sources: [
      {
        topic: topics.auctions,
        event: 'decision-request',
        fields: {
          requestId: { path: '$.auction.id', as: 'string' },
          policy: { value: 'shared' },
          occurredAt: { path: '$.ts', unit: 's' },
          context: ['$.user.age', '$.user.visits'],
          arms: {
            each: '$.candidates',
            id: '$.sku',
            features: { names: { price: '$.price', margin: { path: '$.margin', as: 'number' } } },
          },
        },
      },
      {
        topic: topics.purchases,
        event: 'reward',
        fields: {
          requestId: { path: '$.auction', as: 'string' },
          value: '$.amount',
          occurredAt: { path: '$.at', unit: 'iso' },
        },
      },
    ],
    sinks: [
      {
        topic: topics.winners,
        event: 'decision',
        fields: { 'auction.id': '$.requestId', ...winner, probability: '$.propensity' },
      },
    ],
  }
  return { topics, options: { overrides, topics: Object.values(topics) } }
}

const auction = (stage: Stage, id: number, of: Record<string, unknown> = {}) => ({
  auction: { id },
  ts: Math.floor(stage.time / 1_000),
  user: { age: 20 + (id % 40), visits: id % 5 },
  candidates: [
    { sku: 'x', price: 1, margin: '0.5' },
    { sku: 'y', price: 2, margin: 0.25 },
  ],
  ...of,
})

const send = (stage: Stage, topic: string, messages: readonly unknown[]) =>
  stage.send(
    messages.map((message, i) => ({
      topic,
      partition: i % 4,
      key: null,
      value: Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)),
    })),
  )

describeWithClickHouse('mapped topics', () => {
  const clickhouse = useClickHouse()
  describeOnClusters('topics of the user', (open) => {
    test('go through the whole chain', TIMEOUT, async () => {
      const { topics, options } = shop()
      const stage = await open({ ...options, clickhouse })
      stage.start(['decide', 'attribute', 'record'])
      await send(
        stage,
        topics.auctions,
        ids(0, 40).map((id) => auction(stage, id)),
      )
      const decisions = (await stage.eventually('decision', 40)).map(({ event }) => event)
      const winners = (await stage.records(topics.winners)).map(({ key, value }) => ({
        key: key!.toString(),
        ...JSON.parse(value!.toString()),
      }))
      expect(winners.sort((a, b) => a.key.localeCompare(b.key))).toEqual(
        decisions
          .map(({ requestId, arm, propensity }) => ({
            key: requestId,
            auction: { id: requestId, winner: arm },
            probability: propensity,
          }))
          .sort((a, b) => a.key.localeCompare(b.key)),
      )
      // A purchase must lie in the partition of its decision, as their common key would put it.
      const placed = await stage.events('decision')
      await stage.send(
        placed.map(({ event, partition }) => ({
          topic: topics.purchases,
          partition,
          key: null,
          value: Buffer.from(
            JSON.stringify({
              auction: event.requestId,
              amount: Number(event.requestId) / 100,
              at: new Date(event.occurredAt + 1_000).toISOString(),
            }),
          ),
        })),
      )
      const ch = await stage.runtime.clickhouse()
      const sums = async () =>
        (
          await ch.query<{ n: string; total: number }>(
            'SELECT count() AS n, round(sum(value), 6) AS total FROM rewards',
          )
        )[0]!
      await stage.until('the rewards to be recorded', async () => Number((await sums()).n) >= 40)
      expect(await sums()).toEqual({ n: '40', total: 7.8 })
      await stage.until(
        'the rewards to be joined',
        async () => (await stage.metric('millrace_events_in_total{job="attribute"}')) >= 80,
      )
      stage.pass(10 * WINDOW_MS)
      const outcomes = await stage.eventually('outcome', 40)
      for (const { event } of outcomes) {
        expect(event.reward).toBe(Number(event.requestId) / 100)
        expect(event.rewardKind).toBe('observed')
      }
      expect(await stage.events('dead-letter')).toEqual([])
    })

    test('what does not map is a dead letter of stage map, and the rest goes on', TIMEOUT, async () => {
      const { topics, options } = shop()
      const stage = await open(options)
      stage.start(['decide', 'attribute'])
      const bad = [
        ['MALFORMED_JSON', '{"auction": '],
        ['MALFORMED_JSON', '\u0000'],
        ['MAPPING_FAILED', '[]'],
        ['MAPPING_FAILED', 'null'],
        ['MAPPING_FAILED', auction(stage, 1, { auction: {} })],
        ['MAPPING_FAILED', auction(stage, 2, { ts: 'yesterday' })],
        ['MAPPING_FAILED', auction(stage, 3, { user: { age: '30', visits: 1 } })],
        ['MAPPING_FAILED', auction(stage, 4, { candidates: [{ sku: 'x', price: 1, margin: 'cheap' }] })],
      ] as const
      await send(
        stage,
        topics.auctions,
        bad.map(([, message]) => message),
      )
      await send(stage, topics.purchases, [
        { auction: 'a', amount: null, at: new Date(stage.time).toISOString() },
      ])
      await send(
        stage,
        topics.auctions,
        ids(10, 8).map((id) => auction(stage, id)),
      )
      expect(await stage.eventually('decision', 8)).toHaveLength(8)
      const letters = (await stage.eventually('dead-letter', bad.length + 1)).map(({ event }) => event)
      const seen = letters.map(({ topic, stage: at, code, value }) => [topic, at, code, value!.toString()])
      const wanted = bad.map(([code, message]) => [
        topics.auctions,
        'map',
        code,
        typeof message === 'string' ? message : JSON.stringify(message),
      ])
      const lines = (all: readonly (readonly string[])[]) => all.map((each) => each.join(' ')).sort()
      expect(lines(seen.filter(([topic]) => topic === topics.auctions))).toEqual(lines(wanted))
      expect(seen.filter(([topic]) => topic === topics.purchases).map(([, at, code]) => [at, code])).toEqual([
        ['map', 'MAPPING_FAILED'],
      ])
    })

    test(
      'text that cannot be written as Avro makes a dead letter of its request alone',
      TIMEOUT,
      async () => {
        const { topics, options } = shop()
        const stage = await open(options)
        stage.start(['decide'])
        const half = { sku: '\ud800', price: 1, margin: 1 }
        await send(stage, topics.auctions, [
          auction(stage, 1, { candidates: [half] }),
          auction(stage, 2),
          auction(stage, 3),
        ])
        expect(await stage.eventually('decision', 2)).toHaveLength(2)
        const [letter, ...more] = await stage.eventually('dead-letter', 1)
        expect(more).toEqual([])
        expect(letter!.event).toMatchObject({
          topic: topics.auctions,
          offset: 0,
          code: 'INVALID_EVENT',
          stage: 'deliver',
        })
      },
    )

    test(
      "a decision that the user's sink cannot hold makes a dead letter of its request, and goes nowhere",
      TIMEOUT,
      async () => {
        const { topics, options } = shop({ 'auction.third': '$.arms[2]' })
        const stage = await open(options)
        stage.start(['decide'])
        const three = ['x', 'y', 'z'].map((sku) => ({ sku, price: 1, margin: 1 }))
        await send(stage, topics.auctions, [
          auction(stage, 1),
          auction(stage, 2, { candidates: three }),
          auction(stage, 3),
        ])
        expect((await stage.eventually('decision', 1)).map(({ event }) => event.requestId)).toEqual(['2'])
        const letters = await stage.eventually('dead-letter', 2)
        expect(letters.map(({ event }) => [event.stage, event.code])).toEqual([
          ['deliver', 'MAPPING_FAILED'],
          ['deliver', 'MAPPING_FAILED'],
        ])
        expect((await stage.records(topics.winners)).map(({ key }) => key!.toString())).toEqual(['2'])
      },
    )
  })
})
