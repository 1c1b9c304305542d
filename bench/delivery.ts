/**
 * `bench delivery`: what exactly once costs. The decide pipeline on a real Kafka, twice over the same requests: as it is, each batch one
 * transaction of decisions and positions; and at least once, the same code with the decisions sent plainly (idempotent, acks from all
 * replicas) and the positions committed beside them, in the background, as consumers with automatic commits do.
 */
import { Kafka, type Admin as KafkajsAdmin, logLevel } from 'kafkajs'
import { map } from 'rxjs'
import { createCodec } from '../infra/avro/codec.ts'
import { loadConfig } from '../infra/config/load.ts'
import { createKafkajsBroker } from '../infra/kafka/kafkajs/broker.ts'
import { KAFKA_VERSION, startLocalKafka } from '../infra/kafka/local.ts'
import type { Broker, Task, TaskCommit } from '../infra/kafka/port.ts'
import { createLog } from '../infra/telemetry/log.ts'
import { ensureTopics } from '../pipelines/checks/topics.ts'
import { decide } from '../pipelines/decide.ts'
import { openRuntime } from '../pipelines/process/open.ts'
import { topicOf } from '../pipelines/process/runtime.ts'
import { runPipelines } from '../pipelines/run.ts'
import { applyDefinitions } from '../pipelines/states/policies.ts'
import { DIMENSION, requestAt } from './load/events.ts'
import { alternate, median, medianRatio, Throughput } from './measure.ts'
import type { BenchReport } from './report.ts'

const EVENTS = Number(process.env['DELIVERY_EVENTS'] ?? 60_000)
const ROUNDS = Number(process.env['DELIVERY_ROUNDS'] ?? 5)
const BATCH = 1_000
const START = 1_700_000_000_000
/** How often positions are committed in the background. */
const POSITIONS_EVERY_MS = 100

export const run = async (): Promise<BenchReport> => {
  const kafka = await startLocalKafka()
  const client = new Kafka({ brokers: [kafka.bootstrap], logLevel: logLevel.NOTHING })
  const admin = client.admin()
  await admin.connect()
  try {
    let round = 0
    const { ours, theirs } = await alternate(
      () => throughput(kafka.bootstrap, `exactly-${round++}`, (broker) => broker),
      () =>
        throughput(kafka.bootstrap, `at-least-${round++}`, (broker, app) => atLeastOnce(broker, admin, app)),
      ROUNDS,
    )
    const versions = `kafkajs 2.2.4, Kafka ${KAFKA_VERSION}, Node ${process.version}`
    return {
      bench: 'delivery',
      rows: [
        { side: 'exactly once', eventsPerSecond: median(ours), versions },
        { side: 'at least once', eventsPerSecond: median(theirs), versions },
      ],
      ratios: { 'delivery.cost.at-least-once': medianRatio({ ours: theirs, theirs: ours }) },
      missing: [],
    }
  } finally {
    await admin.disconnect()
    await kafka.stop()
  }
}

/** Decisions a second, between the first commit and the last. */
const throughput = async (
  bootstrap: string,
  app: string,
  around: (broker: Broker, app: string) => Broker,
): Promise<number> => {
  const config = loadConfig({
    env: {},
    overrides: {
      app,
      'topics.prefix': `${app}.`,
      'log.level': 'silent',
      policies: [{ name: 'p', algorithm: { kind: 'linUcb' }, features: { dense: DIMENSION } }],
    },
  })
  const broker = await createKafkajsBroker({ brokers: [bootstrap] })
  const runtime = await openRuntime(config, { log: createLog(config.log), broker: around(broker, app) })
  const stop = new AbortController()
  let running: Promise<void> = Promise.resolve()
  try {
    await ensureTopics(runtime, true)
    await applyDefinitions(runtime)
    await fill(broker, topicOf(config, 'decision-request'))
    const counting = new Throughput()
    counting.startingWith(() => {
      running = runPipelines(runtime, [decide], stop.signal, ({ sent }) =>
        counting.add(sent['decision'] ?? 0),
      )
    })
    return await counting.until(EVENTS, () => {})
  } finally {
    stop.abort()
    await running
    await runtime.close()
  }
}

const fill = async (broker: Broker, topic: string): Promise<void> => {
  const codec = createCodec()
  const writer = await broker.writer()
  const record = (i: number) => {
    const request = requestAt(i, START)
    return { topic, key: Buffer.from(request.requestId), value: codec.encode('decision-request', request) }
  }
  for (let at = 0; at < EVENTS; at += BATCH)
    await writer.send(Array.from({ length: Math.min(BATCH, EVENTS - at) }, (_, i) => record(at + i)))
  await writer.close()
}

/** The broker with commits that are no transactions; positions go to a group of their own, which has no members. */
const atLeastOnce = (broker: Broker, admin: KafkajsAdmin, app: string): Broker => {
  const writing = broker.writer()
  const plain = (task: Task): Task => {
    let position: { topic: string; offset: number } | undefined
    const timer = setInterval(() => {
      if (position === undefined) return
      const { topic, offset } = position
      position = undefined
      const partitions = [{ partition: task.partition, offset: String(offset) }]
      void admin.setOffsets({ groupId: `${app}-plain`, topic, partitions }).catch(() => {})
    }, POSITIONS_EVERY_MS)
    timer.unref()
    const send = async ({ outputs, positions }: TaskCommit): Promise<void> => {
      await (await writing).send(outputs)
      for (const [topic, { offset }] of positions) position = { topic, offset }
    }
    return {
      job: task.job,
      partition: task.partition,
      committed: task.committed,
      batches: task.batches,
      checkpoint: send,
      release: () => task.release(),
      commit: async (commit) => {
        await send(commit)
        task.release()
      },
    }
  }
  return {
    ...broker,
    kind: broker.kind,
    address: broker.address,
    admin: broker.admin,
    tasks: (options) => broker.tasks(options).pipe(map(plain)),
    read: (options, each, signal) => broker.read(options, each, signal),
    writer: () => broker.writer(),
    close: async () => {
      await (await writing).close()
      await broker.close()
    },
  }
}
