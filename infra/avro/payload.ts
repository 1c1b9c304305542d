/**
 * Avro values to bytes and back, behind the caps of skim.ts: the layer between avsc and the framings. Works on schemas known at run
 * time only; codec.ts puts the event types on it.
 *
 * Writing goes straight into a buffer the writer keeps (framing already in place) and copies the result out, so nothing handed out
 * is ever written again. avsc checks shapes while writing, and the path of a wrong value is only searched for once it has failed; then the
 * bytes are skimmed as a reader will: what is written can be read.
 */
import avsc from 'avsc'
import { MillraceError } from '../../schemas/errors.ts'
import { fastTypeOf } from './fast-types.ts'
import { type DecodeLimits, isExactLong, type Skim, skimOf } from './skim.ts'

/** A schema as avsc's type; unions give plain values, wrapped in `{branch: value}` only where they would be ambiguous. */
export const typeOfSchema = (schema: string, options: Partial<avsc.ForSchemaOptions> = {}): avsc.Type => {
  try {
    const parsed: avsc.schema.AvroSchema = JSON.parse(schema)
    return avsc.Type.forSchema(parsed, {
      wrapUnions: 'auto',
      omitRecordMethods: true,
      typeHook: (part, hookOptions) => (isLongSchema(part) ? EXACT_LONG : fastTypeOf(part, hookOptions)),
      ...options,
    })
  } catch (cause) {
    throw new MillraceError('UNKNOWN_SCHEMA', `not an Avro schema: ${messageOf(cause)}`, { cause })
  }
}

export const isLongSchema = (schema: avsc.Schema): boolean =>
  schema === 'long' || (typeof schema === 'object' && 'type' in schema && schema.type === 'long')

// The two methods avsc's types share beside the public ones; its own `LongType.__with` would cost a buffer a value.
const Long = avsc.types.LongType as unknown as new () => avsc.Type & {
  _write(tap: unknown, value: unknown): void
  _check(value: unknown, ...hooks: unknown[]): boolean
}

/** `long` that refuses what avsc would write as another number. */
class ExactLong extends Long {
  override _write(tap: unknown, value: unknown): void {
    super._write(tap, isExactLong(value as number) ? value : Number.NaN)
  }
  override _check(value: unknown, ...hooks: unknown[]): boolean {
    return super._check(isExactLong(value as number) ? value : Number.NaN, ...hooks)
  }
}
const EXACT_LONG = new ExactLong()

/** The parsing canonical form: what decides the layout of the bytes. */
export const canonicalForm = (type: avsc.Type): string => JSON.stringify(type.schema())

/** Reads the value that begins at `start` and ends with the bytes. @throws MillraceError as Skim does. */
export type PayloadReader = (bytes: Buffer, start: number) => unknown

/**
 * A reader of what `writer` wrote, as `reader` sees it.
 * @throws MillraceError INCOMPATIBLE_SCHEMA where the one cannot be read as the other.
 */
export const payloadReader = (reader: avsc.Type, writer: avsc.Type, limits: DecodeLimits): PayloadReader => {
  const skim = skimOf(writer, limits)
  const resolver = reader === writer ? undefined : resolverOf(reader, writer)
  return (bytes, start) => {
    if (bytes.length > limits.maxBytes) throw tooLarge(bytes.length, limits)
    skim(bytes, start)
    try {
      return reader.decode(bytes, start, resolver).value
    } catch (cause) {
      throw new MillraceError('MALFORMED_AVRO', messageOf(cause), { cause })
    }
  }
}

/** @throws MillraceError INVALID_EVENT naming the path, MESSAGE_TOO_LARGE. */
export type PayloadWriter = (value: unknown) => Buffer

/** A writer of messages that begin with `framing`. */
export const payloadWriter = (type: avsc.Type, framing: Buffer, limits: DecodeLimits): PayloadWriter => {
  const start = framing.length
  const skim = skimOf(type, limits)
  let scratch = Buffer.concat([framing, Buffer.allocUnsafeSlow(1024)])
  return (value) => {
    for (;;) {
      let end: number
      try {
        end = type.encode(value, scratch, start)
      } catch (cause) {
        throw new MillraceError('INVALID_EVENT', whatIsWrong(type, value, cause), { cause })
      }
      const length = end >= 0 ? end : scratch.length - end
      if (length > limits.maxBytes) throw tooLarge(length, limits)
      if (end >= 0) {
        const message = Buffer.allocUnsafe(end)
        scratch.copy(message, 0, 0, end)
        skimOwn(skim, message, start)
        return message
      }
      scratch = Buffer.concat([framing, Buffer.allocUnsafeSlow(Math.max(length, 2 * scratch.length))])
    }
  }
}

/** What is written must be readable: avsc writes half a surrogate pair, or too many items, without a word. */
const skimOwn = (skim: Skim, message: Buffer, start: number): void => {
  try {
    skim(message, start)
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'MALFORMED_AVRO') throw error
    throw new MillraceError('INVALID_EVENT', `cannot be written as Avro: ${error.message}`, { cause: error })
  }
}

const resolverOf = (reader: avsc.Type, writer: avsc.Type) => {
  try {
    return reader.createResolver(writer)
  } catch (cause) {
    const message = `${writer.name ?? writer.typeName} cannot be read as ${reader.name ?? reader.typeName}: ${messageOf(cause)}`
    throw new MillraceError('INCOMPATIBLE_SCHEMA', message, { cause })
  }
}

const whatIsWrong = (type: avsc.Type, value: unknown, cause: unknown): string => {
  let first: string | undefined
  type.isValid(value, {
    errorHook: (path, found, expected) => {
      const kind = found === null ? 'null' : Array.isArray(found) ? 'array' : typeof found
      first ??= `${[type.branchName ?? type.typeName, ...path].join('.')} must be ${expected.branchName ?? expected.typeName}, is ${kind}`
    },
  })
  return first ?? messageOf(cause)
}

const tooLarge = (length: number, limits: DecodeLimits) =>
  new MillraceError('MESSAGE_TOO_LARGE', `${length} bytes, at most ${limits.maxBytes} are allowed`)

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
