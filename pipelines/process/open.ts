/** Opens a process's surroundings from its configuration, and closes them in reverse. */
import { readFileSync } from 'node:fs'
import { type Codec, createCodec } from '../../infra/avro/codec.ts'
import { avroCodec, confluentAvroCodec, type DynamicCodec } from '../../infra/avro/dynamic.ts'
import { type SchemaRegistry, schemaRegistry } from '../../infra/avro/registry.ts'
import { type ClickHouse, type ClickHouseOptions, connectClickHouse } from '../../infra/clickhouse/connect.ts'
import { type EmbeddedClickHouse, startEmbeddedClickHouse } from '../../infra/clickhouse/embedded.ts'
import { migrate } from '../../infra/clickhouse/migrations.ts'
import { clickhouseConnection, kafkaConnection, registryConnection } from '../../infra/config/connections.ts'
import type { Config } from '../../infra/config/schema.ts'
import { createHealth, type Health } from '../../infra/http/health.ts'
import type { Endpoint } from '../../infra/http/service.ts'
import type { Broker } from '../../infra/kafka/port.ts'
import type { Log } from '../../infra/telemetry/log.ts'
import { createMetrics, type Metrics } from '../../infra/telemetry/metrics.ts'
import { compileSink, compileSource, parseJson } from '../../operators/streams/mapping.ts'
import type { EventName, EventTypes } from '../../schemas/generated/events.ts'
import { LARGEST_LETTER } from '../checks/topics.ts'
import { type Input, type InputTopics, ownInput } from '../delivery/inputs.ts'
import type { Sink } from '../delivery/sinks.ts'
import { kafkaLog } from './kafka-log.ts'
import { type Runtime, topicOf } from './runtime.ts'

export interface OpenOptions {
  readonly log: Log
  readonly now?: () => number
  /** Given where the caller owns it (tests); made from the configuration otherwise. */
  readonly broker?: Broker
  /** Whether an embedded ClickHouse keeps its tables nowhere: they go with the process. */
  readonly temporaryTables?: boolean
  /** Given, and closed, by who serves them before everything is open and after it is closed. */
  readonly metrics?: Metrics
  readonly health?: Health
  readonly endpoint?: Endpoint
}

export interface Opened extends Runtime {
  /** The embedded ClickHouse, once it runs. */
  embedded(): EmbeddedClickHouse | null
  close(): Promise<void>
}

