/**
 * `bench hop`: the decide pipeline on a real Kafka against a bare kafkajs transactional consume → produce of the same bytes. Both sides: 4
 * partitions, four transactional producers, the same requests in, as many bytes out, at most 1,000 records a transaction, and outcomes
 * read at the rate of the decisions (ours learns from them, theirs throws them away). Throughput is taken between the first and the last
 * commit; latency at 1,000 requests a second from the producer's send to a read_committed receipt.
 */
import { type Consumer, Kafka, logLevel, type Producer } from 'kafkajs'
import { createCodec } from '../infra/avro/codec.ts'
import { loadConfig } from '../infra/config/load.ts'
import type { Config } from '../infra/config/schema.ts'
import { createKafkajsBroker } from '../infra/kafka/kafkajs/broker.ts'
import { QUICK_RETRY } from '../infra/kafka/kafkajs/client.ts'
import { KAFKA_VERSION, startLocalKafka } from '../infra/kafka/local.ts'
import type { Broker } from '../infra/kafka/port.ts'
import { createLog } from '../infra/telemetry/log.ts'
import { ensureTopics } from '../pipelines/checks/topics.ts'
import { decide } from '../pipelines/decide.ts'
import { openRuntime } from '../pipelines/process/open.ts'
import { topicOf } from '../pipelines/process/runtime.ts'
import { runPipelines } from '../pipelines/run.ts'
import { applyDefinitions } from '../pipelines/states/policies.ts'
import { Load } from './load/child.ts'
import { DIMENSION, decisionAt, outcomeAt, requestAt } from './load/events.ts'
import type { Answer, Outgoing } from './load/hop.ts'
import { alternate, median, medianRatio, percentile, Throughput } from './measure.ts'
import type { BenchReport } from './report.ts'

const PARTITIONS = 4
const BATCH = 1_000
const EVENTS = Number(process.env['HOP_EVENTS'] ?? 60_000)
const ROUNDS = Number(process.env['HOP_ROUNDS'] ?? 5)
/** Event time of the first request. */
const START = 1_700_000_000_000
const PACE = { perSecond: 1_000, warmUpMs: 2_000, ms: 4_000 }

interface Sample {
  readonly eventsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const QUANTITIES = ['eventsPerSecond', 'p50Ms', 'p99Ms'] as const satisfies readonly (keyof Sample)[]

export const run = async (): Promise<BenchReport> => {
  const kafka = await startLocalKafka()
  const load = new Load()
  try {
    await load.ask({ kind: 'connect', bootstrap: kafka.bootstrap })
    const bench = new Hop(kafka.bootstrap, load)
    let round = 0
    const pairs = await alternate<Sample>(
      () => bench.ours(round++),
      () => bench.theirs(round++),
      ROUNDS,
    )
    const of = (side: 'ours' | 'theirs', quantity: keyof Sample) =>
      pairs[side].map((sample) => sample[quantity])
    const rows = (['ours', 'theirs'] as const).map((side) => ({
      side: side === 'ours' ? 'millrace decide' : 'bare kafkajs',
      ...Object.fromEntries(QUANTITIES.map((quantity) => [quantity, median(of(side, quantity))])),
      threads: 1,
      versions: `kafkajs 2.2.4, Kafka ${KAFKA_VERSION}, Node ${process.version}`,
    }))
    const ratio = (quantity: keyof Sample) =>
      medianRatio({ ours: of('ours', quantity), theirs: of('theirs', quantity) })
    return {
      bench: 'hop',
      rows,
      ratios: Object.fromEntries(QUANTITIES.map((quantity) => [`hop.${quantity}.kafkajs`, ratio(quantity)])),
      missing: [],
    }
  } finally {
    load.end()
    await kafka.stop()
  }
}

class Hop {
  private readonly bootstrap: string
  private readonly load: Load
  private readonly codec = createCodec()
  private readonly requests: Outgoing[]
  private readonly outcomes: Outgoing[]
  private readonly answer: Buffer

