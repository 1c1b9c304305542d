/** Bytes that are no events, and events of other versions: the first are dead letters at no cost, the second are read. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import avsc from 'avsc'
import { expect } from 'vitest'
import { millrace } from './command.ts'
import { decoded, fingerprint, tellSchemas } from './events.ts'
import { MemoryWatch } from './memory.ts'
import { framed, sharedRegistry } from './registry.ts'
import { row } from './row.ts'
import { either } from './settings.ts'
import type { Stage } from './stage.ts'
import { after, encoded, idsInPartitions, type Planned, request } from './world.ts'

interface Field {
  readonly name: string
  readonly [key: string]: unknown
}

interface RecordSchema {
  readonly fields: readonly Field[]
  readonly [key: string]: unknown
}

const published = (path: string): RecordSchema =>
  JSON.parse(readFileSync(new URL(`../../schemas/${path}.avsc`, import.meta.url), 'utf8')) as RecordSchema

const REQUEST = published('events/decision-request')
const REWARD = published('events/reward')

/** A schema with a field more, at its head. */
const withField = (schema: RecordSchema, field: Field): RecordSchema => ({
  ...schema,
  fields: [field, ...schema.fields],
})

const withoutField = (schema: RecordSchema, name: string): RecordSchema => ({
  ...schema,
  fields: schema.fields.filter((field) => field.name !== name),
})

const NULLS: Field = { name: 'nulls', type: { type: 'array', items: 'null' }, default: [] }
const NEST: Field = {
  name: 'nest',
  type: {
    type: 'record',
    name: 'Nest',
    fields: [{ name: 'within', type: ['null', 'Nest'], default: null }],
  },
  default: { within: null },
}
const text = (name: string): Field => ({ name, type: 'string', default: 'none' })

/** Bytes after the framing. */
const PAYLOAD = 10
/** 20 million items of no bytes each, then none: Avro's variable-length, zig-zag integers. */
const MANY_NULLS = Buffer.from([0x80, 0xb4, 0x89, 0x13, 0])
const DEEP = Buffer.alloc(200_000, 2)
const GROWTH_MIB = 100

row(9, 'malformed Avro; the schema registry answers 500, or slowly', { recording: false }, async (stage) => {
  const registry = await sharedRegistry()
  const subject = (name: string) => `${stage.prefix}${name}-value`
  const known = (field: Field) => registry.register(subject('decision-requests'), withField(REQUEST, field))
  const [nulls, nest, other] = [
    await known(NULLS),
    await known(NEST),
    await registry.register(subject('rewards'), REWARD),
  ]
  const [worker] = await stage.started(['worker'], { config: { schemaRegistry: { url: registry.url } } })
  const memory = new MemoryWatch(worker!)
  stage.flow(either(1_500, 400))
  await stage.publishedShare(0.3)
  memory.begin()

  const good = encoded('decision-request', request(0, stage.world))
  const payload = good.subarray(PAYLOAD)
  const reward = encoded('reward', { requestId: 'r', rewardId: '', value: 1, occurredAt: 0 })
  const unknownPrint = Buffer.from(good)
  unknownPrint.fill(7, 2, PAYLOAD)
  const kinds: readonly (readonly [expect: string, value: Buffer, topic?: Planned['topic']])[] = [
    ['MALFORMED_AVRO', good.subarray(0, -9)],
    ['MALFORMED_AVRO', Buffer.concat([good, Buffer.from([0])])],
    ['MALFORMED_AVRO', Buffer.from('{"requestId": "json"}')],
    ['MALFORMED_AVRO', Buffer.alloc(0)],
    ['UNKNOWN_SCHEMA', unknownPrint],
    ['UNKNOWN_SCHEMA', reward],
    ['UNKNOWN_SCHEMA', framed(1_999_999_999, payload)],
    ['INCOMPATIBLE_SCHEMA', framed(other, payload)],
    ['MESSAGE_TOO_LARGE', framed(nulls, MANY_NULLS)],
    ['MESSAGE_TOO_LARGE', framed(nest, DEEP)],
    ['MALFORMED_AVRO', reward.subarray(0, -1), 'rewards'],
    ['MALFORMED_AVRO', Buffer.concat([reward, reward]), 'rewards'],
    ['UNKNOWN_SCHEMA', good, 'rewards'],
  ]
  const rounds = either(40, 800)
  const begun = Date.now()
  for (let round = 0; round < rounds; round++)
    await stage.send(
      kinds.map(
        ([expected, value, topic = 'decision-requests'], i): Planned => ({
          topic,
          key: `bad-${round}-${i}`,
          value,
          headers: { expect: expected },
        }),
      ),
    )
  const bad = rounds * kinds.length
  stage.fault(`${bad} malformed`)
  await stage.until('all are dead letters', () => stage.count('dead-letters') === bad)
  stage.note(`${bad} refused in ${Date.now() - begun} ms, ${memory.end(GROWTH_MIB)}`)
  await stage.flowed()

  /** Requests by a schema that nobody has asked for yet, and behind them in the log others that need no registry. */
  const unheard = async (name: string, ms: number): Promise<() => boolean> => {
    const id = await known(text(name))
    const ids = [...idsInPartitions(`${name}-`, 4), ...idsInPartitions(`behind-${name}-`, 4)]
    const records = ids.map((requestId, i): Planned => {
      const event = { ...request(i, stage.world), requestId, occurredAt: after(stage.world, ms + i) }
      const value = encoded('decision-request', event)
      const field = Buffer.from([8, ...Buffer.from('none')])
      return {
        topic: 'decision-requests',
        key: requestId,
        value: i < 4 ? framed(id, Buffer.concat([field, value.subarray(PAYLOAD)])) : value,
      }
    })
    await stage.send(records)
    return () => {
      const there = new Set(stage.log.records(`${stage.prefix}decisions`).map(({ key }) => key))
      return ids.some((each) => there.has(each))
    }
  }
  const paused = async (how: string, ms: number, restMs: number, begin: () => void): Promise<void> => {
    const decisions = stage.count('decisions')
    begin()
    stage.fault(how)
    const anyDecided = await unheard(how.replaceAll(' ', '_'), ms)
    await stage.until('it is asked', () => registry.faulted > 0)
    await sleep(restMs)
    expect({ decided: anyDecided(), letters: stage.count('dead-letters') }).toEqual({
      decided: false,
      letters: bad,
    })
    registry.heal()
    const healed = Date.now()
    await stage.until('they are decided', () => stage.count('decisions') === decisions + 8)
    stage.note(`after ${how} ${Date.now() - healed} ms`)
    registry.faulted = 0
  }
  await stage.until(
    'the world is decided',
    () => stage.count('decisions') === stage.count('decision-requests') - rounds * 10,
  )
  try {
    await paused('answers 500', 0, either(700, 60_000), () => {
      registry.status = 500
    })
    await paused('answers late', 100, either(700, 60_000), () => {
      registry.delayMs = either(1_500, 120_000)
    })
  } finally {
    registry.heal()
  }
  tellSchemas(await registry.schemas(stage.prefix))
})

