/** Restarts: whoever stops, dies or loses a commit in the middle, what comes out is what would have come out without that. */
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Fault } from '../../infra/kafka/memory.ts'
import { describeWithClickHouse, useClickHouse } from '../clickhouse-server.ts'
import { describeOnClusters, type Stage, WINDOW_MS } from './harness.ts'
import { anyRequest, expectReplayed, ids, isRewarded, playRound, rewardOf } from './rounds.ts'

const TIMEOUT = { timeout: 180_000 }

/** Every decision of the log has one outcome, with its own reward. */
const expectJoined = async (stage: Stage, count: number): Promise<void> => {
  const decisions = await stage.events('decision')
  const outcomes = await stage.events('outcome')
  const sorted = (events: readonly { event: { requestId: string } }[]) =>
    events.map(({ event }) => event.requestId).sort()
  expect(new Set(sorted(decisions)).size).toBe(count)
  expect(sorted(decisions)).toHaveLength(count)
  expect(sorted(outcomes)).toEqual(sorted(decisions))
  for (const { event } of outcomes)
    expect([event.requestId, event.reward]).toEqual([
      event.requestId,
      isRewarded(event.requestId) ? rewardOf(event).value : 0,
    ])
}

describeOnClusters('attribute', (open) => {
  test(
    'restarted between decisions, rewards and the close of their windows, it gives each outcome once',
    TIMEOUT,
    async () => {
      const stage = await open()
      stage.start(['decide'])
      let attribute = stage.start(['attribute'])
      const restart = async () => {
        await attribute.stop()
        attribute = stage.start(['attribute'], await stage.process())
      }
      const pending = async (count: number) => {
        const processes = stage.processes
        const gauges = await Promise.all(
          processes.flatMap((runtime) =>
            [0, 1, 2, 3].map((p) =>
              stage.metric(`millrace_join_pending{job="attribute",partition="${p}"}`, runtime),
            ),
          ),
        )
        return gauges.reduce((sum, each) => sum + each) === count
      }
      // Windows of the first forty close first.
      const early = ids(0, 40).map((id) => anyRequest(stage, id))
      const late = ids(40, 40).map((id) => ({
        ...anyRequest(stage, id),
        occurredAt: stage.time + WINDOW_MS / 2 + id,
      }))
      await stage.publish('decision-request', [...early, ...late])
      const decisions = await stage.eventually('decision', 80)
      await stage.until('all to wait', () => pending(80))
      await restart()
      const rewards = decisions
        .filter(({ event }) => isRewarded(event.requestId))
        .map(({ event }) => rewardOf(event))
      await stage.publish('reward', rewards.slice(0, 30))
      await stage.until('some rewards', async () => {
        const { admin } = stage.runtime.broker
        const committed = await admin.committed(stage.config.app, 'attribute', [stage.topic('reward')])
        const offsets = [...(committed.get(stage.topic('reward'))?.values() ?? [])].map(
          ({ offset }) => offset,
        )
        return offsets.reduce((sum, offset) => sum + offset, 0) >= 30
      })
      await restart()
      await stage.publish('reward', rewards.slice(30))
      await stage.until('the other rewards', async () => {
        const { admin } = stage.runtime.broker
        const committed = await admin.committed(stage.config.app, 'attribute', [stage.topic('reward')])
        const offsets = [...(committed.get(stage.topic('reward'))?.values() ?? [])].map(
          ({ offset }) => offset,
        )
        return offsets.reduce((sum, offset) => sum + offset, 0) >= rewards.length
      })
      stage.pass(WINDOW_MS + 1_000)
      await stage.until('the first to close', async () => (await stage.count(stage.topic('outcome'))) >= 40)
      await restart()
      stage.pass(10 * WINDOW_MS)
      await stage.eventually('outcome', 80)
      await expectJoined(stage, 80)
    },
  )

  test('tasks that move to another process take their join along', TIMEOUT, async () => {
    const stage = await open()
    stage.start(['decide'])
    const first = stage.start(['attribute'])
    await stage.publish(
      'decision-request',
      ids(0, 60).map((id) => anyRequest(stage, id)),
    )
    const decisions = await stage.eventually('decision', 60)
    await stage.until('the decisions to be taken in', async () => {
      const received = first.progress.filter(({ topic }) => topic === stage.topic('decision'))
      return received.reduce((sum, { received }) => sum + received, 0) === 60
    })
    const second = stage.start(['attribute'], await stage.process())
    await stage.until('the second to own some', () => second.progress.length > 0)
    await stage.publish(
      'reward',
      decisions.filter(({ event }) => isRewarded(event.requestId)).map(({ event }) => rewardOf(event)),
    )
    await stage.until('both to work', () => second.progress.some(({ received }) => received > 0))
    stage.pass(10 * WINDOW_MS)
    await stage.eventually('outcome', 60)
    await expectJoined(stage, 60)
    await first.stop()
    await playRound(stage, ids(100, 20))
    await expectJoined(stage, 80)
  })
})

