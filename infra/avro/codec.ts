/**
 * Events to bytes and back. Without a schema registry messages carry Avro's single-object encoding: C3 01, the little-endian CRC-64-AVRO
 * fingerprint of the writer's schema, the value; whatever a released schema wrote is read. With a registry they carry
 * Confluent's framing: 00, the big-endian schema id, the value. A message is read by its first byte, so a topic may hold both.
 *
 * `encode` and `decode` are synchronous: `prepare` (once) and `ensureSchemas` (once a batch) do what needs the registry, and cost
 * nothing where there is none or all ids are known.
 */

import { TOPICS } from '../../schemas/catalogue.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { type EventName, type EventTypes, SCHEMAS } from '../../schemas/generated/events.ts'
import {
  canonicalForm,
  type PayloadReader,
  type PayloadWriter,
  payloadReader,
  payloadWriter,
  typeOfSchema,
} from './payload.ts'
import { rabinFingerprint } from './rabin.ts'
import { confluentFraming, confluentId, type SchemaRegistry } from './registry.ts'
import { DEFAULT_LIMITS, type DecodeLimits } from './skim.ts'

export interface Codec {
  readonly framing: 'single-object' | 'confluent'
  /**
   * Finds (or registers) the schemas of events that will be encoded. Nothing to do without a registry.
   * @throws MillraceError REGISTRY_UNAVAILABLE (try again), INCOMPATIBLE_SCHEMA (the registry refuses the schema), INVALID_CONFIG.
   */
  prepare(events: readonly EventName[]): Promise<void>
  /**
   * Loads the writers' schemas that these messages name and are not known yet; ids the registry does not know are left for
   * `decode` to refuse. Nothing to do without a registry.
   * @throws MillraceError REGISTRY_UNAVAILABLE: pause and try again, these are no dead letters.
   */
  ensureSchemas(messages: readonly (Buffer | null)[]): Promise<void>
  /**
   * One message. @throws MillraceError INVALID_EVENT naming the path, MESSAGE_TOO_LARGE; REGISTRY_UNAVAILABLE where `prepare` has
   * not been awaited.
   */
  encode<E extends EventName>(event: E, value: EventTypes[E]): Buffer
  /**
   * The event in a message; it shares no memory with `message`.
   * @throws MillraceError MALFORMED_AVRO, UNKNOWN_SCHEMA, INCOMPATIBLE_SCHEMA, MESSAGE_TOO_LARGE, INVALID_EVENT.
   */
  decode<E extends EventName>(event: E, message: Buffer): EventTypes[E]
  /** The schema a message names, for dead letters: fingerprint in hex, registry id, or '' where there is no known framing. */
  schemaIdOf(message: Buffer): string
}

export interface CodecOptions {
  /** Encode in Confluent's framing, and decode it too. */
  readonly registry?: SchemaRegistry
  /** Subject of an event's schema; default `<topic>-value`. */
  readonly subjectOf?: (event: EventName) => string
  readonly limits?: Partial<DecodeLimits>
  /** Other caps in bytes for single events, for example `{ image: 8_388_608 }`. */
  readonly maxBytes?: Partial<Readonly<Record<EventName, number>>>
}

const SINGLE_OBJECT_HEADER = 10
const NOTHING = Promise.resolve()

export const createCodec = (options: CodecOptions = {}): Codec => {
  const { registry, subjectOf = (event: EventName) => `${TOPICS[event]}-value` } = options
  const events = new Map<EventName, EventCodec>()

  // Compiled at first use: a process needs few of the events.
  const codecOf = (event: EventName): EventCodec => {
    let codec = events.get(event)
    if (!codec) {
      if (!Object.hasOwn(SCHEMAS, event))
        throw new MillraceError('UNKNOWN_SCHEMA', `there is no event ${event}`)
      const maxBytes = options.maxBytes?.[event] ?? options.limits?.maxBytes ?? DEFAULT_LIMITS.maxBytes
      codec = eventCodec(event, { ...DEFAULT_LIMITS, ...options.limits, maxBytes }, registry)
      events.set(event, codec)
    }
    return codec
  }

  return {
    framing: registry ? 'confluent' : 'single-object',
    async prepare(names) {
      if (!registry) return
      for (const event of names) {
        const id = await registry.idOf(subjectOf(event), SCHEMAS[event].current)
        codecOf(event).writeAs(confluentFraming(id))
      }
    },
    ensureSchemas: (messages) => registry?.ensureSchemas(messages) ?? NOTHING,
    encode: (event, value) => codecOf(event).encode(value),
    decode: <E extends EventName>(event: E, message: Buffer) =>
      codecOf(event).decode(message) as EventTypes[E],
    schemaIdOf: (message) => {
      if (isSingleObject(message)) return message.toString('hex', 2, SINGLE_OBJECT_HEADER)
      return String(confluentId(message) ?? '')
    },
  }
}

