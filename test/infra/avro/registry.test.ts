import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCodec } from '../../../infra/avro/codec.ts'
import { confluentAvroCodec } from '../../../infra/avro/dynamic.ts'
import { confluentFraming, type RegistryOptions, schemaRegistry } from '../../../infra/avro/registry.ts'
import type { Reward } from '../../../schemas/generated/events.ts'
import { missingForRegistry, type RegistryServer, startRegistryServer } from '../../registry-server.ts'

const reward: Reward = { requestId: 'r', rewardId: '', value: 1, occurredAt: 1_700_000_000_000 }
const code = (expected: string) => expect.objectContaining({ code: expected })

const missing = await missingForRegistry()
const required = process.env['MILLRACE_REQUIRE_SERVERS'] === '1'
if (missing) console.warn(`SKIPPED: tests against a real schema registry, for want of ${missing}`)

if (missing && required) {
  it('has a schema registry to test against', () => {
    throw new Error(`${missing} not found, and MILLRACE_REQUIRE_SERVERS=1`)
  })
}

describe.skipIf(missing)('Confluent framing against a real registry', () => {
  let server: RegistryServer
  const registries: { close(): void }[] = []
  const connect = (options: Partial<RegistryOptions> = {}) => {
    const registry = schemaRegistry({ url: server.url, ...options })
    registries.push(registry)
    return registry
  }

  beforeAll(async () => {
    server = await startRegistryServer()
  }, 300_000)
  afterAll(async () => {
    for (const registry of registries) registry.close()
    await server?.stop()
  })

  it('names the schema by its id, and is read by another process', async () => {
    const writer = createCodec({ registry: connect() })
    expect(() => writer.encode('reward', reward)).toThrow(code('REGISTRY_UNAVAILABLE'))
    await writer.prepare(['reward', 'decision-request'])
    const message = writer.encode('reward', reward)
    expect(message[0]).toBe(0)
    expect(writer.schemaIdOf(message)).toBe(String(message.readUInt32BE(1)))

    const reader = createCodec({ registry: connect() })
    expect(() => reader.decode('reward', message)).toThrow(code('UNKNOWN_SCHEMA'))
    await reader.ensureSchemas([null, message])
    expect(reader.decode('reward', message)).toEqual(reward)
    expect(() => reader.decode('reward', message.subarray(0, 9))).toThrow(code('MALFORMED_AVRO'))
  })

  it('gives one id to pipelines and processes that register the same schema at once', async () => {
    const schema = JSON.stringify({ type: 'record', name: 'Raced', fields: [{ name: 'n', type: 'int' }] })
    const registries = [connect(), connect(), connect()]
    const ids = await Promise.all(
      [...registries, ...registries].map((registry) => registry.idOf('raced-value', schema)),
    )
    expect(new Set(ids).size).toBe(1)
  })

  it('reads both framings on one topic', async () => {
    const codec = createCodec({ registry: connect() })
    await codec.prepare(['reward'])
    const messages = [codec.encode('reward', reward), createCodec().encode('reward', reward)]
    await codec.ensureSchemas(messages)
    for (const message of messages) expect(codec.decode('reward', message)).toEqual(reward)
  })

  it('registers once, and finds the same id again where it may not register', async () => {
    const id = await connect().idOf(
      'once-value',
      '{"type":"record","name":"Once","namespace":"n","fields":[]}',
    )
    const strict = connect({ register: false })
    expect(
      await strict.idOf('once-value', '{"type":"record","name":"Once","namespace":"n","fields":[]}'),
    ).toBe(id)
    const other = '{"type":"record","name":"Other","namespace":"n","fields":[]}'
    await expect(strict.idOf('other-value', other)).rejects.toThrow(code('UNKNOWN_SCHEMA'))
  })

  it('registers at whatever compatibility the subject has, and says so when that refuses', async () => {
    const registry = connect()
    const schema = (type: string, more = '') =>
      `{"type":"record","name":"Changed","namespace":"n","fields":[{"name":"a","type":"${type}"}${more}]}`
    const first = await registry.idOf('changed-value', schema('string'))
    await fetch(`${server.url}/config/changed-value`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"compatibility":"FULL"}',
    })
    await expect(registry.idOf('changed-value', schema('int'))).rejects.toThrow(code('INCOMPATIBLE_SCHEMA'))
    const compatible = schema('string', ',{"name":"b","type":"string","default":""}')
    expect(await registry.idOf('changed-value', compatible)).not.toBe(first)
  })

  it('leaves ids the registry does not know to decode', async () => {
    const codec = createCodec({ registry: connect() })
    for (const id of [987_654, 0xffff_ffff]) {
      const message = Buffer.concat([confluentFraming(id), Buffer.from([0])])
      await codec.ensureSchemas([message])
      expect(() => codec.decode('reward', message)).toThrow(code('UNKNOWN_SCHEMA'))
    }
  })

  it('refuses a foreign schema under a known id', async () => {
    const registry = connect()
    const id = await registry.idOf(
      'foreign-value',
      '{"type":"record","name":"Foreign","namespace":"n","fields":[]}',
    )
    const message = confluentFraming(id)
    const codec = createCodec({ registry })
    await codec.ensureSchemas([message])
    expect(() => codec.decode('reward', message)).toThrow(code('INCOMPATIBLE_SCHEMA'))
  })

  it("carries a user's own schema, an older one too", async () => {
    const schema = (more: object[]) =>
      JSON.stringify({
        type: 'record',
        name: 'Bid',
        namespace: 'com.example',
        fields: [
          { name: 'id', type: 'long' },
          { name: 'price', type: ['null', 'double'], default: null },
          ...more,
        ],
      })
    const registry = connect()
    const first = confluentAvroCodec({ registry, subject: 'bids-value', schema: schema([]) })
    await first.prepare()
    const old = first.encode({ id: 2n ** 60n, price: 1.5 })

    const next = schema([{ name: 'currency', type: 'string', default: 'EUR' }])
    const second = confluentAvroCodec({ registry: connect(), subject: 'bids-value', schema: next })
    await second.prepare()
    await second.ensureSchemas([old])
    expect(second.decode(old)).toEqual({ id: 2n ** 60n, price: 1.5, currency: 'EUR' })

    const schemaless = confluentAvroCodec({ registry: connect(), subject: 'bids-value' })
    await schemaless.prepare()
    await schemaless.ensureSchemas([old])
    expect(schemaless.decode(old)).toEqual({ id: 2n ** 60n, price: 1.5 })
    const newest = schemaless.encode({ id: 1 })
    await second.ensureSchemas([newest])
    expect(second.decode(newest)).toEqual({ id: 1, price: null, currency: 'EUR' })
  })

  it('tells an absent registry from an unknown schema', async () => {
    const absent = createCodec({ registry: connect({ url: 'http://127.0.0.1:1' }) })
    await expect(absent.prepare(['reward'])).rejects.toThrow(code('REGISTRY_UNAVAILABLE'))
    await expect(absent.ensureSchemas([confluentFraming(1)])).rejects.toThrow(code('REGISTRY_UNAVAILABLE'))
  })
})

