/**
 * librdkafka's clients for one cluster, with their settings. Each has threads and connections of its own. Calls that wait (of
 * transactions above all) wait on Node's pool of 4 threads: with many tasks in a process give it more (UV_THREADPOOL_SIZE).
 */
import { closeSoon, type Patience } from '../adapter/driver.ts'
import { addressOf, DEFAULT_PATIENCE_MS, type KafkaConnectionOptions } from '../connection.ts'
import { isRefusal, isTransient, toMillraceError } from './errors.ts'
import {
  asked,
  type KafkaConsumer,
  type Library,
  type LibraryError,
  type Producer,
  type Properties,
  type Client as RdClient,
} from './library.ts'

/** What every part of the adapter shares. */
export interface Client extends Patience {
  /** A connected consumer with these settings. */
  consumer(properties: Properties): Promise<KafkaConsumer>
  /** A consumer that is not connected yet. */
  newConsumer(properties: Properties): KafkaConsumer
  connect(client: RdClient): Promise<void>
  /** A connected producer with these settings. */
  producer(properties: Properties): Promise<Producer>
  /** Stands for a group in transactions: it never joins, so it names no generation. */
  groupHandle(groupId: string): Promise<KafkaConsumer>
  close(): Promise<void>
}

const CONNECT_TIMEOUT_MS = 5000
/** A token that does not tell its end is asked for again by then. */
const TOKEN_LIFETIME_MS = 300_000

export const closeClient = (client: RdClient): Promise<void> =>
  closeSoon(asked((done) => client.disconnect(done)))

const LEVELS = ['error', 'error', 'error', 'error', 'warn', 'info', 'info', 'debug'] as const

export const createClient = (library: Library, options: KafkaConnectionOptions): Client => {
  const address = addressOf(options)
  const common: Properties = { ...propertiesOf(options), log_level: options.log ? 6 : 0 }
  const handles = new Map<string, Promise<KafkaConsumer>>()

  const connect = async (client: RdClient): Promise<void> => {
    let refusal: LibraryError | undefined
    client.on<LibraryError>('event.error', (error) => {
      if (isRefusal(error)) refusal = error
      options.log?.('warn', error.message)
    })
    client.on<Error>('error', (error) => options.log?.('error', error.message))
    client.on<{ severity: number; message: string }>('event.log', ({ severity, message }) =>
      options.log?.(LEVELS[severity] ?? 'debug', message),
    )
    try {
      await asked((done) => client.connect({ timeout: CONNECT_TIMEOUT_MS, allTopics: false }, done))
    } catch (error) {
      await closeClient(client)
      throw refusal ?? error
    }
  }
  const newConsumer = (properties: Properties): KafkaConsumer =>
    new library.KafkaConsumer({
      ...common,
      'auto.offset.reset': 'error',
      'enable.auto.commit': false,
      'enable.auto.offset.store': false,
      'allow.auto.create.topics': false,
      'isolation.level': 'read_committed',
      ...properties,
    })
  const consumer = async (properties: Properties): Promise<KafkaConsumer> => {
    const client = newConsumer(properties)
    await connect(client)
    return client
  }
  return {
    address,
    patienceMs: options.patienceMs ?? DEFAULT_PATIENCE_MS,
    isTransient,
    toMillraceError: (error, fallback) => toMillraceError(error, address, fallback),
    consumer,
    newConsumer,
    connect,
    producer: async (properties) => {
      // What is too large the packer says, by topic. A transaction meets the end of the one before it: ask again soon.
      const producer = new library.Producer({
        ...common,
        acks: -1,
        'linger.ms': 1,
        'message.max.bytes': 1_000_000_000,
        'retry.backoff.ms': 1,
        ...properties,
      })
      await connect(producer)
      return producer
    },
    groupHandle: (groupId) => {
      const handle = handles.get(groupId) ?? consumer({ 'group.id': groupId })
      handles.set(groupId, handle)
      handle.catch(() => handles.delete(groupId))
      return handle
    },
    close: async () => {
      await Promise.all([...handles.values()].map((handle) => handle.then(closeClient, () => {})))
      handles.clear()
    },
  }
}

/** librdkafka's settings of a connection. */
export const propertiesOf = ({ brokers, clientId, ssl, sasl }: KafkaConnectionOptions): Properties => {
  const { ca, cert, key, rejectUnauthorized = true } = ssl === true || ssl === undefined ? {} : ssl
  return {
    'bootstrap.servers': brokers.join(','),
    'client.id': clientId ?? 'millrace',
    'reconnect.backoff.max.ms': 1000,
    'security.protocol': `${sasl ? 'sasl_' : ''}${ssl ? 'ssl' : 'plaintext'}`,
    ...(ssl ? { 'enable.ssl.certificate.verification': rejectUnauthorized } : {}),
    ...(ca === undefined ? {} : { 'ssl.ca.pem': ca }),
    ...(cert === undefined ? {} : { 'ssl.certificate.pem': cert }),
    ...(key === undefined ? {} : { 'ssl.key.pem': key }),
    ...(sasl ? { 'sasl.mechanisms': sasl.mechanism.toUpperCase() } : {}),
    ...(sasl && sasl.mechanism !== 'oauthbearer'
      ? { 'sasl.username': sasl.username, 'sasl.password': sasl.password }
      : {}),
    ...(sasl?.mechanism === 'oauthbearer'
      ? { oauthbearer_token_refresh_cb: async () => describeToken(await sasl.token()) }
      : {}),
  }
}

/** What librdkafka wants to know of a token: its owner and its end, read from it where it is a JWT. */
const describeToken = (token: string) => {
  let claims: { exp?: unknown; sub?: unknown } = {}
  try {
    claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) ?? {}
  } catch {
    // An opaque token.
  }
  return {
    tokenValue: token,
    lifetime: typeof claims.exp === 'number' ? claims.exp * 1000 : Date.now() + TOKEN_LIFETIME_MS,
    principal: typeof claims.sub === 'string' ? claims.sub : '',
  }
}
