/**
 * The properties of a small Kafka that starts fast: every node is broker and controller, internal topics have one partition, the
 * first rebalance is not delayed. Clients use one listener, secured on request; the cluster talks to itself over plain loopback
 * listeners. Three nodes keep three replicas of everything, and writing takes two of them.
 */

export interface LocalSecurity {
  /** TLS: a PKCS#12 key store with the broker's certificate for 127.0.0.1. */
  readonly tls?: { readonly keyStore: string; readonly password: string }
  /** SASL: mechanisms offered, and who may come in. SCRAM users are stored when the log is formatted. */
  readonly sasl?: {
    readonly mechanisms: readonly ('PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER')[]
    readonly users: Readonly<Record<string, string>>
  }
}

/** One node's place in its cluster; ids count from 1. */
export interface LocalPlace {
  readonly id: number
  readonly client: number
  /** The port that clients are told: that of a proxy, or `client` itself. */
  readonly advertised: number
  readonly internal: number
  readonly controller: number
}

const PLAIN_MODULE = 'org.apache.kafka.common.security.plain.PlainLoginModule'
const SCRAM_MODULE = 'org.apache.kafka.common.security.scram.ScramLoginModule'
const OAUTH_MODULE = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule'
const OAUTH_UNSECURED =
  'org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler'

const securityProtocol = ({ tls, sasl }: LocalSecurity) =>
  sasl ? (tls ? 'SASL_SSL' : 'SASL_PLAINTEXT') : tls ? 'SSL' : 'PLAINTEXT'

const securityProperties = ({ tls, sasl }: LocalSecurity): Record<string, string> => {
  const properties: Record<string, string> = {}
  if (tls) {
    properties['listener.name.client.ssl.keystore.type'] = 'PKCS12'
    properties['listener.name.client.ssl.keystore.location'] = tls.keyStore
    properties['listener.name.client.ssl.keystore.password'] = tls.password
    properties['listener.name.client.ssl.key.password'] = tls.password
  }
  if (sasl) {
    properties['listener.name.client.sasl.enabled.mechanisms'] = sasl.mechanisms.join(',')
    for (const mechanism of sasl.mechanisms) {
      const prefix = `listener.name.client.${mechanism.toLowerCase()}`
      const users = Object.entries(sasl.users).map(([name, password]) => `user_${name}="${password}"`)
      properties[`${prefix}.sasl.jaas.config`] =
        mechanism === 'PLAIN'
          ? `${PLAIN_MODULE} required ${users.join(' ')};`
          : mechanism === 'OAUTHBEARER'
            ? `${OAUTH_MODULE} required unsecuredLoginStringClaim_sub="broker";`
            : `${SCRAM_MODULE} required;`
      if (mechanism === 'OAUTHBEARER')
        properties[`${prefix}.sasl.server.callback.handler.class`] = OAUTH_UNSECURED
    }
  }
  return properties
}

/** The text of one node's server.properties; `cluster` holds all places, its own among them. */
export const serverProperties = (
  place: LocalPlace,
  cluster: readonly LocalPlace[],
  logFolder: string,
  security: LocalSecurity,
  overrides: Readonly<Record<string, string>>,
): string => {
  const { id, client, advertised, internal, controller } = place
  const at = (port: number) => `127.0.0.1:${port}`
  const replicas = String(cluster.length)
  const majority = String((cluster.length + 1) / 2)
  const properties: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': String(id),
    'controller.quorum.voters': cluster.map((each) => `${each.id}@${at(each.controller)}`).join(','),
    listeners: `CLIENT://${at(client)},INTERNAL://${at(internal)},CONTROLLER://${at(controller)}`,
    'advertised.listeners': `CLIENT://${at(advertised)},INTERNAL://${at(internal)}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'INTERNAL',
    'listener.security.protocol.map': `CLIENT:${securityProtocol(security)},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    'log.dirs': logFolder,
    'num.partitions': '1',
    'auto.create.topics.enable': 'false',
    'default.replication.factor': replicas,
    'offsets.topic.num.partitions': '1',
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': majority,
    'min.insync.replicas': majority,
    'broker.session.timeout.ms': '6000',
    'broker.heartbeat.interval.ms': '1000',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '500',
    'num.network.threads': '2',
    'num.io.threads': '2',
    'background.threads': '2',
    'log.cleaner.dedupe.buffer.size': '4194304',
    'log.cleaner.io.buffer.size': '131072',
    ...securityProperties(security),
    ...overrides,
  }
  // A backslash begins an escape in a properties file.
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${value.replaceAll('\\', '\\\\')}`)
  return `${lines.join('\n')}\n`
}

/** Arguments of the format command that store SCRAM users. */
export const scramArguments = ({ sasl }: LocalSecurity): string[] =>
  (sasl?.mechanisms ?? [])
    .filter((mechanism) => mechanism.startsWith('SCRAM'))
    .flatMap((mechanism) =>
      Object.entries(sasl!.users).flatMap(([name, password]) => [
        '--add-scram',
        `${mechanism}=[name=${name},password=${password}]`,
      ]),
    )