describeOnClusters('a stop', (open) => {
  test.each(['decide', 'attribute', 'record'])(
    'that comes while %s still starts ends it',
    TIMEOUT,
    async (name) => {
      const stage = await open()
      const never = new Promise<never>(() => {})
      const running = stage.start([name], { ...stage.runtime, clickhouse: () => never })
      await running.stop()
      expect(running.failure()).toBeUndefined()
    },
  )
})

describeOnClusters(
  'attribute, where the log begins late',
  (open) => {
    test('commits no position before the first record that is there', TIMEOUT, async () => {
      const stage = await open()
      const decide = stage.start(['decide'])
      await stage.publish(
        'decision-request',
        ids(0, 40).map((id) => anyRequest(stage, id)),
      )
      const decisions = await stage.eventually('decision', 40)
      await decide.stop()
      for (const partition of [0, 1, 2, 3]) stage.deleteRecords('decision', partition, 5)
      const attribute = stage.start(['attribute'])
      await stage.until('everything to be taken in', async () => {
        await stage.publish(
          'reward',
          decisions.slice(0, 8).map(({ event }) => rewardOf(event)),
        )
        return attribute.progress.length > 8
      })
      const topic = stage.topic('decision')
      const committed = await stage.runtime.broker.admin.committed(stage.config.app, 'attribute', [topic])
      for (const { offset } of committed.get(topic)?.values() ?? []) expect(offset).toBeGreaterThanOrEqual(5)
    })
  },
  ['memory'],
)

describeOnClusters('attribute, with another source of rewards', (open) => {
  test('keeps what it was waiting for when sources come, go and change places', TIMEOUT, async () => {
    const names = ['one', 'two'].map((each) => `${each}-${randomUUID().slice(0, 8)}`)
    const source = (topic: string) => ({
      topic,
      event: 'reward',
      format: 'json',
      fields: { requestId: '$.id', value: '$.value', occurredAt: '$.at' },
    })
    const stage = await open({ topics: names, overrides: { sources: [source(names[0]!)] } })
    const reordered = await stage.process({
      config: { ...stage.config, sources: [source(names[1]!), source(names[0]!)] as never },
    })
    stage.start(['decide'])
    const first = stage.start(['attribute'])
    await stage.publish(
      'decision-request',
      ids(0, 40).map((id) => anyRequest(stage, id)),
    )
    const decisions = await stage.eventually('decision', 40)
    const send = (topic: string, some: typeof decisions) =>
      stage.send(
        some.map(({ event, partition }) => {
          const { requestId, value, occurredAt } = rewardOf(event)
          return {
            topic,
            partition,
            key: null,
            value: Buffer.from(JSON.stringify({ id: requestId, value, at: occurredAt })),
          }
        }),
      )
    const rewarded = decisions.filter(({ event }) => isRewarded(event.requestId))
    await send(names[0]!, rewarded.slice(0, 20))
    const taken = (running: typeof first) => running.progress.reduce((sum, { received }) => sum + received, 0)
    await stage.until('decisions and rewards', () => taken(first) === 60)
    await first.stop()
    const second = stage.start(['attribute'], reordered)
    await send(names[1]!, rewarded.slice(20))
    await stage.until('the other rewards', () => taken(second) === rewarded.length - 20)
    stage.pass(10 * WINDOW_MS)
    await stage.eventually('outcome', 40)
    await expectJoined(stage, 40)
  })
})

