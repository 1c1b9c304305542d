/** A cluster in memory with millrace's topics and the surroundings that commands work on. */
import { createCodec } from '../../../infra/avro/codec.ts'
import { loadConfig } from '../../../infra/config/load.ts'
import type { Config } from '../../../infra/config/schema.ts'
import { createMemoryBroker, MemoryCluster } from '../../../infra/kafka/memory.ts'
import type { ConsumedRecord, OutputRecord } from '../../../infra/kafka/port.ts'
import { deadLetter, type Refusal } from '../../../operators/streams/dead-letter.ts'

export const policy = (alpha: number, lambda = 1) => ({
  name: 'homepage',
  algorithm: { kind: 'linUcb', alpha, lambda },
  features: { dense: 4 },
})

export const configOf = (overrides: Readonly<Record<string, unknown>> = {}): Config =>
  loadConfig({ env: {}, overrides: { 'kafka.adapter': 'memory', ...overrides } })

export const surroundings = (overrides: Readonly<Record<string, unknown>> = {}) => {
  const cluster = new MemoryCluster()
  const broker = createMemoryBroker({ cluster })
  const config = configOf(overrides)
  return { cluster, broker, config, codec: createCodec(), now: () => 1_700_000_000_000 }
}

export type Surroundings = ReturnType<typeof surroundings>

export const REFUSAL: Refusal = { stage: 'decode', code: 'MALFORMED_AVRO', message: 'no framing' }

/** Writes records and gives them back with their offsets. */
export const send = async ({ broker }: Surroundings, ...records: OutputRecord[]): Promise<void> => {
  const writer = await broker.writer()
  await writer.send(records)
  await writer.close()
}

/** Everything in a topic now. */
export const recordsOf = async (
  { broker }: Surroundings,
  topic: string,
): Promise<(ConsumedRecord & { partition: number })[]> => {
  const offsets = await broker.admin.offsets(topic)
  const found: (ConsumedRecord & { partition: number })[] = []
  await broker.read(
    { topic, to: new Map(offsets.map(({ partition, latest }) => [partition, latest])) },
    ({ partition, records }) => void found.push(...records.map((record) => ({ ...record, partition }))),
  )
  return found
}

/** Writes the dead letter of a record as pipelines do. */
export const refuse = async (
  here: Surroundings,
  topic: string,
  record: Pick<ConsumedRecord, 'key' | 'value' | 'offset'> & { partition: number },
  refusal: Refusal = REFUSAL,
): Promise<void> => {
  const { partition, offset, key, value } = record
  const letter = deadLetter({ topic, partition, offset, key, value }, refusal, '', here.now())
  await send(here, {
    topic: 'dead-letters',
    key: Buffer.from(topic),
    value: here.codec.encode('dead-letter', letter),
  })
}
