/** The service over its topics: what it answers is in the log, once, with all that learning and evaluation need. */
import { afterEach, expect, test } from 'vitest'
import type { RankAnswer } from '../../../infra/http/service.ts'
import { REQUEST_HEADER } from '../../../pipelines/delivery/served-requests.ts'
import { replay } from '../../../pipelines/replay.ts'
import { describeOnClusters, type Stage, type StageOptions, WINDOW_MS } from '../harness.ts'
import { denseRequest, ids, sharedRequest } from '../rounds.ts'
import { type Client, open as openPort } from './client.ts'

const TIMEOUT = { timeout: 120_000 }

let client: Client | undefined
afterEach(async () => {
  await client?.close()
  client = undefined
})

const begin = async (
  open: (options?: StageOptions) => Promise<Stage>,
  jobs: readonly string[],
  options?: StageOptions,
): Promise<{ stage: Stage; client: Client }> => {
  const stage = await open(options)
  stage.start(jobs)
  client = await openPort(stage.runtime)
  await stage.until('it answers', () => stage.runtime.endpoint.service !== null)
  return { stage, client }
}

/** The body of a request of the stage's policies. */
const bodyOf = (stage: Stage, id: number) => {
  const { occurredAt: _, ...body } = id % 3 === 0 ? sharedRequest(stage, id) : denseRequest(stage, id)
  return body
}

describeOnClusters('the service', (open) => {
  test(
    'an answer is a decision in the log that carries its request, and is decided once',
    TIMEOUT,
    async () => {
      const { stage, client } = await begin(open, ['serve', 'decide', 'attribute'])
      const answers: RankAnswer[] = []
      for (const id of ids(0, 30)) answers.push(await client.rank({ ...bodyOf(stage, id), ack: true }))
      const decisions = await stage.eventually('decision', 30)
      const records = await stage.records(stage.topic('decision'))
      expect(decisions).toHaveLength(30)
      for (const answer of answers) {
        const { event, key, partition, offset } = decisions.find(
          ({ event }) => event.requestId === answer.requestId,
        )!
        expect(key).toBe(answer.requestId)
        expect(answer).toEqual({
          requestId: event.requestId,
          policy: event.policy,
          policyVersion: event.policyVersion,
          arm: event.arm,
          propensity: event.propensity,
          ranking: event.ranking.map((i) => ({ arm: event.arms[i], probability: event.probabilities[i] })),
        })
        expect([event.requestPartition, event.requestOffset]).toEqual([-1, -1])
        const record = records.find((each) => each.partition === partition && each.offset === offset)!
        const request = stage.runtime.codec.decode('decision-request', record.headers![REQUEST_HEADER]!)
        const { ack: _, ...body } = { ack: true, ...bodyOf(stage, Number(answer.requestId.slice(2))) }
        expect(request).toEqual({ ...body, occurredAt: event.occurredAt })
      }
      expect(await stage.events('dead-letter')).toEqual([])
    },
  )

  test(
    'rewards come to outcomes, states learn them, and a replay makes every decision again',
    TIMEOUT,
    async () => {
      const { stage, client } = await begin(open, ['serve', 'attribute'])
      const seen = new Set<number>()
      for (const first of [0, 30, 60]) {
        for (const id of ids(first, 30)) {
          const { requestId, arm } = await client.rank(bodyOf(stage, id))
          const rewarded = await client.post('/v1/reward', { requestId, value: arm.charCodeAt(0) % 3 })
          expect([rewarded.status, rewarded.body]).toEqual([202, { requestId }])
        }
        await stage.eventually('reward', first + 30)
        await stage.eventually('decision', first + 30)
        stage.pass(WINDOW_MS + 1_000)
        await stage.eventually('outcome', first + 30)
        const outcomes = await stage.events('outcome')
        for (const policy of ['dense', 'shared']) {
          const own = outcomes.filter(({ event }) => event.policy === policy)
          const last = Math.max(...own.map(({ offset }) => offset))
          const learned = () => stage.metric(`millrace_policy_state_offset{policy="${policy}"}`)
          await stage.until(`${policy} has learned`, async () => (await learned()) > last)
        }
      }
      const outcomes = await stage.events('outcome')
      for (const { event } of outcomes) seen.add(event.stateOffset)
      expect(seen.size).toBeGreaterThan(2)
      expect(outcomes.every(({ event }) => event.requestPartition < 0)).toBe(true)
      for (const { same } of await replay(stage.runtime, { from: 'beginning', to: 'end' })) {
        expect(same!.comparison.differences).toEqual([])
        expect(same!.comparison.of('decisions')).toMatchObject({ different: 0, unchecked: {} })
        expect(same!.comparison.of('decisions').equal).toBeGreaterThan(20)
      }
    },
  )

  test('what waits is written before the end, and nothing is answered behind it', TIMEOUT, async () => {
    const stage = await open({ overrides: { 'serve.linger': '2s' } })
    const running = stage.start(['serve'])
    client = await openPort(stage.runtime)
    await stage.until('it answers', () => stage.runtime.endpoint.service !== null)
    const answers = await Promise.all(ids(0, 20).map((id) => client!.rank(bodyOf(stage, id))))
    await running.stop()
    expect((await stage.events('decision')).map(({ event }) => event.requestId).sort()).toEqual(
      answers.map(({ requestId }) => requestId).sort(),
    )
    const after = await client.post('/v1/rank', bodyOf(stage, 21))
    expect([after.status, after.body['code'], after.headers.get('retry-after')]).toEqual([
      503,
      'NOT_READY',
      '1',
    ])
  })
})

