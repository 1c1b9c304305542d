/**
 * The whole configuration as a strict schema: every key, its default and its range. Durations come out in milliseconds, sizes in
 * bytes, relative paths absolute. docs/configuration.md describes the keys one by one.
 */
import { z } from 'zod'
import { policySchema } from './policy.ts'
import { filePath, openText, type Secret, type Surroundings, secretText } from './secret.ts'
import { sinkSchema, sourceSchema } from './streams.ts'
import { tagSchema } from './tag.ts'
import { choice, duration, flag, integer, name, number, size, text } from './units.ts'

/** Topic names may begin with it, so it obeys Kafka's alphabet. */
const topicPrefix = () =>
  z.string().regex(/^[A-Za-z0-9._-]{0,100}$/, {
    error: 'must hold only letters, digits, ".", "_" and "-", 100 at most',
  })

const address = () =>
  z.string().refine(
    (value) => {
      const match = /^([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/.exec(value)
      return match !== null && Number(match[2]) >= 1 && Number(match[2]) <= 65535
    },
    { error: 'must be host:port' },
  )

/** Users, passwords and settings have keys of their own: an address is printed in logs. */
const url = () =>
  z.string().superRefine((value, context) => {
    const refuse = (message: string) => context.addIssue({ code: 'custom', message })
    if (!URL.canParse(value)) return refuse('must be a URL such as http://127.0.0.1:8123')
    const { protocol, username, password, search, hash } = new URL(value)
    if (protocol !== 'http:' && protocol !== 'https:') refuse('must begin with http:// or https://')
    else if (username !== '' || password !== '')
      refuse('must not hold user and password: they have keys of their own')
    else if (search !== '' || hash !== '') refuse('must not hold a query or fragment')
  })

/** Refuses a list in which two entries share a name; runs whatever else is wrong with the entries. */
const unique = <T extends z.ZodType<readonly unknown[]>>(
  list: T,
  label: string,
  nameOf: (entry: never) => unknown,
) => {
  const repeated = (entries: unknown): string[] => {
    const names = (Array.isArray(entries) ? entries : [])
      .filter((entry) => typeof entry === 'object' && entry !== null)
      .map((entry) => nameOf(entry as never))
      .filter((given) => typeof given === 'string')
    return [...new Set(names.filter((given, index) => names.indexOf(given) !== index))]
  }
  return list.refine((entries) => repeated(entries).length === 0, {
    error: (issue) => `must not repeat ${label}: ${repeated(issue.input).join(', ')}`,
    when: () => true,
  })
}

const CERTIFIED = 'must have cert and key together'

const certified = ({ cert, key }: { cert?: string; key?: Secret }): boolean =>
  (cert === undefined) === (key === undefined)

/** Certificates of a client over HTTPS: the authority of the server, and the client's own pair. */
const httpsTls = (surroundings: Surroundings) =>
  z
    .strictObject({
      ca: openText(surroundings).exactOptional(),
      cert: openText(surroundings).exactOptional(),
      key: secretText(surroundings).exactOptional(),
    })
    .refine(certified, { error: CERTIFIED })
    .exactOptional()

const schemaRegistry = (surroundings: Surroundings) =>
  z
    .strictObject({
      url: url(),
      username: text().exactOptional(),
      password: secretText(surroundings).exactOptional(),
      register: flag().default(true),
      tls: httpsTls(surroundings),
    })
    .refine(({ username, password }) => (username === undefined) === (password === undefined), {
      error: 'must have username and password together',
    })
    .exactOptional()

const kafka = (surroundings: Surroundings) => {
  const login = { username: text(), password: secretText(surroundings) }
  return z
    .strictObject({
      adapter: choice(['kafkajs', 'confluent', 'memory']).default('kafkajs'),
      brokers: z.array(address()).min(1).default(['127.0.0.1:9092']),
      clientId: name().default('millrace'),
      tls: z
        .strictObject({
          enabled: flag().default(true),
          ca: openText(surroundings).exactOptional(),
          cert: openText(surroundings).exactOptional(),
          key: secretText(surroundings).exactOptional(),
          rejectUnauthorized: flag().default(true),
        })
        .refine(certified, { error: CERTIFIED })
        .prefault({ enabled: false }),
      sasl: z
        .discriminatedUnion('mechanism', [
          z.strictObject({ mechanism: z.literal('plain'), ...login }),
          z.strictObject({ mechanism: z.literal('scram-sha-256'), ...login }),
          z.strictObject({ mechanism: z.literal('scram-sha-512'), ...login }),
          z.strictObject({ mechanism: z.literal('oauthbearer'), token: secretText(surroundings) }),
        ])
        .exactOptional(),
      patience: duration(0).default(30_000),
      sessionTimeout: duration(500, 1_800_000).default(10_000),
      transactionTimeout: duration(1_000, 900_000).default(10_000),
      revokeTimeout: duration(0, 900_000).default(5_000),
    })
    .prefault({})
}

const clickhouse = (surroundings: Surroundings) =>
  z
    .strictObject({
      url: url().exactOptional(),
      username: text().default('default'),
      password: secretText(surroundings).exactOptional(),
      database: z
        .string()
        .regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, { error: 'must be a plain identifier' })
        .default('millrace'),
      tls: httpsTls(surroundings),
      cluster: name().exactOptional(),
      dataDirectory: filePath(surroundings).prefault('.millrace/clickhouse'),
      patience: duration(0).default(30_000),
      requestTimeout: duration(100, 3_600_000).default(30_000),
      retentionDays: integer(1, 10_000).default(180),
    })
    .prefault({})

/** The schema in its surroundings (environment and folder, from which secrets and relative paths are resolved). */
export const configSchema = (surroundings: Surroundings) =>
  z.strictObject({
    app: name().default('millrace'),
    topics: z
      .strictObject({
        prefix: topicPrefix().default(''),
        partitions: integer(1, 10_000).default(4),
        replicationFactor: integer(1, 100).default(1),
        create: flag().default(false),
      })
      .prefault({}),
    kafka: kafka(surroundings),
    schemaRegistry: schemaRegistry(surroundings),
    clickhouse: clickhouse(surroundings),
    policies: unique(z.array(policySchema), 'a name', (policy: { name?: unknown }) => policy.name).default(
      [],
    ),
    join: z
      .strictObject({
        window: duration(1).default(30 * 60_000),
        grace: duration(0).default(60_000),
        defaultReward: number().default(0),
        idleTimeout: duration(1).default(10_000),
        maxFutureSkew: duration(0).default(5 * 60_000),
        rewards: choice(['first', 'last', 'sum']).default('first'),
        activation: choice(['immediate', 'deferred']).default('immediate'),
        dedupHorizon: duration(0).exactOptional(),
      })
      .transform(({ dedupHorizon, ...join }) => ({ ...join, dedupHorizon: dedupHorizon ?? 2 * join.window }))
      .prefault({}),
    record: z
      .strictObject({
        maxRows: integer(1, 1_000_000).default(50_000),
        maxWait: duration(1, 3_600_000).default(1_000),
      })
      .prefault({}),
    models: z.strictObject({ directory: filePath(surroundings).prefault('.millrace/models') }).prefault({}),
    tag: tagSchema,
    snapshots: z.strictObject({ every: integer(1, 2 ** 31).default(100_000) }).prefault({}),
    limits: z
      .strictObject({
        messageBytes: size(1_024, 2 ** 28).default(2 ** 20),
        arms: integer(1, 1_000_000).default(10_000),
      })
      .prefault({}),
    sources: unique(
      z.array(sourceSchema(surroundings)),
      'a topic with the same event',
      (source: { topic?: unknown; event?: unknown }) => `${source.topic} (${source.event})`,
    ).default([]),
    sinks: unique(
      z.array(sinkSchema(surroundings)),
      'a topic with the same event',
      (sink: { topic?: unknown; event?: unknown }) => `${sink.topic} (${sink.event})`,
    ).default([]),
    http: z
      .strictObject({
        host: text().default('127.0.0.1'),
        port: integer(0, 65_535).default(8080),
        token: secretText(surroundings).exactOptional(),
        bodyLimit: size(1_024, 2 ** 28).default(2 ** 20),
      })
      .prefault({}),
    serve: z
      .strictObject({
        queue: integer(1, 10_000_000).default(10_000),
        queueBytes: size(1_024, 2 ** 36).default(2 ** 26),
        linger: duration(0, 10_000).default(5),
        patience: duration(1, 3_600_000).default(5_000),
        defaultArms: z.record(z.string(), text()).default({}),
      })
      .prefault({}),
    log: z
      .strictObject({
        level: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
        pretty: flag().default(false),
      })
      .prefault({}),
    metrics: z.strictObject({ interval: duration(100, 3_600_000).default(10_000) }).prefault({}),
    shutdown: z.strictObject({ grace: duration(0, 3_600_000).default(10_000) }).prefault({}),
  })

/** The effective configuration: durations in milliseconds, sizes in bytes, absolute paths, secrets wrapped. */
export type Config = z.output<ReturnType<typeof configSchema>>
