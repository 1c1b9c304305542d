/**
 * kafkajs, tuned: a quick inner retry (5–20 ms, 0.4 s in all) so that a transaction that meets the end of the one before it goes on
 * at once; the patient outer one (`patiently`) is for a cluster that starts, fails over or is away. Nothing is printed.
 *
 * `openCluster` gives kafkajs's own connection to the cluster, which it hands to partition assigners: metadata, offsets and raw
 * fetches, with no consumer group.
 */
import {
  type Cluster,
  type ISocketFactory,
  Kafka,
  type KafkaConfig,
  logLevel,
  type SASLOptions,
} from 'kafkajs'
import { closeSoon, type Patience } from '../adapter/driver.ts'
import { addressOf, DEFAULT_PATIENCE_MS, type KafkaConnectionOptions } from '../connection.ts'
import { isTransient, toMillraceError } from './errors.ts'
import { watchedSockets } from './sockets.ts'

export interface KafkajsOptions extends KafkaConnectionOptions {
  /** Makes the sockets, where the cluster is reached through something of your own. */
  readonly socketFactory?: ISocketFactory
  /** A connection on which nothing is answered for so long is made anew (default 15,000). */
  readonly answerTimeoutMs?: number
}

/** What every part of the adapter shares. */
export interface Client extends Patience {
  readonly kafka: Kafka
}

export const QUICK_RETRY = { initialRetryTime: 5, maxRetryTime: 20, retries: 20 }

const DEFAULT_ANSWER_TIMEOUT_MS = 15_000

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
  config.socketFactory = watchedSockets(
    options.answerTimeoutMs ?? DEFAULT_ANSWER_TIMEOUT_MS,
    options.socketFactory,
  )
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
  const address = addressOf(options)
  const kafka = new Kafka(config)
  handRetryOn(kafka)
  return {
    kafka,
    address,
    patienceMs: options.patienceMs ?? DEFAULT_PATIENCE_MS,
    isTransient,
    toMillraceError: (error, fallback) => toMillraceError(error, address, fallback),
  }
}

/**
 * Transactions read their retry from the cluster they are given, which kafkajs forgets to put there: a producer that takes over
 * a transaction left open would then wait 300 ms for its end, and 600 ms more where that was not enough.
 */
const handRetryOn = (kafka: Kafka): void => {
  const own = kafka as unknown as Record<symbol, (options: object) => Cluster & { retry?: object }>
  for (const symbol of Object.getOwnPropertySymbols(kafka)) {
    if (symbol.description !== 'private:Kafka:createCluster') continue
    const create = own[symbol]!
    own[symbol] = (options) => Object.assign(create(options), { retry: QUICK_RETRY })
  }
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
