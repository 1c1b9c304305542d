/** What happens to event time: rewards in every wrong order, clocks that are wrong, inputs that fall silent or only seem to. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigResourceTypes } from 'kafkajs'
import { expect } from 'vitest'
import type { EventTypes } from '../../schemas/generated/events.ts'
import { decoded } from './events.ts'
import { row } from './row.ts'
import { either } from './settings.ts'
import type { Stage } from './stage.ts'
import { after, encoded, idsInPartitions, type Marks, type Planned, partitionOf, request } from './world.ts'

const PARTITIONS = 4

interface Told {
  readonly headers?: Marks
  /** The record's own time; now where absent. */
  readonly timestamp?: number
}

const planned = (
  topic: Planned['topic'],
  key: string,
  value: Buffer,
  { headers, timestamp }: Told,
): Planned => ({
  topic,
  key,
  value,
  ...(headers === undefined ? {} : { headers }),
  ...(timestamp === undefined ? {} : { timestamp: String(timestamp) }),
})

const asked = (stage: Stage, requestId: string, occurredAt: number, told: Told = {}): Planned =>
  planned(
    'decision-requests',
    requestId,
    encoded('decision-request', { ...request(occurredAt % 1_000, stage.world), requestId, occurredAt }),
    told,
  )

const rewarded = (
  reward: Partial<EventTypes['reward']> & Pick<EventTypes['reward'], 'requestId' | 'occurredAt'>,
  told: Told = {},
): Planned =>
  planned('rewards', reward.requestId, encoded('reward', { rewardId: '', value: 1, ...reward }), told)

/** Whether all of these requests have their outcome. */
const closed = (stage: Stage, ids: readonly string[]): boolean => {
  const there = new Set(
    stage.log.records(`${stage.prefix}outcomes`).map(({ value }) => decoded('outcome', value!).requestId),
  )
  return ids.every((id) => there.has(id))
}

const allDecided = (stage: Stage) =>
  stage.until('all is decided', () => {
    const requests = stage.count('decision-requests')
    return requests > 0 && stage.count('decisions') >= requests
  })

row(
  17,
  'rewards early, late, twice, in conflict, for nobody; requests twice',
  { twiceEvery: 7 },
  async (stage) => {
    const [worker] = await stage.started()
    stage.flow(either(1_500, 800))
    await stage.publishedShare(0.4)
    // The counts must go on where they were.
    await worker!.kill()
    const killed = stage.fault('kill -9')
    worker!.start()
    await stage.flowed()
    const { windowMs } = stage.world
    const records: Planned[] = []
    for (let k = 0; k < either(80, 2_000); k++) {
      const requestId = `odd-${k}`
      const at = after(stage.world, k)
      const given = (rewardId: string, delay: number, value: number) =>
        rewarded({ requestId, rewardId, value, occurredAt: at + delay })
      const kinds = [
        // Before its decision can exist; the same again; in conflict with it, in either order of time.
        [given('a', 10, 1), given('a', 10, 1), given('a', 10, 2)],
        [given('a', 12, 1), given('a', 9, 5), given('b', 11, 3)],
        // After the window: once, twice, in conflict, and beside one in time.
        [given('a', windowMs + 1, 1), given('a', windowMs + 1, 1), given('a', windowMs + 2, 1)],
        [given('b', windowMs, 1), given('a', windowMs + 1, 4)],
        [rewarded({ requestId: `nobody-${k}`, occurredAt: at })],
        [],
      ]
      const times = k % 3 === 0 ? [0, 1, 3] : [0]
      records.push(...kinds[k % kinds.length]!, ...times.map((ms) => asked(stage, requestId, at + ms)))
    }
    await stage.send(records)
    stage.fault(`${records.length} odd records`)
    await stage.recovered(killed, stage.sessionMs)
    await stage.until('ledgers are written', () => stage.count('ledgers') > 0)
  },
)

const YEAR_2099 = Date.UTC(2099, 0)
const HOUR_MS = 3_600_000
const SKEW_MS = 200

