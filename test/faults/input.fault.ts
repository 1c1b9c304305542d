/** Records that must not be acted on, and records that must not be seen: each is refused under its code, or invisible; the rest goes on. */
import { expect } from 'vitest'
import type { EventTypes } from '../../schemas/generated/events.ts'
import { millrace } from './command.ts'
import { row } from './row.ts'
import { either } from './settings.ts'
import type { Stage } from './stage.ts'
import { after, DIMENSION, encoded, type Marks, type Planned, request } from './world.ts'

type Request = EventTypes['decision-request']
type Reward = EventTypes['reward']

const asked = (value: Request, headers?: Marks): Planned => ({
  topic: 'decision-requests',
  key: value.requestId,
  value: encoded('decision-request', value),
  ...(headers === undefined ? {} : { headers }),
})

const rewarded = (value: Reward, headers?: Marks): Planned => ({
  topic: 'rewards',
  key: value.requestId,
  value: encoded('reward', value),
  ...(headers === undefined ? {} : { headers }),
})

/** Waits until every request is decided. */
const decided = (stage: Stage, ids: readonly string[]) =>
  stage.until('all are decided', () => {
    const there = new Set(stage.log.records(`${stage.prefix}decisions`).map(({ key }) => key))
    return ids.every((id) => there.has(id))
  })

/** Dead letters of a code that a worker has counted in a job. */
const counted = (metrics: string, job: string, code: string): number =>
  Number(
    new RegExp(`^millrace_dead_letters_total\\{job="${job}",code="${code}"\\} (\\d+)`, 'm').exec(
      metrics,
    )?.[1] ?? 0,
  )

row(8, 'poison messages, mended and replayed', {}, async (stage) => {
  const [worker] = await stage.started()
  stage.flow(either(3_000, 800))
  const poison = Array.from({ length: either(60, 2_000) }, (_, k): Request => {
    const requestId = `poison-${k}`
    return { ...request(k, stage.world), requestId, policy: 'unheard', occurredAt: after(stage.world, k) }
  })
  for (let from = 0; from < poison.length; from += 20)
    await stage.send(poison.slice(from, from + 20).map((each) => asked(each, { expect: 'UNKNOWN_POLICY' })))
  stage.fault(`${poison.length} requests for a policy that nobody knows`)
  await stage.flowed()
  await stage.until('they are dead letters', () => stage.count('dead-letters') === poison.length)
  expect(counted(await worker!.metrics(), 'decide', 'UNKNOWN_POLICY')).toBe(poison.length)

  const list = await millrace(stage, [
    'dead-letters',
    'list',
    '--json',
    '--limit',
    '5000',
    '--code',
    'UNKNOWN_POLICY',
  ])
  expect(list.said.trim().split('\n').length, list.errors).toBe(poison.length)

  const config = stage.config as { policies: { name: string }[]; kafka: object }
  const policies = [...config.policies, { ...config.policies[0], name: 'unheard' }]
  const mended = { ...config, policies }
  const applied = await millrace(stage, ['policies', 'apply'], mended)
  expect(applied.code, applied.errors).toBe(0)
  await worker!.stop()
  worker!.configure({ ...mended, kafka: { ...config.kafka, clientId: worker!.name } })
  worker!.start()
  await stage.opened('decide')
  const replayed = await millrace(stage, ['dead-letters', 'replay', '--code', 'UNKNOWN_POLICY'], mended)
  expect(replayed.code, replayed.said + replayed.errors).toBe(0)
  await decided(
    stage,
    poison.map(({ requestId }) => requestId),
  )
  await stage.send(
    poison.map(({ requestId, occurredAt }) =>
      rewarded({ requestId, rewardId: '', value: 1, occurredAt: occurredAt + 9 }),
    ),
  )
  stage.note(`${poison.length} replayed`)
})

/** Numbers and arms that are refused, by what is wrong with them. */
const REFUSED: readonly (readonly [code: string, change: (good: Request) => Partial<Request>])[] = [
  ['NON_FINITE_NUMBER', ({ context }) => ({ context: changed(context, 1, Number.NaN) })],
  ['NON_FINITE_NUMBER', ({ context }) => ({ context: changed(context, 0, Number.POSITIVE_INFINITY) })],
  [
    'NON_FINITE_NUMBER',
    ({ context }) => ({ context: changed(context, DIMENSION - 1, Number.NEGATIVE_INFINITY) }),
  ],
  // Finite, but not what is made of them.
  ['NON_FINITE_NUMBER', ({ context }) => ({ context: changed(context, 2, 1e308) })],
  ['NON_FINITE_NUMBER', ({ context }) => ({ context: changed(context, 2, -1e308) })],
  ['WRONG_DIMENSION', () => ({ context: [] })],
  ['WRONG_DIMENSION', ({ context }) => ({ context: (context as number[]).slice(1) })],
  ['WRONG_DIMENSION', ({ context }) => ({ context: [...(context as number[]), 1] })],
  ['INVALID_EVENT', () => ({ context: null })],
  ['EMPTY_ARMS', () => ({ arms: [] })],
  ['DUPLICATE_ARM', ({ arms }) => ({ arms: [...arms, arms[1]!] })],
]

