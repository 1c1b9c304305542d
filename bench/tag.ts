/**
 * `bench tag`: the pipelines of documents on a real Kafka, on glosses of WordNet (4 partitions, 5 labels a document). Throughput: `tag` end to end, between its first and its last
 * commit, against the bare predictor, which makes labels of the same texts in a loop of one thread. Latency, from the producer's send to a read_committed receipt at 300
 * documents a second: while `retrain` in the same process trains again and again, against `tag` alone.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '../infra/config/load.ts'
import { createKafkajsBroker } from '../infra/kafka/kafkajs/broker.ts'
import { KAFKA_VERSION, startLocalKafka } from '../infra/kafka/local.ts'
import { openModelStore } from '../infra/models/store.ts'
import { createLog } from '../infra/telemetry/log.ts'
import { Tagger } from '../operators/xmc/tag.ts'
import type { TagModel } from '../operators/xmc/tag-model.ts'
import { ensureTopics } from '../pipelines/checks/topics.ts'
import { loadGlosses } from '../pipelines/demo/glosses.ts'
import { type Opened, openRuntime } from '../pipelines/process/open.ts'
import { type Progress, topicOf } from '../pipelines/process/runtime.ts'
import { pipelinesNamed, runPipelines } from '../pipelines/run.ts'
import { modelRecord, readModel } from '../pipelines/tag/model-log.ts'
import { modelDirectory } from '../pipelines/tag/tag-config.ts'
import { loadXmc, saveXmc } from '../pipelines/xmc/model-folder.ts'
import type { Document } from '../schemas/generated/events.ts'
import { Load } from './load/child.ts'
import { alternate, median, medianRatio, percentile, Throughput } from './measure.ts'
import type { BenchReport } from './report.ts'

const TRAINING = Number(process.env['TAG_TRAINING'] ?? 30_000)
const EVENTS = Number(process.env['TAG_EVENTS'] ?? 20_000)
const ROUNDS = Number(process.env['TAG_ROUNDS'] ?? 3)
const PACE = { perSecond: 300, warmUpMs: 4_000, ms: 12_000 }
const BATCH = 1_000
const MODEL = 'glosses'
const TOP = 5

interface Latency {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly retrains: number
}

export const run = async (): Promise<BenchReport> => {
  const models = await mkdtemp(join(tmpdir(), 'millrace-bench-tag-'))
  const kafka = await startLocalKafka()
  const load = new Load()
  try {
    await load.ask({ kind: 'connect', bootstrap: kafka.bootstrap })
    const bench = new Tags(kafka.bootstrap, models, load, await glosses())
    await bench.train()
    let round = 0
    const speed = await alternate(
      () => bench.throughput(round++),
      () => bench.bare(),
      ROUNDS,
    )
    const latency = await alternate<Latency>(
      () => bench.latency(round++, true),
      () => bench.latency(round++, false),
      ROUNDS,
    )
    const versions = `kafkajs 2.2.4, Kafka ${KAFKA_VERSION}, Node ${process.version}`
    const of = (side: 'ours' | 'theirs', quantity: keyof Latency) =>
      latency[side].map((sample) => sample[quantity])
    const ratio = (quantity: keyof Latency) =>
      medianRatio({ ours: of('ours', quantity), theirs: of('theirs', quantity) })
    const rowOf = (side: 'ours' | 'theirs') => ({
      p50Ms: median(of(side, 'p50Ms')),
      p99Ms: median(of(side, 'p99Ms')),
      retrains: median(of(side, 'retrains')),
    })
    return {
      bench: 'tag',
      rows: [
        { side: 'millrace tag', documentsPerSecond: median(speed.ours), ...rowOf('theirs'), versions },
        { side: 'bare predictor', documentsPerSecond: median(speed.theirs) },
        { side: 'tag beside retrain', ...rowOf('ours') },
      ],
      ratios: {
        'tag.documentsPerSecond.predictor': medianRatio(speed),
        'tag.p50Ms.alone': ratio('p50Ms'),
        'tag.p99Ms.alone': ratio('p99Ms'),
      },
      missing: [],
    }
  } finally {
    load.end()
    await kafka.stop()
    await rm(models, { recursive: true, force: true })
  }
}

const glosses = async (): Promise<Document[]> => {
  const { documents, labels: names } = await loadGlosses()
  return documents.map(({ text, labels }, i) => ({
    documentId: `d${i}`,
    text,
    features: null,
    labels: labels.map((label) => names[label]!),
    occurredAt: 1_700_000_000_000 + i,
  }))
}

class Tags {
  private readonly bootstrap: string
  private readonly models: string
  private readonly load: Load
  private readonly documents: readonly Document[]
  private model: TagModel | null = null

  constructor(bootstrap: string, models: string, load: Load, documents: readonly Document[]) {
    this.bootstrap = bootstrap
    this.models = models
    this.load = load
    this.documents = documents
  }

  /** A model of the first documents, by the pipeline that makes them. */
  train(): Promise<void> {
    return this.on('train', { minDocuments: TRAINING, every: 10 * TRAINING }, async (runtime) => {
      await publish(runtime, this.documents.slice(0, TRAINING))
      await new Promise<void>((resolve, reject) => {
        this.start(runtime, ['retrain'], ({ sent }) => sent['model'] === 2 && resolve()).catch(reject)
      })
      // What is committed can be read a moment later.
      let live = (await readModel(runtime, MODEL)).versions.live
      for (; live === null; live = (await readModel(runtime, MODEL)).versions.live) await sleep(100)
      const store = await openModelStore(modelDirectory(runtime.config, MODEL))
      this.model = await loadXmc(store, live.sha256)
    })
  }

  /** Documents a second of the predictor alone, from text to labels. */
  bare(): number {
    const tagger = new Tagger(this.model!, { name: MODEL, version: 1, top: TOP })
    const documents = this.documents.slice(0, EVENTS)
    const started = performance.now()
    for (const document of documents) tagger.tag(document)
    return (documents.length * 1_000) / (performance.now() - started)
  }

  /** Documents a second of the pipeline, from topic to topic. */
  throughput(round: number): Promise<number> {
    return this.on(`ours-${round}`, {}, async (runtime) => {
      await this.serve(runtime)
      await publish(runtime, this.documents.slice(0, EVENTS))
      const progress = new Throughput()
      progress.startingWith(() => {
        void this.start(runtime, ['tag'], ({ sent }) => progress.add(sent['document-labels'] ?? 0))
      })
      return progress.until(EVENTS, () => {})
    })
  }

  latency(round: number, retraining: boolean): Promise<Latency> {
    const retrain = { minDocuments: 1_000, every: 200, window: TRAINING }
    return this.on(`paced-${round}`, retrain, async (runtime) => {
      const { codec, config } = runtime
      await this.serve(runtime)
      let retrains = 0
      void this.start(runtime, ['tag'], () => {})
      // What is trained on lies there, and is tagged, before the load begins.
      await publish(runtime, this.documents.slice(0, TRAINING))
      await untilTagged(runtime, TRAINING)
      if (retraining)
        void this.start(runtime, ['retrain'], ({ sent }) => (retrains += sent['model'] === undefined ? 0 : 1))
      const messages = this.documents.slice(
        TRAINING,
        TRAINING + (PACE.perSecond * (PACE.warmUpMs + PACE.ms + 1_000)) / 1_000,
      )
      const topic = topicOf(config, 'document')
      await this.load.ask({
        kind: 'load',
        as: 'requests',
        topic,
        messages: messages.map((document) => ({
          key: document.documentId,
          value: codec.encode('document', document).toString('base64'),
        })),
      })
      await this.load.ask({ kind: 'load', as: 'outcomes', topic, messages: [] })
      const answer = await this.load.ask({
        kind: 'pace',
        answers: topicOf(config, 'document-labels'),
        ...PACE,
      })
      if (answer.kind !== 'latencies' || answer.ms.length < 0.9 * PACE.perSecond * (PACE.ms / 1_000))
        throw new Error(`only ${answer.kind === 'latencies' ? answer.ms.length : 0} answers came back`)
      return { p50Ms: percentile(answer.ms, 0.5), p99Ms: percentile(answer.ms, 0.99), retrains }
    })
  }

  private stop = new AbortController()
  private under: Promise<void>[] = []

  private start(runtime: Opened, names: readonly string[], on: (progress: Progress) => void): Promise<void> {
    const running = runPipelines(runtime, pipelinesNamed(names), this.stop.signal, on)
    this.under.push(running)
    return running
  }

  /** Has the model served, as a trainer would. */
  private async serve(runtime: Opened): Promise<void> {
    const store = await openModelStore(modelDirectory(runtime.config, MODEL))
    const { uri, sha256 } = await saveXmc(store, this.model!)
    const { partitions } = await readModel(runtime, MODEL)
    const made = { uri, sha256, trainedOn: [], metrics: {}, promoted: true, createdAt: Date.now() }
    await runtime.codec.prepare(['model'])
    const writer = await runtime.broker.writer()
    const records = (['version', 'live'] as const).map((says) =>
      modelRecord(runtime, says, { name: MODEL, version: 1, ...made }, partitions),
    )
    await writer.send(records)
    await writer.close()
  }

  /** Topics of its own around `work`; what it started is stopped at the end. */
  private async on<T>(name: string, retrain: object, work: (runtime: Opened) => Promise<T>): Promise<T> {
    const config = loadConfig({
      env: {},
      overrides: {
        app: `bench-${name}`,
        'topics.prefix': `${name}-`,
        'models.directory': this.models,
        'log.level': 'error',
        tag: { model: MODEL, top: TOP, features: { kind: 'text', numbers: false, minDocuments: 3 }, retrain },
      },
    })
    const broker = await createKafkajsBroker({ brokers: [this.bootstrap] })
    const runtime = await openRuntime(config, { log: createLog(config.log), broker })
    this.stop = new AbortController()
    this.under = []
    try {
      await ensureTopics(runtime, true)
      await runtime.codec.prepare(['document'])
      return await work(runtime)
    } finally {
      this.stop.abort()
      await Promise.all(this.under)
      await runtime.close()
    }
  }
}

const publish = async ({ broker, codec, config }: Opened, documents: readonly Document[]): Promise<void> => {
  const topic = topicOf(config, 'document')
  const writer = await broker.writer()
  for (let i = 0; i < documents.length; i += BATCH)
    await writer.send(
      documents.slice(i, i + BATCH).map((document) => ({
        topic,
        key: Buffer.from(document.documentId),
        value: codec.encode('document', document),
      })),
    )
  await writer.close()
}

/** Resolves when so many documents are tagged. */
const untilTagged = async ({ broker, config }: Opened, documents: number): Promise<void> => {
  const topics = [topicOf(config, 'document')]
  for (;;) {
    const committed = (await broker.admin.committed(config.app, 'tag', topics)).get(topics[0]!)
    const tagged = [...(committed?.values() ?? [])].reduce((sum, { offset }) => sum + offset, 0)
    if (tagged >= documents) return
    await sleep(100)
  }
}