  constructor(bootstrap: string, load: Load) {
    this.bootstrap = bootstrap
    this.load = load
    const messages = (make: (i: number) => { key: string; value: Buffer }) =>
      Array.from({ length: EVENTS }, (_, i) => {
        const { key, value } = make(i)
        return { key, value: value.toString('base64') }
      })
    this.requests = messages((i) => ({
      key: `request-${i}`,
      value: this.codec.encode('decision-request', requestAt(i, START)),
    }))
    this.outcomes = messages((i) => ({ key: 'p', value: this.codec.encode('outcome', outcomeAt(i, START)) }))
    this.answer = this.codec.encode('decision', decisionAt(EVENTS - 1, START))
  }

  async ours(round: number): Promise<Sample> {
    return { eventsPerSecond: await this.oursThroughput(round), ...(await this.oursLatency(round)) }
  }

  private oursThroughput(round: number): Promise<number> {
    return this.decideOn(`ours-${round}-`, async (config, broker, progress) => {
      await this.fill(broker, topicOf(config, 'decision-request'))
      await this.load.ask({
        kind: 'load',
        as: 'outcomes',
        topic: topicOf(config, 'outcome'),
        messages: this.outcomes,
      })
      return progress.until(EVENTS, (count) => this.load.tell({ kind: 'release', count }))
    })
  }

  private async oursLatency(round: number) {
    const answer = await this.decideOn(`ours-paced-${round}-`, async (config, _broker, progress) => {
      await this.load.ask({
        kind: 'load',
        as: 'outcomes',
        topic: topicOf(config, 'outcome'),
        messages: this.outcomes,
      })
      await this.load.ask({
        kind: 'load',
        as: 'requests',
        topic: topicOf(config, 'decision-request'),
        messages: this.requests,
      })
      progress.start()
      return this.load.ask({ kind: 'pace', answers: topicOf(config, 'decision'), ...PACE })
    })
    return percentiles(answer)
  }

  async theirs(round: number): Promise<Sample> {
    return { eventsPerSecond: await this.theirsThroughput(round), ...(await this.theirsLatency(round)) }
  }

  private theirsThroughput(round: number): Promise<number> {
    return this.copyOn(`theirs-${round}-`, async (broker, topics, progress) => {
      await this.fill(broker, topics.requests)
      await this.load.ask({ kind: 'load', as: 'outcomes', topic: topics.outcomes, messages: this.outcomes })
      return progress.until(EVENTS, (count) => this.load.tell({ kind: 'release', count }))
    })
  }

  private async theirsLatency(round: number) {
    const answer = await this.copyOn(`theirs-paced-${round}-`, async (_broker, topics, progress) => {
      await this.load.ask({ kind: 'load', as: 'outcomes', topic: topics.outcomes, messages: this.outcomes })
      await this.load.ask({ kind: 'load', as: 'requests', topic: topics.requests, messages: this.requests })
      progress.start()
      return this.load.ask({ kind: 'pace', answers: topics.answers, ...PACE })
    })
    return percentiles(answer)
  }

  private async fill(broker: Broker, topic: string): Promise<void> {
    const writer = await broker.writer()
    for (let i = 0; i < EVENTS; i += BATCH) {
      await writer.send(
        this.requests
          .slice(i, i + BATCH)
          .map(({ key, value }) => ({ topic, key: Buffer.from(key), value: Buffer.from(value, 'base64') })),
      )
    }
    await writer.close()
  }

