/**
 * What a Kafka client library has to say, lower and seldom: while a cluster is away it says the same hundreds of times a second, and calls an
 * error what it tries again a moment later (a coordinator that loads, a transaction that is still ending). It retries by itself; what it gives up
 * on comes as an error of millrace's own.
 */
import type { KafkaConnectionOptions } from '../../infra/kafka/connection.ts'
import type { Log } from '../../infra/telemetry/log.ts'

const LEVELS = { error: 'warn', warn: 'debug', info: 'debug', debug: 'debug' } as const
/** Answers of a broker that is there, and what follows from them. */
const PASSING = /^(Response |Crash: )/
/** The same message is told again after so long. */
const PAUSE_MS = 10_000
/** Messages hold ids and addresses; only so many are remembered. */
const MOST_MESSAGES = 100

/** @param now a monotonic clock in milliseconds. */
export const kafkaLog = (
  log: Pick<Log, 'warn' | 'debug'>,
  now: () => number = () => performance.now(),
): NonNullable<KafkaConnectionOptions['log']> => {
  const told = new Map<string, number>()
  return (level, message) => {
    const last = told.get(message)
    if (last !== undefined && now() - last < PAUSE_MS) return
    if (told.size >= MOST_MESSAGES) told.clear()
    told.set(message, now())
    log[PASSING.test(message) ? 'debug' : LEVELS[level]]({ part: 'kafka' }, message)
  }
}
