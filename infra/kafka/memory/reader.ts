/** Following partitions of the in-memory broker without a committed position: see `Broker.read`. */
import { setImmediate as turn } from 'node:timers/promises'
import { MillraceError } from '../../../schemas/errors.ts'
import type { Batch, ReadOptions } from '../port.ts'
import type { MemoryCluster } from './cluster.ts'

const DEFAULT_BATCH_RECORDS = 1000

/**
 * Reads until `to` is reached or `signal` aborts, one batch a turn of the event loop.
 * @throws MillraceError MISSING_TOPIC, OFFSET_OUT_OF_RANGE
 */
export const readPartitions = async (
  cluster: MemoryCluster,
  { topic: name, from, to, maxBatchRecords = DEFAULT_BATCH_RECORDS }: ReadOptions,
  each: (batch: Batch) => Promise<void> | void,
  signal: AbortSignal,
): Promise<void> => {
  const topic = cluster.topic(name)
  const inputs = [...(from?.keys() ?? topic.partitions.keys())].map((partition) => {
    const log = topic.log(partition)
    return { partition, log, next: from?.get(partition) ?? log.earliest, to: to?.get(partition) }
  })
  const reader = {}
  let wake = (): void => undefined
  const onWake = (): void => wake()
  const unwatch = inputs.map(({ log }) => log.watch(onWake))
  signal.addEventListener('abort', onWake)
  const reached = (): boolean =>
    to !== undefined && inputs.every((input) => input.to === undefined || input.next >= input.to)
  try {
    for (const { log, next } of inputs) log.hold(reader, next, false)
    while (!signal.aborted && !reached()) {
      // Made before looking, so that nothing written meanwhile is missed.
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      let found = false
      for (const input of inputs) {
        if (signal.aborted) return
        const { log, partition, next } = input
        if (next < log.earliest || next > log.end)
          throw new MillraceError(
            'OFFSET_OUT_OF_RANGE',
            `offset ${next} of ${name}/${partition} is outside [${log.earliest}, ${log.end}]`,
          )
        if (input.to !== undefined && next >= input.to) continue
        const { records, nextOffset } = log.read(next, maxBatchRecords, input.to)
        if (nextOffset === next) continue
        found = true
        if (records.length > 0) {
          const highWatermark = log.stable
          await each({ topic: name, partition, records, nextOffset, highWatermark })
          await turn()
        }
        input.next = nextOffset
        log.hold(reader, nextOffset, false)
      }
      if (!found && !signal.aborted) await woken
    }
  } finally {
    for (const stop of unwatch) stop()
    signal.removeEventListener('abort', onWake)
    for (const { log } of inputs) log.unhold(reader)
  }
}