describe('a registry behind a gate', () => {
  let gate: Server
  let url: string
  const seen: (string | undefined)[] = []

  beforeAll(async () => {
    gate = createServer((request, response) => {
      seen.push(request.headers.authorization)
      if (request.url?.endsWith('/ids/2')) return // never answers
      const allowed = request.headers.authorization === `Basic ${btoa('ann:s3cret')}`
      const schema = JSON.stringify({ type: 'record', name: 'Reward', namespace: 'millrace', fields: [] })
      response.writeHead(allowed ? 200 : 401, { 'content-type': 'application/json' })
      response.end(allowed ? JSON.stringify({ schema }) : '{"message":"who are you"}')
    })
    await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve))
    url = `127.0.0.1:${(gate.address() as { port: number }).port}`
  })
  afterAll(() => {
    gate.closeAllConnections()
    gate.close()
  })

  it('is asked with user and password, from the address too', async () => {
    const registry = schemaRegistry({ url: `http://ann:s3cret@${url}` })
    await registry.ensureSchemas([confluentFraming(1)])
    expect(registry.schemaOf(1)).toContain('millrace.Reward')
    registry.close()
  })

  it('stops loudly, without the password, where it refuses them', async () => {
    const registry = schemaRegistry({ url: `http://${url}`, auth: { username: 'ann', password: 'wr0ng' } })
    const refused = registry.ensureSchemas([confluentFraming(1)])
    await expect(refused).rejects.toThrow(code('INVALID_CONFIG'))
    await expect(refused).rejects.not.toThrow(/wr0ng/)
    registry.close()
  })

  it('counts as absent where it does not answer', async () => {
    const registry = schemaRegistry({ url: `http://ann:s3cret@${url}`, timeoutMs: 50 })
    await expect(registry.ensureSchemas([confluentFraming(2)])).rejects.toThrow(code('REGISTRY_UNAVAILABLE'))
    registry.close()
  })
})