  /** Runs the decide pipeline around `work`. */
  private async decideOn<T>(
    prefix: string,
    work: (config: Config, broker: Broker, progress: Throughput) => Promise<T>,
  ): Promise<T> {
    const config = loadConfig({
      env: {},
      overrides: {
        app: prefix,
        'topics.prefix': prefix,
        'log.level': 'error',
        policies: [
          {
            name: 'p',
            algorithm: { kind: 'linUcb', variant: 'disjoint' },
            features: { dense: DIMENSION, bias: false },
          },
        ],
      },
    })
    const broker = await createKafkajsBroker({ brokers: [this.bootstrap] })
    const runtime = await openRuntime(config, { log: createLog(config.log), broker })
    await ensureTopics(runtime, true)
    await applyDefinitions(runtime)
    const stop = new AbortController()
    const progress = new Throughput()
    let running: Promise<void> = Promise.resolve()
    try {
      return await work(
        config,
        broker,
        progress.startingWith(() => {
          running = runPipelines(runtime, [decide], stop.signal, ({ sent }) =>
            progress.add(sent['decision'] ?? 0),
          )
        }),
      )
    } finally {
      stop.abort()
      await running
      await runtime.close()
    }
  }

  /** Runs the bare hop around `work`. */
  private async copyOn<T>(
    prefix: string,
    work: (
      broker: Broker,
      topics: { requests: string; answers: string; outcomes: string },
      progress: Throughput,
    ) => Promise<T>,
  ): Promise<T> {
    const topics = { requests: `${prefix}in`, answers: `${prefix}out`, outcomes: `${prefix}outcomes` }
    const broker = await createKafkajsBroker({ brokers: [this.bootstrap] })
    await broker.admin.create(Object.values(topics).map((topic) => ({ topic, partitions: PARTITIONS })))
    const kafka = new Kafka({ brokers: [this.bootstrap], logLevel: logLevel.NOTHING, retry: QUICK_RETRY })
    const clients: (Producer | Consumer)[] = []
    const progress = new Throughput()
    const start = async () => {
      const reader = kafka.consumer({ groupId: `${prefix}outcomes`, maxWaitTimeInMs: 100 })
      clients.push(reader)
      await reader.connect()
      await reader.subscribe({ topic: topics.outcomes, fromBeginning: true })
      await reader.run({ autoCommit: false, eachBatch: async () => {} })
      const producers = await Promise.all(
        Array.from({ length: PARTITIONS }, async (_, partition) => {
          const producer = kafka.producer({
            transactionalId: `${prefix}${partition}`,
            idempotent: true,
            maxInFlightRequests: 1,
          })
          clients.push(producer)
          await producer.connect()
          return producer
        }),
      )
      const groupId = `${prefix}copy`
      const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 })
      clients.push(consumer)
      await consumer.connect()
      await consumer.subscribe({ topic: topics.requests, fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        partitionsConsumedConcurrently: PARTITIONS,
        eachBatch: async ({ batch: { messages, topic, partition }, resolveOffset, heartbeat }) => {
          for (let i = 0; i < messages.length; i += BATCH) {
            const part = messages.slice(i, i + BATCH)
            const offset = String(Number(part.at(-1)!.offset) + 1)
            const transaction = await producers[partition]!.transaction()
            await transaction.send({
              topic: topics.answers,
              messages: part.map(({ key }) => ({ key, value: this.answer })),
            })
            await transaction.sendOffsets({
              consumerGroupId: groupId,
              topics: [{ topic, partitions: [{ partition, offset }] }],
            })
            await transaction.commit()
            resolveOffset(part.at(-1)!.offset)
            progress.add(part.length)
            await heartbeat()
          }
        },
      })
    }
    let starting: Promise<void> = Promise.resolve()
    try {
      return await work(
        broker,
        topics,
        progress.startingWith(() => {
          starting = start()
        }),
      )
    } finally {
      await starting
      await Promise.all(clients.reverse().map((client) => client.disconnect()))
      await broker.close()
    }
  }
}

const percentiles = (answer: Answer): { p50Ms: number; p99Ms: number } => {
  if (answer.kind !== 'latencies' || answer.ms.length < 0.9 * PACE.perSecond * (PACE.ms / 1_000)) {
    throw new Error(`only ${answer.kind === 'latencies' ? answer.ms.length : 0} answers came back`)
  }
  return { p50Ms: percentile(answer.ms, 0.5), p99Ms: percentile(answer.ms, 0.99) }
}