describeOnClusters(
  'a service whose queue is full',
  (open) => {
    const overrides = { 'serve.queue': 1, 'serve.linger': '10s', 'serve.defaultArms': { shared: 'y' } }

    test('serves the default arm, says so, and logs nothing', async () => {
      const stage = await open({ overrides })
      const running = stage.start(['serve'])
      client = await openPort(stage.runtime)
      await stage.until('it answers', () => stage.runtime.endpoint.service !== null)
      const logged = await client.rank(bodyOf(stage, 1))
      expect(logged.unlogged).toBeUndefined()
      const served = await client.rank(bodyOf(stage, 2))
      expect(served).toEqual({
        requestId: 'r-000002',
        policy: 'dense',
        policyVersion: 1,
        arm: 'a',
        propensity: 1,
        ranking: [
          { arm: 'a', probability: 1 },
          { arm: 'b', probability: 0 },
          { arm: 'c', probability: 0 },
        ],
        unlogged: true,
      })
      // As configured; and with `ack` too, since there is no write to be waited for.
      expect(await client.rank({ ...bodyOf(stage, 3), ack: true })).toMatchObject({
        arm: 'y',
        unlogged: true,
      })
      expect(await stage.metric('millrace_serve_unlogged_total{why="full"}')).toBe(2)
      expect(await stage.metric('millrace_serve_queue_records')).toBe(1)
      await running.stop()
      const decisions = await stage.events('decision')
      expect(decisions.map(({ event }) => event.requestId)).toEqual([logged.requestId])
      expect(await stage.metric('millrace_serve_queue_records')).toBe(0)
    })

    test('refuses what is wrong as ever, and rewards that it could not keep', async () => {
      const { client, stage } = await begin(open, ['serve'], { overrides })
      await client.rank(bodyOf(stage, 1))
      expect((await client.post('/v1/rank', { policy: 'none', arms: [{ id: 'a' }] })).status).toBe(404)
      const refused = await client.post('/v1/reward', { requestId: 'r-000001', value: 1 })
      expect([refused.status, refused.body['code'], refused.headers.get('retry-after')]).toEqual([
        503,
        'QUEUE_FULL',
        '1',
      ])
      expect((await client.post('/v1/activate', { requestId: 'r-000001' })).status).toBe(503)
    })
  },
  ['memory'],
)

describeOnClusters(
  'requests of the service',
  (open) => {
    test.each([
      ['/v1/rank', { policy: 'dense' }, 400, 'INVALID_REQUEST', /required property 'arms'/],
      ['/v1/rank', { policy: 'dense', arms: [] }, 400, 'INVALID_REQUEST', /fewer than 1/],
      ['/v1/rank', { policy: 'dense', arms: [{ id: 'a' }], actx: 1 }, 400, 'INVALID_REQUEST', /"actx"/],
      ['/v1/rank', { policy: 'dense', arms: [{ id: 7 }] }, 400, 'INVALID_REQUEST', /arms\/0\/id/],
      ['/v1/rank', { policy: 'none', arms: [{ id: 'a' }] }, 404, 'UNKNOWN_POLICY', /"none"/],
      ['/v1/rank', { policy: 'dense', context: [1], arms: [{ id: 'a' }] }, 422, 'WRONG_DIMENSION', /./],
      [
        '/v1/rank',
        { policy: 'dense', context: [1, 2, 3], arms: [{ id: 'a' }, { id: 'a' }] },
        422,
        'DUPLICATE_ARM',
        /./,
      ],
      ['/v1/reward', { requestId: 'r', value: 'much' }, 400, 'INVALID_REQUEST', /value/],
      ['/v1/reward', { value: 1 }, 400, 'INVALID_REQUEST', /requestId/],
      ['/v1/activate', { requestId: '' }, 400, 'INVALID_REQUEST', /requestId/],
      ['/v1/activate', { requestId: 'r', occurredAt: 1.5 }, 400, 'INVALID_REQUEST', /occurredAt/],
    ] as const)('%s %j is refused with %d %s', async (path, body, status, code, message) => {
      const { client, stage } = await begin(open, ['serve'])
      const answer = await client.post(path, body)
      expect([answer.status, answer.body]).toEqual([
        status,
        { code, message: expect.stringMatching(message) },
      ])
      expect(await stage.events('decision')).toEqual([])
      const route = path.slice(4)
      expect(await stage.metric(`millrace_http_requests_total{route="${route}",code="${code}"}`)).toBe(1)
    })

    test('an activation is appended, and names its request', async () => {
      const { stage, client } = await begin(open, ['serve'])
      expect((await client.post('/v1/activate', { requestId: 'r-1', occurredAt: 5, ack: true })).status).toBe(
        202,
      )
      expect((await stage.eventually('activation', 1)).map(({ event, key }) => [event, key])).toEqual([
        [{ requestId: 'r-1', occurredAt: 5 }, 'r-1'],
      ])
    })

    test('a request without an id is given one', async () => {
      const { client } = await begin(open, ['serve'])
      const { requestId } = await client.rank({ policy: 'dense', context: [1, 2, 3], arms: [{ id: 'a' }] })
      expect(requestId).toMatch(/^[0-9a-f-]{36}$/)
    })

    test('a decision that its topic does not take is refused before it is answered', async () => {
      const { client, stage } = await begin(open, ['serve'], { maxMessageBytes: { decision: 2_000 } })
      const arms = ids(0, 100).map((id) => ({ id: `arm-${id}` }))
      const answer = await client.post('/v1/rank', { policy: 'dense', context: [1, 2, 3], arms })
      expect([answer.status, answer.body['code']]).toEqual([413, 'MESSAGE_TOO_LARGE'])
      expect(await stage.events('decision')).toEqual([])
    })
  },
  ['memory'],
)
