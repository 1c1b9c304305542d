/** Writes the process's own numbers to the topic `metrics` now and then, for `record` to keep: at least once, none of them waited for. */
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { OutputRecord, Writer } from '../../infra/kafka/port.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import type { Metric } from '../../schemas/generated/events.ts'
import { unlessAborted } from './remote.ts'
import { type Runtime, topicOf } from './runtime.ts'

/** How long the end waits for the last numbers. */
const LAST_MS = 1_000

/**
 * Runs until `stop` aborts, and writes once more then. What cannot be written is logged and costs that moment's numbers only. The writer is closed
 * with its broker.
 */
export const publishMetrics = async (runtime: Runtime, stop: AbortSignal): Promise<void> => {
  const { broker, codec, config, log } = runtime
  const late = new AbortController()
  const end = () => setTimeout(() => late.abort(), LAST_MS).unref()
  stop.addEventListener('abort', end, { once: true })
  let writer: Promise<Writer> | null = null
  const publish = async () => {
    await codec.prepare(['metric'])
    writer ??= broker.writer().catch((error: unknown) => {
      writer = null
      throw error
    })
    await (await writer).send(await numbers(runtime))
  }
  while (!stop.aborted) {
    await sleep(config.metrics.interval, undefined, { signal: stop }).catch(() => {})
    const published = publish().catch((error: unknown) => log.warn({ error }, 'metrics could not be written'))
    await unlessAborted(published, late.signal).catch(() => {})
  }
}

const numbers = async ({ codec, config, metrics, now }: Runtime): Promise<OutputRecord[]> => {
  const at = now()
  const topic = topicOf(config, 'metric')
  const process = { host: hostname(), process: String(globalThis.process.pid) }
  return (await metrics.samples()).map(({ name, value, labels }) => {
    const event: Metric = { name, value, labels: { ...labels, ...process }, at }
    return { topic, key: Buffer.from(KEYS.metric(event)), value: codec.encode('metric', event) }
  })
}
