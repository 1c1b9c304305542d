/** The Kafka of the demo: in memory, a local one started for it, or a running cluster. */
import { startLocalKafka } from '../../infra/kafka/local.ts'
import type { DemoBroker } from './configuration.ts'

/** @throws MillraceError JAVA_MISSING, KAFKA_UNAVAILABLE */
export const kafkaAt = async (
  where: string | undefined,
  say: (line: string) => void,
): Promise<DemoBroker & { stop(): Promise<void> }> => {
  if (where === undefined) return { adapter: 'memory', brokers: [], prefix: '', stop: async () => {} }
  // A cluster may hold an earlier run: each has topics of its own.
  const prefix = `demo-${Date.now().toString(36)}-`
  if (where !== 'local')
    return { adapter: 'kafkajs', brokers: where.split(','), prefix, stop: async () => {} }
  const local = await startLocalKafka({ onProgress: say })
  return { adapter: 'kafkajs', brokers: [local.bootstrap], prefix, stop: () => local.stop() }
}