const changed = (context: Request['context'], at: number, value: number): number[] =>
  (context as number[]).map((each, i) => (i === at ? value : each))

/** Strange, and yet a request: what becomes of each is the oracle's to say. */
const strange = (
  k: number,
  occurredAt: number,
  stage: Stage,
): { readonly asked: Request; readonly value: number } => {
  const good = { ...request(k, stage.world), occurredAt }
  const arm = (id: string) => [{ id, features: null }]
  const kinds: readonly { readonly of: Partial<Request>; readonly value: number }[] = [
    { of: { context: changed(good.context, 2, -0) }, value: -0 },
    { of: { context: changed(good.context, 2, Number.MIN_VALUE) }, value: Number.MIN_VALUE },
    { of: { arms: arm('alone') }, value: 0.5 },
    // The first is learned, the next would overflow the sum.
    { of: { arms: arm('rich') }, value: 1e308 },
  ]
  const { of, value } = kinds[k % kinds.length]!
  return { asked: { ...good, ...of, requestId: `strange-${k}` }, value }
}

row(
  11,
  'NaN, ±Inf, −0, 1e308, wrong dimensions, no and repeated arms',
  { recording: false, config: { snapshots: { every: 100 } } },
  async (stage) => {
    await stage.started()
    stage.flow(either(3_000, 2_000))
    const rounds = either(10, 200)
    for (let k = 0; k < rounds; k++) {
      const requests = REFUSED.map(([expected, change], i) => {
        const good = request(k, stage.world)
        return asked({ ...good, ...change(good), requestId: `refused-${k}-${i}` }, { expect: expected })
      })
      // For decisions that are there, so that learning them would show.
      const rewards = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((value, i) => {
        const { requestId, occurredAt } = request(3 * k + i, stage.world)
        return rewarded(
          { requestId, rewardId: '', value, occurredAt: occurredAt + 1 },
          { expect: 'NON_FINITE_NUMBER' },
        )
      })
      await stage.send([...requests, ...rewards])
    }
    stage.fault(`${rounds * (REFUSED.length + 3)} refused`)
    await stage.flowed()
    const odd = Array.from({ length: either(60, 600) }, (_, k) => strange(k, after(stage.world, k), stage))
    const sane = Array.from({ length: 200 }, (_, k): Request => {
      const occurredAt = after(stage.world, 1_000 + k)
      return { ...request(k, stage.world), requestId: `sane-${k}`, occurredAt }
    })
    await stage.send(odd.map((each) => asked(each.asked)))
    await stage.send(
      odd.map(({ asked: { requestId, occurredAt }, value }) =>
        rewarded({ requestId, rewardId: '', value, occurredAt: occurredAt + 5 }),
      ),
    )
    stage.fault(`${odd.length} strange`)
    await stage.send(sane.map((each) => asked(each)))
    await stage.send(
      sane.map(({ requestId, occurredAt }) =>
        rewarded({ requestId, rewardId: '', value: 1, occurredAt: occurredAt + 5 }),
      ),
    )
  },
)

row(26, 'aborted transactions interleaved in the inputs', {}, async (stage) => {
  const producers = await Promise.all(
    ['a', 'b', 'c'].map(async (name) => {
      const producer = stage.client.producer({
        transactionalId: `${stage.name}-${name}`,
        maxInFlightRequests: 1,
        idempotent: true,
        retry: { initialRetryTime: 5, maxRetryTime: 50, retries: 1_000 },
      })
      await producer.connect()
      return { name, producer }
    }),
  )
  let committed = 0
  let aborted = 0
  /** What must not be seen would be: a request more, and a better reward for one that is there. */
  const records = (name: string, round: number, i: number, visible: boolean): Planned[] => {
    const requestId = `${visible ? 'kept' : 'aborted'}-${name}-${round}-${i}`
    const other = request((round * 31 + i) % stage.world.requests, stage.world)
    return visible
      ? [rewarded({ requestId: `never-${requestId}`, rewardId: '', value: 7, occurredAt: other.occurredAt })]
      : [
          asked({ ...other, requestId }),
          rewarded({ requestId: other.requestId, rewardId: '!', value: 99, occurredAt: other.occurredAt }),
        ]
  }
  const transactions = async (rounds: number): Promise<void> => {
    await Promise.all(
      producers.map(async ({ name, producer }) => {
        for (let round = 0; round < rounds; round++) {
          const visible = round % 3 === 1
          const transaction = await producer.transaction()
          const all = Array.from({ length: 5 }, (_, i) => records(name, round, i, visible)).flat()
          const topicMessages = all.map(({ topic, key, value }) => ({
            topic: stage.prefix + topic,
            messages: [{ key, value }],
          }))
          await transaction.sendBatch({ topicMessages })
          await (visible ? transaction.commit() : transaction.abort())
          if (visible) committed++
          else aborted++
        }
      }),
    )
  }
  // Several of each producer wait for the first fetch; more come while it runs.
  stage.flow(either(400, 800))
  await transactions(either(9, 30))
  await stage.started()
  await transactions(either(9, 200))
  await Promise.all(producers.map(({ producer }) => producer.disconnect()))
  stage.fault(`${aborted} transactions aborted`)
  stage.note(`${aborted} aborted, ${committed} committed`)
})