/** @throws MillraceError KAFKA_UNAVAILABLE, INVALID_CONFIG, REGISTRY_UNAVAILABLE; everything is closed again then. */
export const openRuntime = async (config: Config, options: OpenOptions): Promise<Opened> => {
  const { log, now = Date.now } = options
  const registry = openRegistry(config)
  const metrics = options.metrics ?? createMetrics()
  const server = openTables(config, log, options.temporaryTables ?? false)
  let broker = options.broker
  const close = async () => {
    await broker?.close()
    await server.close()
    registry?.close()
    if (options.metrics === undefined) metrics.close()
  }
  try {
    const codec = openCodec(config, registry)
    const inputs = inputsOf(config, codec, registry)
    broker ??= await openBroker(config, log)
    return {
      config,
      log,
      metrics,
      health: options.health ?? createHealth(),
      endpoint: options.endpoint ?? { service: null },
      broker,
      codec,
      inputs,
      sinks: await sinksOf(config, registry),
      clickhouse: server.connect,
      embedded: server.embedded,
      now,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The schema registry of the configuration, if any; asked at first use. */
export const openRegistry = (config: Config): SchemaRegistry | undefined => {
  const options = registryConnection(config)
  return options === undefined ? undefined : schemaRegistry(options)
}

/** The codec of millrace's own events. */
export const openCodec = (config: Config, registry: SchemaRegistry | undefined): Codec =>
  createCodec({
    ...(registry === undefined ? {} : { registry }),
    limits: { maxBytes: config.limits.messageBytes },
    // A dead letter holds what was refused, however small the messages that are taken.
    maxBytes: { 'dead-letter': Math.max(config.limits.messageBytes, LARGEST_LETTER) },
    subjectOf: (event) => `${topicOf(config, event)}-value`,
  })

/** A cluster that is there answers sooner. */
const SILENCE_MS = 1_000

/** @throws MillraceError KAFKA_UNAVAILABLE after `kafka.patience`, INVALID_CONFIG */
export const openBroker = async (config: Config, log: Log): Promise<Broker> => {
  switch (config.kafka.adapter) {
    case 'memory': {
      const { createMemoryBroker } = await import('../../infra/kafka/memory.ts')
      return createMemoryBroker()
    }
    case 'confluent':
    case 'kafkajs': {
      const create =
        config.kafka.adapter === 'confluent'
          ? (await import('../../infra/kafka/confluent/broker.ts')).createConfluentBroker
          : (await import('../../infra/kafka/kafkajs/broker.ts')).createKafkajsBroker
      const { brokers, patience } = config.kafka
      const away = `Kafka at ${brokers} does not answer yet: start it, or correct kafka.brokers. Trying for ${patience / 1_000} s`
      const timer = setTimeout(() => log.warn({ part: 'kafka' }, away), SILENCE_MS)
      try {
        return await create({ ...kafkaConnection(config), log: kafkaLog(log) })
      } finally {
        clearTimeout(timer)
      }
    }
  }
}

/** ClickHouse at first use: the configured server, else the embedded one; with its tables. */
export const openTables = (config: Config, log: Log, temporary = false) => {
  const closed = new AbortController()
  const { signal } = closed
  let embedded: EmbeddedClickHouse | null = null
  let connecting: Promise<ClickHouse> | null = null
  const open = async (patienceMs: number): Promise<ClickHouse> => {
    const told = (message: string) => log.warn({ part: 'clickhouse' }, message)
    const connection = clickhouseConnection(config) ?? (await startEmbedded())
    const clickhouse = await connectClickHouse({ ...connection, patienceMs, log: told, signal })
    try {
      const { applied } = await migrate(clickhouse, { eventDays: config.clickhouse.retentionDays })
      if (applied.length > 0) log.info({ part: 'clickhouse', applied }, 'tables made')
      return clickhouse
    } catch (error) {
      await clickhouse.close()
      throw error
    }
  }
  const startEmbedded = async (): Promise<ClickHouseOptions> => {
    const { dataDirectory, database, requestTimeout } = config.clickhouse
    if (embedded === null) {
      const server = await startEmbeddedClickHouse({
        ...(temporary ? {} : { dataDir: dataDirectory }),
        database,
        onLog: (line) => log.info({ part: 'clickhouse' }, line),
      })
      embedded = server
      void server.gone.then(() => forget(server))
    }
    const { url, username, password } = embedded
    return { url, username, password, database, requestTimeoutMs: requestTimeout }
  }
  /** An embedded server that ended by itself is begun anew by who asks next; a temporary one took its tables along. */
  const forget = async (server: EmbeddedClickHouse) => {
    if (temporary || signal.aborted) return
    const connection = connecting
    connecting = null
    embedded = null
    await connection?.then((clickhouse) => clickhouse.close()).catch(() => {})
    await server.stop()
  }
  return {
    connect: (patienceMs = config.clickhouse.patience) => {
      if (connecting !== null) return connecting
      const opening = open(patienceMs)
      connecting = opening
      opening.catch(() => {
        if (connecting === opening) connecting = null
      })
      return opening
    },
    embedded: () => embedded,
    close: async () => {
      closed.abort()
      await connecting?.then(
        (clickhouse) => clickhouse.close(),
        () => {},
      )
      await embedded?.stop()
    },
  }
}

const inputsOf = (
  config: Config,
  codec: Runtime['codec'],
  registry: SchemaRegistry | undefined,
): InputTopics => {
  const mapped = config.sources.map((source): Input => {
    const { topic, format, event } = source
    const map = compileSource(source) as (message: unknown) => EventTypes[typeof event]
    if (format === 'json') {
      const read = (value: Buffer) => map(parseJson(value))
      return { topic, event, stage: 'map', prepare: async () => {}, read }
    }
    const avro = dynamicCodec(source, registry, config)
    const read = (value: Buffer) => map(avro.decode(value))
    return { topic, event, stage: 'map', prepare: (values) => avro.ensureSchemas(values), read }
  })
  return <E extends EventName>(event: E) => {
    const found = mapped.filter((input) => input.event === event) as unknown as Input<E>[]
    return found.length > 0 ? found : [ownInput(codec, topicOf(config, event), event)]
  }
}

const sinksOf = async (config: Config, registry: SchemaRegistry | undefined): Promise<Sink[]> => {
  const sinks: Sink[] = []
  for (const sink of config.sinks) {
    const { topic, event, format } = sink
    const compiled = compileSink(sink)
    const avro = format === 'json' ? null : dynamicCodec(sink, registry, config)
    await avro?.prepare()
    const encode = (value: unknown) =>
      avro === null ? Buffer.from(JSON.stringify(value)) : avro.encode(value)
    sinks.push({
      topic,
      event,
      record: (value) => ({
        topic,
        key: Buffer.from(compiled.key(value as never)),
        value: encode(compiled.value(value as never)),
      }),
    })
  }
  return sinks
}

/** The codec of a user's topic in Avro. @throws MillraceError UNKNOWN_SCHEMA where `schema` is none. */
export const dynamicCodec = (
  { topic, format, schema }: { topic: string; format: string; schema?: string },
  registry: SchemaRegistry | undefined,
  config: Config,
): DynamicCodec => {
  const limits = { maxBytes: config.limits.messageBytes }
  const text = schema === undefined ? undefined : readFileSync(schema, 'utf8')
  // The configuration's schema holds both: Avro comes with a schema, Confluent's framing with a registry.
  return format === 'avro'
    ? avroCodec(text!, limits)
    : confluentAvroCodec({
        registry: registry!,
        subject: `${topic}-value`,
        limits,
        ...(text === undefined ? {} : { schema: text }),
      })
}
