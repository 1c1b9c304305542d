/**
 * Messages in a schema of the user's own, for `sources:` and `sinks:` of `format: avro` (the bare value, its schema given) and
 * `confluent-avro` (the schema named by id in a registry). Values are plain objects and arrays; bytes are Buffers; a `long` beyond
 * 2^53, as ids often are, is a bigint, so that it can still be told apart. The same caps hold as for events.
 */
import avsc from 'avsc'
import { MillraceError } from '../../schemas/errors.ts'
import {
  isLongSchema,
  type PayloadReader,
  type PayloadWriter,
  payloadReader,
  payloadWriter,
  typeOfSchema,
} from './payload.ts'
import { confluentFraming, confluentId, type SchemaRegistry } from './registry.ts'
import { DEFAULT_LIMITS, type DecodeLimits } from './skim.ts'

export interface DynamicCodec {
  /** Once before `encode`. @throws MillraceError as Codec.prepare does. */
  prepare(): Promise<void>
  /** Once a batch before `decode`. @throws MillraceError REGISTRY_UNAVAILABLE: pause and try again. */
  ensureSchemas(messages: readonly (Buffer | null)[]): Promise<void>
  /** @throws MillraceError MALFORMED_AVRO, UNKNOWN_SCHEMA, INCOMPATIBLE_SCHEMA, MESSAGE_TOO_LARGE, INVALID_EVENT. */
  decode(message: Buffer): unknown
  /** @throws MillraceError INVALID_EVENT naming the path, MESSAGE_TOO_LARGE. */
  encode(value: unknown): Buffer
}

/** Bare Avro values of one schema (the text of an .avsc). @throws MillraceError UNKNOWN_SCHEMA where it is none. */
export const avroCodec = (schema: string, limits: Partial<DecodeLimits> = {}): DynamicCodec => {
  const type = plainType(schema)
  const caps = { ...DEFAULT_LIMITS, ...limits }
  const read = payloadReader(type, type, caps)
  const write = payloadWriter(type, Buffer.alloc(0), caps)
  return {
    prepare: () => Promise.resolve(),
    ensureSchemas: () => Promise.resolve(),
    decode: (message) => read(message, 0),
    encode: write,
  }
}

export interface ConfluentAvroOptions {
  readonly registry: SchemaRegistry
  /** Subject under which messages are written, for example `<topic>-value`. */
  readonly subject: string
  /** Schema as which messages are read and written; else each is read as written, and written in the subject's newest. */
  readonly schema?: string
  readonly limits?: Partial<DecodeLimits>
}

/** Avro values in Confluent's framing. */
export const confluentAvroCodec = ({
  registry,
  subject,
  schema,
  limits,
}: ConfluentAvroOptions): DynamicCodec => {
  const caps = { ...DEFAULT_LIMITS, ...limits }
  const type = schema === undefined ? undefined : plainType(schema)
  const readers = new Map<number, PayloadReader>()
  let write: PayloadWriter | undefined

  const readerOf = (id: number): PayloadReader => {
    const written = registry.schemaOf(id)
    if (written === undefined)
      throw new MillraceError('UNKNOWN_SCHEMA', `schema id ${id}: not in the registry`)
    const writer = plainType(written)
    const reader = payloadReader(type ?? writer, writer, caps)
    readers.set(id, reader)
    return reader
  }

  return {
    async prepare() {
      const own = schema === undefined ? undefined : { id: await registry.idOf(subject, schema), schema }
      const { id, schema: text } = own ?? (await registry.latest(subject))
      write = payloadWriter(type ?? plainType(text), confluentFraming(id), caps)
    },
    ensureSchemas: (messages) => registry.ensureSchemas(messages),
    decode(message) {
      const id = confluentId(message)
      if (id === null)
        throw new MillraceError('MALFORMED_AVRO', `${message.length} bytes without Confluent framing`)
      return (readers.get(id) ?? readerOf(id))(message, 5)
    },
    encode(value) {
      if (!write)
        throw new MillraceError('REGISTRY_UNAVAILABLE', `the schema of ${subject} has not been looked up yet`)
      return write(value)
    },
  }
}

/** The schema with longs that never lose digits. */
const plainType = (schema: string): avsc.Type =>
  typeOfSchema(schema, { typeHook: (part) => (isLongSchema(part) ? LONG_OR_BIGINT : undefined) })

const LONG_OR_BIGINT = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => narrowed(bytes.readBigInt64LE()),
  toBuffer: (value: number | bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(value))
    return bytes
  },
  fromJSON: (value: number | string) => narrowed(BigInt(value)),
  toJSON: (value: number | bigint) => (typeof value === 'bigint' ? String(value) : value),
  isValid: (value: unknown) =>
    typeof value === 'bigint' ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value),
  compare: (a: number | bigint, b: number | bigint) => (a < b ? -1 : a > b ? 1 : 0),
})

const narrowed = (value: bigint): number | bigint => {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
