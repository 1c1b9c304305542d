import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../../infra/config/secret.ts'
import { createHealth } from '../../../infra/http/health.ts'
import { type HttpOptions, type HttpServer, startHttp } from '../../../infra/http/server.ts'
import type { Endpoint, Service } from '../../../infra/http/service.ts'
import { bearerCheck } from '../../../infra/http/token.ts'
import { createLog } from '../../../infra/telemetry/log.ts'
import { createMetrics, type Metrics } from '../../../infra/telemetry/metrics.ts'
import { MillraceError } from '../../../schemas/errors.ts'

const ANSWER = { requestId: 'r', policy: 'p', policyVersion: 1, arm: 'a', propensity: 1, ranking: [] }

let server: HttpServer | undefined
let metrics: Metrics | undefined
afterEach(async () => {
  await server?.close()
  metrics?.close()
})

const start = async (service: Partial<Service> | null, options: Partial<HttpOptions> = {}) => {
  metrics = createMetrics()
  const endpoint: Endpoint = {
    service:
      service === null ? null : { rank: () => ANSWER, reward: () => {}, activate: () => {}, ...service },
  }
  const health = createHealth()
  health.component('it').ready()
  server = await startHttp({
    host: '127.0.0.1',
    port: 0,
    health,
    metrics,
    config: () => ({}),
    log: createLog({ level: 'silent' }),
    service: { endpoint, bodyLimit: 2_000, metrics: metrics.service },
    ...options,
  })
  const { url } = server
  const post = async (path: string, body: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${url}${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown>, answer }
  }
  return { url, post, endpoint }
}

const RANK = JSON.stringify({ policy: 'p', arms: [{ id: 'a' }] })

describe('the routes of the service', () => {
  it('are not there where there is none', async () => {
    metrics = createMetrics()
    server = await startHttp({
      host: '127.0.0.1',
      port: 0,
      health: createHealth(),
      metrics,
      config: () => ({}),
      log: createLog({ level: 'silent' }),
    })
    expect((await fetch(`${server.url}/v1/rank`, { method: 'POST' })).status).toBe(404)
  })

  it('answer 503 while nobody is behind them', async () => {
    const { post, endpoint } = await start(null)
    const refused = await post('/v1/rank', RANK)
    expect([refused.status, refused.body['code'], refused.answer.headers.get('retry-after')]).toEqual([
      503,
      'NOT_READY',
      '1',
    ])
    endpoint.service = { rank: () => ANSWER, reward: () => {}, activate: () => {} }
    expect((await post('/v1/rank', RANK)).status).toBe(200)
  })

  it.each([
    ['{', 400, 'BAD_REQUEST'],
    ['[]', 400, 'INVALID_REQUEST'],
    ['{"policy":"p","arms":[{"id":"a","features":[1e999]}]}', 400, 'INVALID_REQUEST'],
    ['{"policy":"p","arms":[{"id":"a"}],"__proto__":{"a":1}}', 400, 'BAD_REQUEST'],
    ['{"policy":"p","arms":[{"id":"a"}],"context":"1"}', 400, 'INVALID_REQUEST'],
    [`{"policy":"p","arms":[{"id":"${'a'.repeat(300)}"}]}`, 400, 'INVALID_REQUEST'],
    [
      JSON.stringify({ policy: 'p', arms: Array.from({ length: 400 }, () => ({ id: 'a' })) }),
      413,
      'BODY_TOO_LARGE',
    ],
  ])('%s is refused with %d %s', async (body, status, code) => {
    const { post } = await start({})
    const answer = await post('/v1/rank', body)
    expect([answer.status, answer.body]).toEqual([status, { code, message: expect.any(String) }])
  })

  it('tell nothing of the inside when something fails there', async () => {
    const { post } = await start({
      rank: () => {
        throw new Error('inner detail')
      },
      reward: () => Promise.reject(new MillraceError('INVALID_PROPENSITY', 'inner detail')),
    })
    for (const answer of [
      await post('/v1/rank', RANK),
      await post('/v1/reward', '{"requestId":"r","value":1}'),
    ])
      expect([answer.status, answer.body]).toEqual([
        500,
        { code: 'INTERNAL', message: expect.not.stringContaining('inner') },
      ])
  })

  it('count and time their answers by code', async () => {
    const { post } = await start({})
    await post('/v1/rank', RANK)
    await post('/v1/rank', '{}')
    await post('/v1/reward', '{"requestId":"r","value":1}')
    const text = await metrics!.text()
    expect(text).toContain('millrace_http_requests_total{route="rank",code="OK"} 1')
    expect(text).toContain('millrace_http_requests_total{route="rank",code="INVALID_REQUEST"} 1')
    expect(text).toContain('millrace_http_requests_total{route="reward",code="OK"} 1')
    expect(text).toContain('millrace_http_request_seconds_count{route="rank"} 2')
  })
})

describe('a token', () => {
  it('is needed for all but /live and /ready', async () => {
    const { url, post } = await start({}, { token: new Secret('hunter2') })
    expect((await fetch(`${url}/live`)).status).toBe(200)
    expect((await fetch(`${url}/ready`)).status).toBe(200)
    for (const path of ['/metrics', '/config', '/none'])
      expect((await fetch(`${url}${path}`)).status).toBe(401)
    for (const authorization of ['', 'Bearer hunter', 'Bearer hunter22', 'Basic hunter2', 'hunter2']) {
      const refused = await post('/v1/rank', RANK, { authorization })
      expect([refused.status, refused.body['code'], refused.answer.headers.get('www-authenticate')]).toEqual([
        401,
        'UNAUTHORIZED',
        'Bearer',
      ])
    }
    const bearer = { authorization: 'Bearer hunter2' }
    expect((await post('/v1/rank', RANK, bearer)).status).toBe(200)
    expect((await fetch(`${url}/metrics`, { headers: bearer })).status).toBe(200)
  })

  it('may be rotated where it lies in a file; while that is gone the one before holds', () => {
    let text: string | null = 'one'
    let now = 0
    const source = {
      reveal: () => {
        if (text === null) throw new Error('gone')
        return text
      },
    }
    const carries = bearerCheck(source, () => now)
    expect([carries('Bearer one'), carries('bearer one'), carries(undefined)]).toEqual([true, true, false])
    text = 'two'
    expect(carries('Bearer two')).toBe(false)
    now += 1_001
    expect([carries('Bearer two'), carries('Bearer one')]).toEqual([true, false])
    text = null
    now += 1_001
    expect(carries('Bearer two')).toBe(true)
  })
})
