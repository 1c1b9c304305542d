/** Follows partitions with no group and no commit: a fetcher of its own, from given offsets to given ends. */
import { MillraceError } from '../../../schemas/errors.ts'
import type { Batch, ReadOptions } from '../port.ts'
import { type Driver, type FetcherInput, outOfRange } from './driver.ts'

/** Behaves as `Broker.read`. */
export const readPartitions = async (
  driver: Driver,
  { topic, from, to, maxBatchRecords = 1000 }: ReadOptions,
  each: (batch: Batch) => Promise<void> | void,
  signal?: AbortSignal,
): Promise<void> => {
  const offsets = await driver.admin.offsets(topic)
  const earliest = new Map(offsets.map((partition) => [partition.partition, partition.earliest]))
  const inputs: FetcherInput[] = []
  for (const [partition, offset] of from ?? earliest) {
    const first = earliest.get(partition)
    if (first === undefined)
      throw new MillraceError(
        'MISSING_TOPIC',
        `Kafka at ${driver.address} has no partition ${topic}/${partition}`,
      )
    const end = to?.get(partition)
    // Partitions without an end of their own have none to wait for where others do.
    if (to && end === undefined) continue
    if (end !== undefined && offset >= end) continue
    if (offset < first) throw outOfRange(topic, partition, offset)
    inputs.push({ topic, partition, offset, ...(end === undefined ? {} : { to: end }) })
  }
  if (inputs.length === 0 || signal?.aborted) return
  const fetcher = await driver.fetcher({ inputs, maxBatchRecords })
  const stop = () => void fetcher.close()
  signal?.addEventListener('abort', stop)
  try {
    for (;;) {
      const batch = await fetcher.next()
      if (!batch || signal?.aborted) return
      await each(batch)
    }
  } finally {
    signal?.removeEventListener('abort', stop)
    await fetcher.close()
  }
}