row(
  18,
  'clocks an hour off, stepping back, in 2099 and in 1970',
  {
    recording: false,
    ends: 'clock',
    windowMs: 1_000,
    graceMs: 1_000,
    config: { join: { idleTimeout: '1s', maxFutureSkew: `${SKEW_MS}ms` } },
  },
  async (stage) => {
    const admin = stage.client.admin()
    await admin.connect()
    await admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: ConfigResourceTypes.TOPIC,
          name: `${stage.prefix}rewards`,
          // Brokers refuse records of the far future by themselves, but for topics that are told otherwise.
          configEntries: [{ name: 'message.timestamp.after.max.ms', value: String(2n ** 63n - 1n) }],
        },
      ],
    })
    await admin.disconnect()
    stage.flow(20_000)
    await stage.flowed()
    await stage.started(['decider'], { jobs: ['decide'] })
    await allDecided(stage)
    await stage.started(['joiner'], { jobs: ['attribute'] })

    const ids = (name: string, count: number) => Array.from({ length: count }, (_, k) => `${name}-${k}`)
    /** Decisions of now, in every partition; their rewards follow. */
    const sane = async (name: string): Promise<readonly (readonly [string, number])[]> => {
      const now = Date.now()
      const all = ids(name, 40).map((id, k) => [id, now + k] as const)
      await stage.send(all.map(([id, at]) => asked(stage, id, at)))
      await allDecided(stage)
      return all
    }
    // The world lies an hour back: from here on it is now, in every partition.
    await stage.send(idsInPartitions('now-', PARTITIONS).map((id) => asked(stage, id, Date.now())))
    await allDecided(stage)
    for (let round = 0; round < either(1, 10); round++) {
      const before = await sane(`before-${round}`)
      const now = Date.now()
      const behind = { headers: { reason: 'decision-behind-watermark' } }
      const unknown = { headers: { reason: 'unknown-decision' } }
      const future = { headers: { reason: 'from-the-future', expect: 'INVALID_EVENT' } }
      const wild = (name: string) => idsInPartitions(`${name}-${round}-`, PARTITIONS)
      const at2099 = wild('2099')
      const hourAhead = wild('ahead')
      await stage.send([
        ...at2099.map((id) => asked(stage, id, YEAR_2099)),
        ...hourAhead.map((id) => asked(stage, id, now + HOUR_MS)),
        ...wild('1970').map((id) => asked(stage, id, 0, behind)),
        ...wild('behind').map((id) => asked(stage, id, now - HOUR_MS, behind)),
      ])
      await allDecided(stage)
      const rewards = before.map(([requestId, at]) => [requestId, at + 100] as const)
      await stage.send([
        ...at2099.map((requestId) => rewarded({ requestId, value: 2, occurredAt: YEAR_2099 + 50 })),
        ...hourAhead.map((requestId) => rewarded({ requestId, value: 3, occurredAt: now + HOUR_MS + 50 })),
        ...rewards
          .slice(0, 8)
          .flatMap(([requestId, at]) => [
            rewarded({ requestId, rewardId: '2099', value: 4, occurredAt: YEAR_2099 }),
            rewarded(
              { requestId, rewardId: 'both', value: 5, occurredAt: YEAR_2099 },
              { ...future, timestamp: YEAR_2099 },
            ),
            rewarded({ requestId, rewardId: 'ahead', value: 6, occurredAt: at + HOUR_MS }),
            rewarded({ requestId, rewardId: '1970', value: 7, occurredAt: 0 }, unknown),
            rewarded({ requestId, rewardId: 'behind', value: 8, occurredAt: at - HOUR_MS }, unknown),
            rewarded(
              { requestId, rewardId: 'stamped', value: 9, occurredAt: at },
              { ...unknown, timestamp: 0 },
            ),
          ]),
      ])
      stage.fault('16 requests and 56 rewards with wrong clocks')
      // The clock of the sane has stepped back a little; a record's time alone, in 2099, changes nothing.
      await stage.send(
        rewards.map(([requestId, at], k) =>
          rewarded(
            { requestId, value: k, occurredAt: k % 2 === 0 ? at : at - 90 },
            k % 4 === 0 ? { timestamp: YEAR_2099 } : {},
          ),
        ),
      )
      const later = await sane(`after-${round}`)
      await stage.send(
        later.map(([requestId, at]) => rewarded({ requestId, value: 1, occurredAt: at + 900 })),
      )
      const all = [...before, ...later].map(([id]) => id)
      await stage.until('the windows of the sane close', () => closed(stage, all))
    }
    const poisoned = stage.log
      .records(`${stage.prefix}ledgers`)
      .map(({ value }) => decoded('ledger', value!))
      .filter(({ watermark, at }) => watermark !== null && watermark > at + SKEW_MS)
    expect(poisoned.map(({ partition, watermark, at }) => ({ partition, watermark, at }))).toEqual([])
  },
)

