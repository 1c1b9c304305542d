/**
 * Log lines for people: `12:30:01.123 warn  message  key=value …`. Takes pino's JSON lines and passes on readable ones; what is not
 * JSON passes unchanged. Parsing again costs microseconds a line: meant for terminals.
 */
import type { DestinationStream } from 'pino'

/** A destination that rewrites each line before it reaches `sink`. */
export const prettyLines = (sink: DestinationStream): DestinationStream => ({
  write: (line) => sink.write(`${readable(line)}\n`),
})

const readable = (line: string): string => {
  try {
    const { time, level, msg, err, error, ...rest } = JSON.parse(line) as Record<string, unknown>
    const details = Object.entries({ ...rest, ...described(err ?? error) }).map(
      ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    )
    const clock = String(time).slice(11, 23)
    return [`${clock} ${String(level).padEnd(5)} ${msg ?? ''}`, ...details].join('  ')
  } catch {
    return line.trimEnd()
  }
}

const described = (error: unknown): Record<string, unknown> => {
  if (typeof error !== 'object' || error === null) return error === undefined ? {} : { error }
  const { code, type, message, cause, stack } = error as Record<string, unknown>
  return {
    ...((code ?? type) === undefined ? {} : { code: code ?? type }),
    error: message,
    ...(cause === undefined ? {} : { cause }),
    ...(stack === undefined ? {} : { stack: `\n${String(stack)}` }),
  }
}
