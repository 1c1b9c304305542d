/**
 * The servers under the rows, begun at first use and kept for all of them: a Kafka with the proxy that its clients are told, and a
 * ClickHouse with one. They end with the process, however that does. A row that needs three brokers starts its own.
 *
 * Dead transactions are looked for every 10 s, Kafka's default, and not sooner: a coordinator that has just started and aborts one while the
 * partition has no leader yet takes the partition for deleted, ends the transaction with no marker there (Kafka 4.4,
 * TransactionMarkerChannelManager), and the next commit of that id makes the aborted records visible.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { type EmbeddedClickHouse, startEmbeddedClickHouse } from '../../infra/clickhouse/embedded.ts'
import { type LocalKafka, startLocalKafka } from '../../infra/kafka/local.ts'
import { ClickHouseProxy } from './clickhouse-proxy.ts'
import { KafkaProxy } from './proxy.ts'
import { FOLDER } from './settings.ts'

export interface KafkaCluster {
  readonly local: LocalKafka
  readonly proxy: KafkaProxy
  /** A client past the proxy, which faults do not touch and broker failures do not discourage. */
  client(): Kafka
}

export interface ClickHouseServer {
  readonly server: EmbeddedClickHouse
  readonly proxy: ClickHouseProxy
}

export const startKafka = async (
  name: string,
  brokers: 1 | 3,
  settings: Readonly<Record<string, string>> = {},
): Promise<KafkaCluster> => {
  const proxy = new KafkaProxy()
  const dataDir = join(FOLDER, name)
  mkdirSync(dataDir, { recursive: true })
  const local = await startLocalKafka({
    brokers,
    dataDir,
    settings,
    advertise: (port) => proxy.line(port),
  })
  return { local, proxy, client: () => clientOf(local.internal) }
}

const clientOf = (brokers: string): Kafka =>
  new Kafka({
    brokers: brokers.split(','),
    clientId: 'faults',
    logLevel: logLevel.NOTHING,
    connectionTimeout: 2_000,
    retry: { initialRetryTime: 50, maxRetryTime: 250, retries: 1_000 },
  })

let kafka: Promise<KafkaCluster> | undefined
let clickhouse: Promise<ClickHouseServer> | undefined

/** The Kafka of one broker that the rows of this process share. */
export const sharedKafka = (): Promise<KafkaCluster> => {
  kafka ??= startKafka(`kafka-${process.pid}`, 1)
  return kafka
}

/** The ClickHouse that the rows of this process share; each has a database of its own. */
export const sharedClickHouse = (): Promise<ClickHouseServer> => {
  clickhouse ??= (async () => {
    const server = await startEmbeddedClickHouse({ dataDir: join(FOLDER, `clickhouse-${process.pid}`) })
    return { server, proxy: await ClickHouseProxy.start(server.url) }
  })()
  return clickhouse
}