const IDLE_MS = 1_000
const SPAN_MS = 1_000

row(
  19,
  'an idle partition, a silent input, a stalled broker',
  {
    recording: false,
    ends: 'clock',
    windowMs: 800,
    graceMs: SPAN_MS - 800,
    // Nothing in the last partition, and no rewards in the first.
    only: ({ topic, key }) => {
      const partition = partitionOf(key, PARTITIONS)
      return partition !== PARTITIONS - 1 && !(partition === 0 && topic === 'rewards')
    },
    config: { join: { idleTimeout: `${IDLE_MS}ms` }, kafka: { sessionTimeout: '60s' } },
  },
  async (stage) => {
    stage.flow(20_000)
    await stage.flowed()
    await stage.started(['decider'], { jobs: ['decide'] })
    await allDecided(stage)
    const [joiner] = await stage.started(['joiner'], { jobs: ['attribute'] })
    const requests = stage.count('decision-requests')
    await stage.until('the windows of all close', () => stage.count('outcomes') === requests)
    stage.fault(`one of ${PARTITIONS} partitions idle`)

    // Decisions come and come, and no reward: they close by the time of decisions alone.
    const [lonely] = idsInPartitions('lonely-', PARTITIONS)
    await stage.send([asked(stage, lonely!, Date.now())])
    for (let k = 0; !closed(stage, [lonely!]); k++) {
      await sleep(100)
      const [next] = idsInPartitions(`more-${k}-`, PARTITIONS)
      await stage.send([asked(stage, next!, Date.now())])
    }
    stage.fault('rewards silent')
    await stage.until('all of those close too', () => stage.count('outcomes') === stage.count('decisions'))

    // Nothing is heard of the broker for longer than anything may be silent; what it holds meanwhile is joined all the same.
    for (let round = 0; round < either(1, 6); round++) {
      const ahead = Date.now() + 2_000
      const ids = Array.from({ length: 40 }, (_, k) => `stalled-${round}-${k}`)
      await stage.send(ids.map((id) => asked(stage, id, ahead)))
      await allDecided(stage)
      const pending = async () =>
        [...(await joiner!.metrics()).matchAll(/^millrace_join_pending\{.*\} (\d+)/gm)].reduce(
          (sum, [, n]) => sum + Number(n),
          0,
        )
      await stage.until('all of them wait', async () => (await pending()) === ids.length)
      stage.proxy.swallow()
      const stalled = stage.fault('the broker does not answer')
      await stage.send(ids.map((requestId) => rewarded({ requestId, value: 1, occurredAt: ahead + 500 })))
      await sleep(Math.max(either(0, 30_000), ahead + SPAN_MS + 2 * IDLE_MS - stalled))
      stage.proxy.heal()
      await stage.until('their windows close', () => closed(stage, ids))
    }
    const defaulted = stage.log
      .records(`${stage.prefix}outcomes`)
      .map(({ value }) => decoded('outcome', value!))
      .filter(({ requestId, rewardKind }) => requestId.startsWith('stalled-') && rewardKind !== 'observed')
    expect(defaulted.map(({ requestId }) => requestId)).toEqual([])
  },
)
