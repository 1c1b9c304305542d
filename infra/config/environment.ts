/**
 * Environment variables that stand in for keys of the file. They win over the file and lose to the command line. An empty variable
 * counts as unset. Other variables are ignored: schedulers inject ones of their own under a service's name.
 */
import { distance } from 'fastest-levenshtein'

interface Variable {
  /** The key it stands for, dotted. */
  readonly key: string
  /** Whether it is a list, separated by commas. */
  readonly list?: true
}

export const VARIABLES: Readonly<Record<string, Variable>> = {
  MILLRACE_APP: { key: 'app' },
  MILLRACE_TOPICS_PREFIX: { key: 'topics.prefix' },
  MILLRACE_KAFKA_ADAPTER: { key: 'kafka.adapter' },
  MILLRACE_KAFKA_BROKERS: { key: 'kafka.brokers', list: true },
  MILLRACE_KAFKA_CLIENT_ID: { key: 'kafka.clientId' },
  MILLRACE_KAFKA_TLS: { key: 'kafka.tls.enabled' },
  MILLRACE_KAFKA_SASL_MECHANISM: { key: 'kafka.sasl.mechanism' },
  MILLRACE_KAFKA_USERNAME: { key: 'kafka.sasl.username' },
  MILLRACE_KAFKA_PASSWORD: { key: 'kafka.sasl.password' },
  MILLRACE_KAFKA_TOKEN: { key: 'kafka.sasl.token' },
  MILLRACE_CLICKHOUSE_URL: { key: 'clickhouse.url' },
  MILLRACE_CLICKHOUSE_USERNAME: { key: 'clickhouse.username' },
  MILLRACE_CLICKHOUSE_PASSWORD: { key: 'clickhouse.password' },
  MILLRACE_CLICKHOUSE_DATABASE: { key: 'clickhouse.database' },
  MILLRACE_CLICKHOUSE_DATA_DIRECTORY: { key: 'clickhouse.dataDirectory' },
  SCHEMA_REGISTRY_URL: { key: 'schemaRegistry.url' },
  SCHEMA_REGISTRY_USERNAME: { key: 'schemaRegistry.username' },
  SCHEMA_REGISTRY_PASSWORD: { key: 'schemaRegistry.password' },
  MILLRACE_HTTP_HOST: { key: 'http.host' },
  MILLRACE_HTTP_PORT: { key: 'http.port' },
  MILLRACE_HTTP_TOKEN: { key: 'http.token' },
  MILLRACE_LOG_LEVEL: { key: 'log.level' },
  MILLRACE_LOG_PRETTY: { key: 'log.pretty' },
}

/** The keys that the environment sets: dotted key, value, and the variable it came from. */
export const fromEnvironment = (
  env: Readonly<Record<string, string | undefined>>,
): { key: string; value: unknown; variable: string }[] =>
  Object.entries(VARIABLES).flatMap(([variable, { key, list }]) => {
    const given = env[variable]
    if (given === undefined || given === '') return []
    const value = list === true ? given.split(',').map((part) => part.trim()) : given
    return [{ key, value, variable }]
  })

/** Variables that look like misspelt ones of the table, for a warning: `[given, meant]`. */
export const misspeltVariables = (
  env: Readonly<Record<string, string | undefined>>,
): readonly (readonly [string, string])[] =>
  Object.keys(env)
    .filter((given) => !(given in VARIABLES) && /^(MILLRACE|SCHEMA_REGISTRY)_/.test(given))
    .flatMap((given) => {
      const meant = Object.keys(VARIABLES).find((known) => distance(given, known) <= 2)
      return meant === undefined ? [] : [[given, meant] as const]
    })