interface EventCodec {
  encode(value: unknown): Buffer
  decode(message: Buffer): unknown
  writeAs(framing: Buffer): void
}

const eventCodec = (
  event: EventName,
  limits: DecodeLimits,
  registry: SchemaRegistry | undefined,
): EventCodec => {
  const type = typeOfSchema(SCHEMAS[event].current)
  const framing = singleObjectFraming(canonicalForm(type))
  const [low, high] = [framing.readUInt32LE(2), framing.readUInt32LE(6)]
  const readCurrent = payloadReader(type, type, limits)
  const earlier = new Map<string, PayloadReader>()
  for (const released of SCHEMAS[event].earlier) {
    const writer = typeOfSchema(released)
    const fingerprint = singleObjectFraming(canonicalForm(writer)).toString('hex', 2)
    earlier.set(fingerprint, payloadReader(type, writer, limits))
  }
  const byId = new Map<number, PayloadReader>()
  let write: PayloadWriter | undefined = registry ? undefined : payloadWriter(type, framing, limits)

  const readConfluent = (message: Buffer, id: number): unknown => {
    let read = byId.get(id)
    if (!read) {
      const writer = registry?.schemaOf(id)
      if (writer === undefined) {
        const why = registry ? 'not in the registry' : 'no registry is configured'
        throw new MillraceError('UNKNOWN_SCHEMA', `schema id ${id}: ${why}`)
      }
      read = payloadReader(type, typeOfSchema(writer), limits)
      byId.set(id, read)
    }
    return read(message, 5)
  }

  return {
    encode(value) {
      if (!write)
        throw new MillraceError('REGISTRY_UNAVAILABLE', `the schema of ${event} has not been looked up yet`)
      return write(value)
    },
    decode(message) {
      if (message.length > limits.maxBytes) {
        throw new MillraceError(
          'MESSAGE_TOO_LARGE',
          `${message.length} bytes, at most ${limits.maxBytes} are allowed`,
        )
      }
      if (isSingleObject(message)) {
        if (message.readUInt32LE(2) === low && message.readUInt32LE(6) === high) {
          return readCurrent(message, SINGLE_OBJECT_HEADER)
        }
        const fingerprint = message.toString('hex', 2, SINGLE_OBJECT_HEADER)
        const read = earlier.get(fingerprint)
        if (!read)
          throw new MillraceError(
            'UNKNOWN_SCHEMA',
            `fingerprint ${fingerprint} is no released schema of ${event}`,
          )
        return read(message, SINGLE_OBJECT_HEADER)
      }
      const id = confluentId(message)
      if (id === null)
        throw new MillraceError('MALFORMED_AVRO', `${message.length} bytes without Avro framing`)
      return readConfluent(message, id)
    },
    writeAs(confluent) {
      write = payloadWriter(type, confluent, limits)
    },
  }
}

const isSingleObject = (message: Buffer): boolean =>
  message.length >= SINGLE_OBJECT_HEADER && message[0] === 0xc3 && message[1] === 0x01

/** C3 01 and the fingerprint, little-endian. */
const singleObjectFraming = (canonical: string): Buffer => {
  const framing = Buffer.from([0xc3, 0x01, 0, 0, 0, 0, 0, 0, 0, 0])
  framing.writeBigUInt64LE(rabinFingerprint(canonical), 2)
  return framing
}
