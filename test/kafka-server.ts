/**
 * The real Kafka of the tests: a local one for each vitest worker, or the one that MILLRACE_TEST_BROKER names (`host:port`, or
 * `testcontainers` where there is Docker). Where none can be had the tests are skipped, loudly; with MILLRACE_REQUIRE_SERVERS=1 they
 * fail.
 */
import { localKafkaAvailable, startLocalKafka } from '../infra/kafka/local.ts'

export interface KafkaServer {
  readonly bootstrap: string
  stop(): Promise<void>
}

const required = process.env['MILLRACE_REQUIRE_SERVERS'] === '1'
const chosen = process.env['MILLRACE_TEST_BROKER'] ?? ''

/** Why there is no Kafka to test against, or '' where there is one. For `describe.skipIf(kafkaMissing)`. */
export const kafkaMissing: string = await (async () => {
  if (chosen !== '') return ''
  const available = await localKafkaAvailable()
  if (available.ok) return ''
  const reason = `${available.missing} not found: install Java 17 or later and Maven, or set MILLRACE_TEST_BROKER=host:port`
  if (required) throw new Error(`MILLRACE_REQUIRE_SERVERS=1, but ${reason}`)
  console.warn(`SKIPPED: tests against a real Kafka. ${reason}`)
  return reason
})()

const fromContainer = async (): Promise<KafkaServer> => {
  const { KafkaContainer } = await import('@testcontainers/kafka')
  const container = await new KafkaContainer('confluentinc/cp-kafka:7.9.0')
    .withKraft()
    .withEnvironment({ KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false', KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS: '500' })
    .start()
  return {
    bootstrap: `${container.getHost()}:${container.getMappedPort(9093)}`,
    stop: async () => {
      await container.stop()
    },
  }
}

let server: Promise<KafkaServer> | undefined
let users = 0

/** The worker's Kafka, started by the first who asks. Pair with `releaseKafka`. */
export const acquireKafka = (): Promise<KafkaServer> => {
  users++
  server ??=
    chosen === 'testcontainers'
      ? fromContainer()
      : chosen !== ''
        ? Promise.resolve({ bootstrap: chosen, stop: async () => {} })
        : startLocalKafka()
  return server
}

/** Stops the worker's Kafka when nobody uses it any more. */
export const releaseKafka = async (): Promise<void> => {
  if (--users > 0 || !server) return
  const stopping = server
  server = undefined
  await (await stopping).stop()
}
