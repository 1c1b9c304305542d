/**
 * kafkajs, tuned: a quick inner retry (5–20 ms, 0.4 s in all) so that a transaction that meets the end of the one before it goes on
 * at once, and a patient outer one for a cluster that starts, fails over or is away. Nothing is printed.
 *
 * `openCluster` gives kafkajs's own connection to the cluster, which it hands to partition assigners: metadata, offsets and raw
 * fetches, with no consumer group.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Cluster,
  type ISocketFactory,
  Kafka,
  type KafkaConfig,
  logLevel,
  type SASLOptions,
} from 'kafkajs'
import { MillraceError } from '../../../schemas/errors.ts'
import { addressOf, DEFAULT_PATIENCE_MS, type KafkaConnectionOptions } from '../connection.ts'
import { isTransient, toMillraceError } from './errors.ts'

export interface KafkajsOptions extends KafkaConnectionOptions {
  /** Makes the sockets, where the cluster is reached through something of your own. */
  readonly socketFactory?: ISocketFactory
}

/** What every part of the adapter shares. */
export interface Client {
  readonly kafka: Kafka
  readonly address: string
  readonly patienceMs: number
}

export const QUICK_RETRY = { initialRetryTime: 5, maxRetryTime: 20, retries: 20 }

const LEVELS = { [logLevel.ERROR]: 'error', [logLevel.WARN]: 'warn', [logLevel.INFO]: 'info' } as const

export const createClient = (options: KafkajsOptions): Client => {
  const { ssl, sasl, log } = options
  const config: KafkaConfig = {
    brokers: [...options.brokers],
    clientId: options.clientId ?? 'millrace',
    retry: QUICK_RETRY,
    connectionTimeout: 3000,
    logLevel: log ? logLevel.INFO : logLevel.NOTHING,
    logCreator:
      () =>
      ({ level, log: { message } }) =>
        log?.(LEVELS[level as keyof typeof LEVELS] ?? 'debug', message),
  }
  if (options.socketFactory) config.socketFactory = options.socketFactory
  if (ssl) {
    const { ca, cert, key, rejectUnauthorized } = ssl === true ? {} : ssl
    config.ssl = {
      ...(ca === undefined ? {} : { ca: [ca] }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      rejectUnauthorized: rejectUnauthorized ?? true,
    }
  }
  if (sasl)
    config.sasl = (
      sasl.mechanism === 'oauthbearer'
        ? { mechanism: sasl.mechanism, oauthBearerProvider: async () => ({ value: await sasl.token() }) }
        : sasl
    ) as SASLOptions
  return {
    kafka: new Kafka(config),
    address: addressOf(options),
    patienceMs: options.patienceMs ?? DEFAULT_PATIENCE_MS,
  }
}

/**
 * Runs `attempt` until it succeeds, with backoff from 20 ms to 1 s, for as long as the cluster's trouble may pass.
 * @throws MillraceError KAFKA_UNAVAILABLE when patience or `signal` ends it; what is not transient at once.
 */
export const patiently = async <T>(
  { address, patienceMs }: Client,
  attempt: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> => {
  const deadline = Date.now() + patienceMs
  for (let wait = 20; ; wait = Math.min(wait * 2, 1000)) {
    try {
      return await attempt()
    } catch (error) {
      if (!isTransient(error)) throw toMillraceError(error, address, 'KAFKA_UNAVAILABLE')
      if (Date.now() + wait > deadline || signal?.aborted) throw unavailable(address, patienceMs, error)
      await sleep(wait)
    }
  }
}

export const unavailable = (address: string, patienceMs: number, cause: unknown): MillraceError =>
  new MillraceError(
    'KAFKA_UNAVAILABLE',
    `Kafka at ${address} did not answer for ${Math.round(patienceMs / 1000)} s (${(cause as Error)?.message}). ` +
      'Start it, correct the address, or run with --kafka local.',
    { cause },
  )

/** Waits for an end to be made, but no longer than 2 s: kafkajs waits up to 30 s for answers that a dead connection never gives. */
export const closeSoon = async (closing: Promise<unknown> | undefined): Promise<void> => {
  const late = new AbortController()
  const limit = sleep(2000, undefined, { signal: late.signal, ref: false }).catch(() => {})
  await Promise.race([closing?.catch(() => {}), limit])
  late.abort()
}

export interface OpenCluster {
  readonly cluster: Cluster
  connect(): Promise<void>
  close(): Promise<void>
}

/** A connection to the cluster of its own, reading committed records and offsets only; it joins no group. */
export const openCluster = ({ kafka }: Client): OpenCluster => {
  let cluster: Cluster | undefined
  const consumer = kafka.consumer({
    groupId: 'millrace-joins-no-group',
    allowAutoTopicCreation: false,
    partitionAssigners: [
      (config) => {
        cluster = config.cluster
        return {
          name: 'none',
          version: 0,
          assign: async () => [],
          protocol: () => ({ name: 'none', metadata: Buffer.alloc(0) }),
        }
      },
    ],
  })
  return {
    cluster: cluster!,
    connect: () => consumer.connect(),
    close: () => closeSoon(consumer.disconnect()),
  }
}
