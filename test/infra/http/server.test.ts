import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { loadConfig, redactedConfig } from '../../../infra/config/load.ts'
import { createHealth, type Health } from '../../../infra/http/health.ts'
import { type HttpOptions, type HttpServer, startHttp } from '../../../infra/http/server.ts'
import { createLog } from '../../../infra/telemetry/log.ts'

const JSON_BODY = { 'content-type': 'application/json' }

let server: HttpServer | undefined
afterEach(async () => {
  await server?.close()
  server = undefined
})

const start = async (
  options: Partial<HttpOptions> = {},
): Promise<{ health: Health; url: string; lines: string[] }> => {
  const lines: string[] = []
  const health = createHealth()
  server = await startHttp({
    host: '127.0.0.1',
    port: 0,
    health,
    metrics: { text: async () => 'a_total 1\n', contentType: 'text/plain; version=0.0.4; charset=utf-8' },
    config: () => redactedConfig(loadConfig({ env: { MILLRACE_CLICKHOUSE_PASSWORD: 'hunter2' } })),
    log: createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } }),
    ...options,
  })
  return { health, url: server.url, lines }
}

describe('health', () => {
  it('tells when everything is ready for the first time', async () => {
    const health = createHealth()
    let told = 0
    void health.firstReady.then(() => told++)
    const [one, other] = [health.component('one'), health.component('other')]
    one.ready()
    await Promise.resolve()
    expect(told).toBe(0)
    other.ready()
    one.failing('again')
    one.ready()
    await Promise.resolve()
    expect(told).toBe(1)
  })
})

describe('the HTTP surface', () => {
  it('is live at once, and ready when every component is', async () => {
    const { health, url } = await start()
    expect((await fetch(`${url}/live`)).status).toBe(200)
    const ready = async () => {
      const response = await fetch(`${url}/ready`)
      return [response.status, await response.json()]
    }
    expect(await ready()).toEqual([503, { ready: false, reasons: { process: 'starting' } }])
    const kafka = health.component('kafka')
    const policies = health.component('policies')
    kafka.ready()
    policies.failing('homepage is 12 outcomes behind')
    expect(await ready()).toEqual([
      503,
      { ready: false, reasons: { policies: 'homepage is 12 outcomes behind' } },
    ])
    policies.ready()
    health.component('kafka')
    expect(await ready()).toEqual([200, { ready: true, reasons: {} }])
    kafka.failing('no broker answers')
    expect(await ready()).toEqual([503, { ready: false, reasons: { kafka: 'no broker answers' } }])
  })

  it('gives metrics and the redacted configuration', async () => {
    const { url } = await start()
    const metrics = await fetch(`${url}/metrics`)
    expect(metrics.headers.get('content-type')).toContain('version=0.0.4')
    expect(await metrics.text()).toBe('a_total 1\n')
    const config = await (await fetch(`${url}/config`)).text()
    expect(JSON.parse(config)).toMatchObject({ clickhouse: { password: '[redacted]' } })
    expect(config).not.toContain('hunter2')
  })

  it.each([
    ['/none', {}, 404, 'NOT_FOUND'],
    ['/live', { method: 'DELETE' }, 404, 'NOT_FOUND'],
    ['/%zz', {}, 400, 'BAD_REQUEST'],
    ['/live', { method: 'POST', body: `"${'x'.repeat(70_000)}"`, headers: JSON_BODY }, 413, 'BODY_TOO_LARGE'],
    ['/live', { method: 'POST', body: '{', headers: JSON_BODY }, 400, 'BAD_REQUEST'],
  ])('answers %s (%#) with JSON that names a code', async (path, init, status, code) => {
    const { url } = await start()
    const response = await fetch(`${url}${path}`, init)
    expect([response.status, await response.json()]).toEqual([status, { code, message: expect.any(String) }])
    expect(response.headers.get('server')).toBeNull()
    expect(response.headers.get('x-powered-by')).toBeNull()
  })

  it('tells the log, not the client, why a request failed', async () => {
    const { url, lines } = await start({
      metrics: {
        text: () => Promise.reject(new Error('inner detail')),
        contentType: 'text/plain',
      },
    })
    const response = await fetch(`${url}/metrics`)
    const body = await response.text()
    expect([response.status, JSON.parse(body).code]).toEqual([500, 'INTERNAL'])
    expect(body).not.toContain('inner detail')
    expect(lines.join()).toContain('inner detail')
  })

  it('refuses what is not HTTP', async () => {
    const { url } = await start()
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.end('nonsense\r\n\r\n'))
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk
      })
      socket.on('end', () => resolve(text))
      socket.on('error', reject)
    })
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('says which address cannot be had', async () => {
    const { url } = await start()
    const port = Number(new URL(url).port)
    const second = startHttp({
      host: '127.0.0.1',
      port,
      health: createHealth(),
      metrics: { text: async () => '', contentType: 'text/plain' },
      config: () => ({}),
      log: createLog({ level: 'silent' }),
    })
    await expect(second).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: `cannot listen on http.host 127.0.0.1, http.port ${port}: EADDRINUSE`,
    })
  })
})

describe('closing', () => {
  it('does not wait for connections that are kept alive', async () => {
    const { url } = await start({ closeGraceMs: 60_000 })
    const agent = new Agent({ keepAlive: true })
    await new Promise<void>((resolve, reject) => {
      request(`${url}/live`, { agent }, (response) => response.resume().on('end', resolve))
        .on('error', reject)
        .end()
    })
    await server?.close()
    await expect(fetch(`${url}/live`)).rejects.toThrow()
    agent.destroy()
  })

  it('lets a request under way finish', async () => {
    let finish = (_: string) => {}
    let begun = () => {}
    const entered = new Promise<void>((resolve) => {
      begun = resolve
    })
    const text = () => {
      begun()
      return new Promise<string>((resolve) => {
        finish = resolve
      })
    }
    const { url } = await start({ closeGraceMs: 60_000, metrics: { text, contentType: 'text/plain' } })
    const response = fetch(`${url}/metrics`)
    await entered
    const closed = server?.close()
    finish('the end')
    expect(await (await response).text()).toBe('the end')
    await closed
  })

  it('is bounded where a request never ends', async () => {
    let begun = () => {}
    const entered = new Promise<void>((resolve) => {
      begun = resolve
    })
    const text = () => {
      begun()
      return new Promise<string>(() => {})
    }
    const { url } = await start({ closeGraceMs: 50, metrics: { text, contentType: 'text/plain' } })
    const response = fetch(`${url}/metrics`).then(
      () => 'answered',
      () => 'cut',
    )
    await entered
    await server?.close()
    await server?.close()
    expect(await response).toBe('cut')
  })
})
