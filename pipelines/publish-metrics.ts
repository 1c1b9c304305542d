/** Writes the process's own numbers to the topic `metrics` now and then, for `record` to keep: at least once, none of them waited for. */
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { KEYS } from '../schemas/catalogue.ts'
import type { Metric } from '../schemas/generated/events.ts'
import { type Runtime, topicOf } from './runtime.ts'

/** Runs until `stop` aborts. A failure to write is logged and costs that moment's numbers only. */
export const publishMetrics = async (runtime: Runtime, stop: AbortSignal): Promise<void> => {
  const { broker, codec, config, log, metrics, now } = runtime
  const process = { host: hostname(), process: String(globalThis.process.pid) }
  await codec.prepare(['metric'])
  const writer = await broker.writer()
  try {
    while (!stop.aborted) {
      await sleep(config.metrics.interval, undefined, { signal: stop }).catch(() => {})
      const at = now()
      const events = (await metrics.samples()).map(
        ({ name, value, labels }): Metric => ({ name, value, labels: { ...labels, ...process }, at }),
      )
      const records = events.map((event) => ({
        topic: topicOf(config, 'metric'),
        key: Buffer.from(KEYS.metric(event)),
        value: codec.encode('metric', event),
      }))
      await writer
        .send(records)
        .catch((error: unknown) => log.warn({ error }, 'metrics could not be written'))
    }
  } finally {
    await writer.close()
  }
}
