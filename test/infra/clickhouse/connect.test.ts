import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttpServer, type RequestListener, request, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ClickHouse, connectClickHouse } from '../../../infra/clickhouse/connect.ts'
import { migrate } from '../../../infra/clickhouse/migrations.ts'
import { encodeBlock } from '../../../infra/clickhouse/rows.ts'
import { describeWithClickHouse, useClickHouse } from '../../clickhouse-server.ts'
import { NOW, outcome } from './events.ts'

const PASSWORD = 'hunter2-hunter2'
const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

const listen = async (server: Server, scheme: string): Promise<string> => {
  servers.push(server)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Passes requests on to the real server. */
const forward =
  (target: string): RequestListener =>
  (incoming, outgoing) => {
    const { method, headers } = incoming
    const onward = request(
      new URL(incoming.url ?? '/', target),
      { ...(method && { method }), headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      },
    )
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  }

const block = () =>
  encodeBlock(
    'outcome',
    { cluster: 'c', topic: 'outcomes', partition: 0, from: 0, to: 500 },
    Array.from({ length: 500 }, (_, i) => ({ event: outcome(i, NOW), offset: i })),
  )

const count = async (ch: ClickHouse) => (await ch.query('SELECT toUInt32(count()) AS n FROM outcomes'))[0]

describe('a server that is not there', () => {
  it('is CLICKHOUSE_UNAVAILABLE once the patience ends, says what to start, and keeps the password to itself', async () => {
    const log: string[] = []
    const attempt = connectClickHouse({
      url: 'http://127.0.0.1:1',
      username: 'u',
      password: PASSWORD,
      patienceMs: 200,
      log: (line) => log.push(line),
    })
    const error = await attempt.catch((reason: Error) => reason)
    expect(error).toMatchObject({
      code: 'CLICKHOUSE_UNAVAILABLE',
      message: expect.stringMatching(/http:\/\/127\.0\.0\.1:1 .*ECONNREFUSED.*Start that server/),
    })
    expect(log.length).toBeGreaterThan(0)
    expect(`${log.join()} ${String(error)} ${JSON.stringify(error)}`).not.toContain(PASSWORD)
  })

  it.each([
    ['ftp://localhost', 'http'],
    ['nonsense', 'http'],
    [`http://u:${PASSWORD}@localhost:1`, 'apart'],
  ])('%s is no url for ClickHouse', async (url, word) => {
    const error = (await connectClickHouse({ url }).catch((reason: Error) => reason)) as Error
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', message: expect.stringContaining(word) })
    expect(error.message).not.toContain(PASSWORD)
  })
})

describeWithClickHouse('a connection', () => {
  const server = useClickHouse()

  it('is refused at once for a wrong password', async () => {
    const { url, username } = await server.options()
    const wrong = connectClickHouse({ url, username: username ?? 'default', password: PASSWORD })
    const error = (await wrong.catch((reason: Error) => reason)) as Error
    expect(error).toMatchObject({
      code: 'CLICKHOUSE_REFUSED',
      message: expect.stringContaining('AUTHENTICATION_FAILED'),
    })
    expect(error.message).not.toContain(PASSWORD)
  })

  it('queries with parameters, and refuses what cannot be read', async () => {
    const ch = await server.open()
    const params = { text: "it's", big: '18446744073709551615', many: [1, 2] }
    expect(
      await ch.query(
        'SELECT {text:String} AS text, {big:UInt64} AS big, {many:Array(UInt8)} AS many',
        params,
      ),
    ).toEqual([params])
    await expect(ch.query('SELECT nope FROM outcomes')).rejects.toMatchObject({ code: 'CLICKHOUSE_REFUSED' })
    // An error after the first rows is an error all the same.
    await expect(
      ch.query('SELECT throwIf(number = 500000) FROM numbers(1000000) SETTINGS max_block_size = 1000'),
    ).rejects.toMatchObject({ code: 'CLICKHOUSE_REFUSED' })
    expect(await ch.ping()).toBe(true)
  })

  it('repeats a block whose answer was lost, which then counts once', async () => {
    const options = await server.options()
    const direct = await server.open()
    const pass = forward(options.url)
    let lost = 0
    const proxy = createHttpServer((incoming, outgoing) => {
      if (!incoming.url?.includes('INSERT') || lost === 2) return pass(incoming, outgoing)
      lost++
      // The server sees the whole block; the writer sees a cut line.
      const onward = request(new URL(incoming.url, options.url), {
        method: 'POST',
        headers: incoming.headers,
      })
      onward.on('response', (answer) => answer.resume().on('end', () => outgoing.destroy()))
      incoming.pipe(onward)
    })
    const log: string[] = []
    const ch = await connectClickHouse({
      ...options,
      url: await listen(proxy, 'http'),
      database: direct.database,
      log: (line) => log.push(line),
    })
    await ch.insertBlock(block())
    await ch.close()
    expect(lost).toBe(2)
    expect(log.length).toBe(2)
    expect(await count(direct)).toEqual({ n: 500 })
    expect(await direct.query('SELECT toUInt32(sum(outcomes)) AS n FROM outcomes_per_minute')).toEqual([
      { n: 500 },
    ])
  })

  it('waits for a server that says it cannot take more for now', async () => {
    const options = await server.options()
    const direct = await server.open()
    const pass = forward(options.url)
    let refused = 0
    const proxy = createHttpServer((incoming, outgoing) => {
      if (!incoming.url?.includes('INSERT') || refused === 2) return pass(incoming, outgoing)
      refused++
      incoming.resume().on('end', () => {
        if (refused === 1) outgoing.writeHead(503).end('no upstream')
        else
          outgoing
            .writeHead(500)
            .end('Code: 252. DB::Exception: Too many parts (300). (TOO_MANY_PARTS) (version 26.7.2.1)\n')
      })
    })
    const ch = await connectClickHouse({
      ...options,
      url: await listen(proxy, 'http'),
      database: direct.database,
    })
    await ch.insertBlock(block())
    await ch.close()
    expect(refused).toBe(2)
    expect(await count(direct)).toEqual({ n: 500 })
  })

  it('carries blocks and answers compressed', async () => {
    const direct = await server.open()
    const ch = await connectClickHouse({
      ...(await server.options()),
      database: direct.database,
      compression: true,
    })
    await ch.insertBlock(block())
    expect(await count(ch)).toEqual({ n: 500 })
    await ch.close()
  })

  describe('over TLS', () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
    const file = (name: string) => join(folder, name)
    beforeAll(() => {
      const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' })
      const subject = ['-nodes', '-newkey', 'rsa:2048', '-days', '2', '-subj', '/CN=127.0.0.1']
      for (const who of ['server', 'client']) {
        openssl(
          'req',
          '-x509',
          ...subject,
          '-addext',
          'subjectAltName=IP:127.0.0.1',
          '-keyout',
          file(`${who}.key`),
          '-out',
          file(`${who}.crt`),
        )
      }
    })
    afterAll(() => rmSync(folder, { recursive: true, force: true }))

    const secure = async (asksForCertificate: boolean) => {
      const { url } = await server.options()
      const own = { key: readFileSync(file('server.key')), cert: readFileSync(file('server.crt')) }
      const asks = { requestCert: true, rejectUnauthorized: true, ca: readFileSync(file('client.crt')) }
      return listen(createHttpsServer({ ...own, ...(asksForCertificate ? asks : {}) }, forward(url)), 'https')
    }

    it('trusts the given authority, with user and password', async () => {
      const direct = await server.open()
      const tls = { ca: readFileSync(file('server.crt')) }
      const ch = await connectClickHouse({
        ...(await server.options()),
        url: await secure(false),
        database: direct.database,
        tls,
      })
      await migrate(ch)
      await ch.insertBlock(block())
      expect(await count(ch)).toEqual({ n: 500 })
      await ch.close()
    })

    it('refuses at once a server that another authority signed', async () => {
      const wrong = { ca: readFileSync(file('client.crt')) }
      await expect(
        connectClickHouse({ ...(await server.options()), url: await secure(false), tls: wrong }),
      ).rejects.toMatchObject({ code: 'CLICKHOUSE_REFUSED', message: expect.stringMatching(/certificate/i) })
    })

    it('shows its own certificate', async () => {
      const url = await secure(true)
      const ca = readFileSync(file('server.crt'))
      const tls = { ca, cert: readFileSync(file('client.crt')), key: readFileSync(file('client.key')) }
      const ch = await connectClickHouse({ ...(await server.options()), url, tls })
      expect(await ch.ping()).toBe(true)
      await ch.close()
      await expect(
        connectClickHouse({ ...(await server.options()), url, tls: { ca }, patienceMs: 200 }),
      ).rejects.toMatchObject({ code: expect.stringMatching(/^CLICKHOUSE_/) })
      await expect(connectClickHouse({ url, tls: { ca, cert: ca } })).rejects.toMatchObject({
        code: 'INVALID_CONFIG',
      })
    })
  })
})