/** Publishes a definition again as an older millrace would write it: under its first released schema. */
const definedByOlder = async (stage: Stage): Promise<void> => {
  await stage.until('the policy is there', () => stage.count('policies') > 0)
  const [record] = stage.log.records(`${stage.prefix}policies`)
  const writer = avsc.Type.forSchema(published('released/policy-definition/1') as unknown as avsc.Schema)
  const head = Buffer.concat([Buffer.from([0xc3, 1]), Buffer.from(fingerprint(writer), 'hex')])
  const value = Buffer.concat([head, writer.toBuffer(decoded('policy-definition', record!.value!))])
  const producer = stage.client.producer({ allowAutoTopicCreation: false })
  await producer.connect()
  await producer.send({ topic: `${stage.prefix}policies`, messages: [{ key: record!.key, value }] })
  await producer.disconnect()
}

row(10, 'two schema versions mixed, and back to the older writer', {}, async (stage) => {
  const registry = await sharedRegistry()
  const config = { ...stage.config, schemaRegistry: { url: registry.url } }
  await definedByOlder(stage)
  await stage.started(['worker'], { config: { schemaRegistry: config.schemaRegistry } })
  stage.flow(either(3_000, 1_000))
  await stage.flowed()

  // An older writer knows neither features of arms nor names of rewards; a newer one says more than is known here.
  const arms = REQUEST.fields.find(({ name }) => name === 'arms')!
  const { type } = arms as unknown as { type: { items: RecordSchema } }
  const olderArms = { ...arms, type: { ...type, items: withoutField(type.items, 'features') } }
  const schemas = {
    older: {
      request: { ...REQUEST, fields: REQUEST.fields.map((field) => (field === arms ? olderArms : field)) },
      reward: withoutField(REWARD, 'rewardId'),
    },
    newer: { request: withField(REQUEST, text('channel')), reward: withField(REWARD, text('currency')) },
  }
  const producerOf = async ({ request: asked, reward }: { request: RecordSchema; reward: RecordSchema }) => {
    const of = async (topic: Planned['topic'], schema: RecordSchema) => {
      const id = await registry.register(`${stage.prefix}${topic}-value`, schema)
      const writer = avsc.Type.forSchema(schema as unknown as avsc.Schema)
      return (key: string, event: object): Planned => ({
        topic,
        key,
        value: framed(id, writer.toBuffer(event)),
      })
    }
    return { asks: await of('decision-requests', asked), rewards: await of('rewards', reward) }
  }
  const older = await producerOf(schemas.older)
  const newer = await producerOf(schemas.newer)
  const each = either(100, 2_000)
  const phases = [
    ['mixed', (i: number) => (i % 2 === 0 ? older : newer)],
    ['newer', () => newer],
    ['older', () => older],
  ] as const
  for (const [p, [name, by]] of phases.entries()) {
    const records = Array.from({ length: each }, (_, i): Planned[] => {
      const requestId = `${name}-${i}`
      const occurredAt = after(stage.world, p * each + i)
      const asked = { ...request(i, stage.world), requestId, occurredAt, channel: 'app' }
      const reward = { requestId, rewardId: 'a', value: i, occurredAt: occurredAt + 7, currency: 'EUR' }
      return [by(i).asks(requestId, asked), by(i).rewards(requestId, reward)]
    })
    await stage.send(records.flat())
    stage.fault(name === 'mixed' ? 'two writers' : `${name} writer alone`)
  }
  await stage.until('all are decided', () => stage.count('decisions') === stage.count('decision-requests'))

  tellSchemas(await registry.schemas(stage.prefix))
  const fit = await millrace(stage, ['check'], config)
  expect(fit.said).not.toContain('FAIL')
  expect(fit.code, fit.errors).toBe(0)
  const fields = REWARD.fields.map((field) =>
    field.name === 'value' ? { name: 'value', type: 'string' } : field,
  )
  await registry.register(`${stage.prefix}rewards-value`, { ...REWARD, fields })
  stage.fault('an incompatible schema registered')
  const unfit = await millrace(stage, ['check'], config)
  expect(unfit.said).toMatch(/FAIL registry: INCOMPATIBLE_SCHEMA: .*rewards-value/)
  expect(unfit.code).toBe(1)
})