describeWithClickHouse('with ClickHouse', () => {
  const clickhouse = useClickHouse()

  describeOnClusters('record', (open) => {
    const counts = async (stage: Stage) => {
      const ch = await stage.runtime.clickhouse()
      const [row] = await ch.query<Record<string, string | number>>(
        `SELECT (SELECT count() FROM decisions) AS decisions, (SELECT uniqExact(request_id) FROM decisions) AS distinct,
           (SELECT sum(decisions) FROM decisions_per_minute) AS decisionsRolled, (SELECT count() FROM outcomes) AS outcomes,
           (SELECT sum(outcomes) FROM outcomes_per_minute) AS outcomesRolled, (SELECT count() FROM rewards) AS rewards,
           round((SELECT sum(reward) FROM outcomes), 6) AS reward, round((SELECT sum(reward_sum) FROM outcomes_per_minute), 6) AS rewardRolled`,
      )
      return Object.fromEntries(Object.entries(row!).map(([name, value]) => [name, Number(value)]))
    }
    const expectRows = async (stage: Stage, count: number) => {
      const rewards = (await stage.events('reward')).length
      const reward = (await stage.events('outcome')).reduce((sum, { event }) => sum + event.reward, 0)
      const whole = Number(reward.toFixed(6))
      await stage.until('the rows', async () => {
        const { decisionsRolled, outcomesRolled, rewards: rows } = await counts(stage)
        return decisionsRolled! >= count && outcomesRolled! >= count && rows! >= rewards
      })
      expect(await counts(stage)).toEqual({
        decisions: count,
        distinct: count,
        decisionsRolled: count,
        outcomes: count,
        outcomesRolled: count,
        rewards,
        reward: whole,
        rewardRolled: whole,
      })
    }

    test.each(['before', 'after'] as const)(
      'dying %s the insert of a planned block, it counts everything once',
      TIMEOUT,
      async (when) => {
        const stage = await open({ clickhouse })
        stage.start(['decide', 'attribute'])
        await playRound(stage, ids(0, 60))
        const healthy = await stage.process()
        let inserted = 0
        const dying = {
          ...healthy,
          clickhouse: async () => {
            const ch = await healthy.clickhouse()
            return {
              ...ch,
              insertBlock: async (block: Parameters<typeof ch.insertBlock>[0]) => {
                const dies = ++inserted === 3
                if (dies && when === 'before') throw new Error('it died')
                await ch.insertBlock(block)
                if (dies) throw new Error('it died')
              },
            }
          },
        }
        expect(String(await stage.start(['record'], dying).failed())).toContain('it died')
        const topics = (['decision', 'outcome', 'reward'] as const).map((event) => stage.topic(event))
        const committed = await stage.runtime.broker.admin.committed(stage.config.app, 'record', topics)
        const plans = [...committed.values()]
          .flatMap((positions) => [...positions.values()])
          .filter(({ metadata }) => metadata !== '')
        expect(plans.length).toBeGreaterThan(0)
        const again = stage.start(['record'], await stage.process())
        await expectRows(stage, 60)
        await playRound(stage, ids(100, 20))
        await expectRows(stage, 80)
        await again.stop()
      },
    )
  })

  describeOnClusters(
    'all jobs',
    (open) => {
      test('losing commits at random, they come to what they come to without', {
        timeout: 300_000,
      }, async () => {
        const faults = fc.infiniteStream(
          fc.constantFrom<Fault | undefined>(
            undefined,
            undefined,
            undefined,
            undefined,
            'request-lost',
            'reply-lost',
          ),
        )
        await fc.assert(
          fc.asyncProperty(faults, async (stream) => {
            const stage = await open({ clickhouse })
            const fault = (): Fault | undefined => stream.next().value
            const process = await stage.process({ fault })
            stage.start(['decide', 'attribute', 'record'], process)
            for (const first of [0, 100, 200]) await playRound(stage, ids(first, 30))
            await expectJoined(stage, 90)
            await expectReplayed(stage)
            const ch = await process.clickhouse()
            const rows = async () => {
              const [row] = await ch.query<Record<string, string>>(
                'SELECT (SELECT count() FROM decisions) AS d, (SELECT count() FROM outcomes) AS o, (SELECT sum(outcomes) FROM outcomes_per_minute) AS r',
              )
              return Object.values(row!).map(Number)
            }
            await stage.until('the rows', async () => (await rows()).every((count) => count >= 90))
            expect(await rows()).toEqual([90, 90, 90])
            await stage.close()
          }),
          { numRuns: 6, seed: Number(`0x${randomUUID().slice(0, 6)}`), endOnFailure: true },
        )
      })
    },
    ['memory'],
  )
})
