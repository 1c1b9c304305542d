/**
 * From the configuration to what the adapters take. The one place where secrets are revealed.
 */
import type { RegistryOptions } from '../avro/registry.ts'
import type { ClickHouseOptions } from '../clickhouse/connect.ts'
import type { KafkaConnectionOptions, KafkaSasl } from '../kafka/connection.ts'
import type { Config } from './schema.ts'
import type { Secret } from './secret.ts'

/** How to reach Kafka. A token is revealed at each login: one in a file may be rotated. */
export const kafkaConnection = ({ kafka }: Config): KafkaConnectionOptions => {
  const { brokers, clientId, tls, sasl, patience } = kafka
  const { enabled, ...certificates } = tls
  return {
    brokers,
    clientId,
    patienceMs: patience,
    ...(enabled ? { ssl: revealed(certificates) } : {}),
    ...(sasl === undefined ? {} : { sasl: saslOf(sasl) }),
  }
}

const saslOf = (sasl: NonNullable<Config['kafka']['sasl']>): KafkaSasl =>
  sasl.mechanism === 'oauthbearer'
    ? { mechanism: sasl.mechanism, token: async () => sasl.token.reveal() }
    : { mechanism: sasl.mechanism, username: sasl.username, password: sasl.password.reveal() }

/** How to reach the ClickHouse of `clickhouse.url`; undefined where none is set and the embedded one is meant. */
export const clickhouseConnection = ({ clickhouse }: Config): ClickHouseOptions | undefined => {
  const { url, username, password, database, tls, cluster, patience, requestTimeout } = clickhouse
  if (url === undefined) return undefined
  return {
    url,
    username,
    database,
    patienceMs: patience,
    requestTimeoutMs: requestTimeout,
    ...(password === undefined ? {} : { password: password.reveal() }),
    ...(tls === undefined ? {} : { tls: revealed(tls) }),
    ...(cluster === undefined ? {} : { cluster }),
  }
}

/** How to reach the schema registry; undefined where none is configured. */
export const registryConnection = ({ schemaRegistry }: Config): RegistryOptions | undefined => {
  if (schemaRegistry === undefined) return undefined
  const { url, username, password, register, tls } = schemaRegistry
  return {
    url,
    register,
    ...(username === undefined || password === undefined
      ? {}
      : { auth: { username, password: password.reveal() } }),
    ...(tls === undefined ? {} : { tls: revealed(tls) }),
  }
}

const revealed = <T extends { readonly key?: Secret }>({ key, ...rest }: T) => ({
  ...rest,
  ...(key === undefined ? {} : { key: key.reveal() }),
})
