/**
 * Structured logs: one JSON line a message on standard error (standard output belongs to results), or short readable lines. Keys that
 * name secrets are redacted two levels deep, and a `Secret` redacts itself. A MillraceError is written as code and message: its
 * stack says nothing to who runs millrace.
 */
import { type DestinationStream, type Logger, pino, destination as standardError, stdSerializers } from 'pino'
import { MillraceError } from '../../schemas/errors.ts'
import { prettyLines } from './pretty.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

/** What pipelines write to: `log.info({topic}, 'message')`; `log.child({job})` adds to every line. */
export type Log = Logger

export interface LogOptions {
  readonly level: LogLevel
  /** Readable lines instead of JSON. */
  readonly pretty?: boolean
  /** Where lines go; standard error where absent. */
  readonly destination?: DestinationStream
}

const SECRET_KEYS = ['password', 'token', 'secret', 'authorization', 'cookie']
const REDACTED_PATHS = SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`])

/** A log that writes synchronously, so that the last line before an exit is not lost. */
export const createLog = ({ level, pretty = false, destination }: LogOptions): Log => {
  const sink = destination ?? standardError({ fd: 2, sync: true })
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED_PATHS, censor: '[redacted]' },
      serializers: { err: describeError, error: describeError },
    },
    pretty ? prettyLines(sink) : sink,
  )
}

const describeError = (error: unknown): unknown => {
  if (!(error instanceof Error)) return error
  if (!(error instanceof MillraceError)) return stdSerializers.err(error)
  const { code, message, cause } = error
  return { code, message, ...(cause instanceof Error ? { cause: cause.message } : {}) }
}
