/**
 * Reads events as an outsider would: the schemas as they are published, and a plain Avro library. Nothing of the product's codec. A message is read as
 * it was written, by whichever released schema or schema of a registry it names, and seen as its present one.
 */
import { readdirSync, readFileSync } from 'node:fs'
import avsc from 'avsc'
import type { EventName, EventTypes } from '../../schemas/generated/events.ts'

/** Single-object encoding: C3 01 and eight bytes of fingerprint. */
const SINGLE_OBJECT_HEADER = 10
/** Confluent's framing: 00 and four bytes of id. */
const CONFLUENT_HEADER = 5

interface Reading {
  readonly type: avsc.Type
  /** By fingerprint or id, in hex. */
  readonly resolvers: Map<string, avsc.Resolver>
}

const readings = new Map<EventName, Reading>()
const registered = new Map<number, string>()

/** Tells the schemas of a registry by their ids: messages that name one not told are no events. */
export const tellSchemas = (schemas: ReadonlyMap<number, string>): void => {
  for (const [id, schema] of schemas) registered.set(id, schema)
}

const typeOf = (path: string): avsc.Type =>
  avsc.Type.forSchema(JSON.parse(readFileSync(new URL(`../../schemas/${path}`, import.meta.url), 'utf8')))

const readingOf = (event: EventName): Reading => {
  let reading = readings.get(event)
  if (reading === undefined) {
    const type = typeOf(`events/${event}.avsc`)
    const released = readdirSync(new URL(`../../schemas/released/${event}/`, import.meta.url))
    const writers = [type, ...released.map((file) => typeOf(`released/${event}/${file}`))]
    const resolvers = new Map(writers.map((writer) => [fingerprint(writer), type.createResolver(writer)]))
    reading = { type, resolvers }
    readings.set(event, reading)
  }
  return reading
}

/** The event in a message. @throws Error where it is none. */
export const decoded = <E extends EventName>(event: E, message: Buffer): EventTypes[E] => {
  const { type, resolvers } = readingOf(event)
  const single = message[0] === 0xc3 && message[1] === 0x01
  const header = single ? SINGLE_OBJECT_HEADER : CONFLUENT_HEADER
  const name = message.toString('hex', single ? 2 : 0, header)
  let resolver = resolvers.get(name)
  const schema = message[0] === 0 ? registered.get(message.readUInt32BE(1)) : undefined
  if (resolver === undefined && schema !== undefined) {
    resolver = type.createResolver(avsc.Type.forSchema(JSON.parse(schema)))
    resolvers.set(name, resolver)
  }
  if (resolver === undefined) throw new Error(`no ${event}: ${message.length} bytes under ${name}`)
  return type.fromBuffer(message.subarray(header), resolver) as EventTypes[E]
}

const EMPTY = 0xc15d213aa4d7a795n

/** CRC-64-AVRO of the canonical form, little-endian, in hex: as the Avro specification writes it. */
export const fingerprint = (type: avsc.Type): string => {
  let print = EMPTY
  for (const byte of Buffer.from(JSON.stringify(type.schema()))) {
    let rest = (print ^ BigInt(byte)) & 0xffn
    for (let i = 0; i < 8; i++) rest = (rest >> 1n) ^ (EMPTY & -(rest & 1n))
    print = (print >> 8n) ^ rest
  }
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt.asUintN(64, print))
  return bytes.toString('hex')
}
