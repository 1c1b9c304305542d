/** Kafka and the codec, for the length of one command that needs nothing else. */

import { openBroker, openCodec, openRegistry } from '../process/open.ts'
import type { Runtime } from '../process/runtime.ts'
import type { Configuration } from './configuration.ts'

export type Connected = Pick<Runtime, 'broker' | 'codec' | 'config' | 'log' | 'now'>

/** @throws MillraceError KAFKA_UNAVAILABLE, and what `work` throws; everything is closed then too. */
export const connected = async <T>(
  { config, log }: Configuration,
  work: (surroundings: Connected) => Promise<T>,
): Promise<T> => {
  const registry = openRegistry(config)
  try {
    const broker = await openBroker(config, log)
    try {
      return await work({ broker, codec: openCodec(config, registry), config, log, now: Date.now })
    } finally {
      await broker.close()
    }
  } finally {
    registry?.close()
  }
}
