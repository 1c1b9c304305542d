/** Trainers that are killed in the middle of a training, a tree that is worse, and a version gone back to: documents are tagged once each, by the version that is served. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Producer } from 'kafkajs'
import { expect } from 'vitest'
import { rollBack } from '../../pipelines/tag/model-log.ts'
import type { Document, Model } from '../../schemas/generated/events.ts'
import { documentsFrom } from '../pipelines/tag/documents.ts'
import { connectedTo } from './connected.ts'
import { decoded } from './events.ts'
import { row } from './row.ts'
import { either } from './settings.ts'
import type { Stage } from './stage.ts'
import { compare } from './tally.ts'
import { TopicLog } from './topic-log.ts'
import type { Worker } from './worker.ts'
import { encoded, partitionOf } from './world.ts'

const PARTITIONS = 4
const MODEL = 'tags'
/** Many labels of many words, so that a training lasts long enough to be killed in. */
const CORPUS = { labels: 80, words: 60, noise: 12 }
const EVERY = 1_500
/** Documents a second that are to be tagged all the while. */
const PACE = 60

/** When a trainer dies: so long after it began, or as soon as its model is stored. */
const DEATHS: readonly (number | 'stored')[] = either(
  [0, 400, 'stored'],
  [0, 50, 200, 400, 700, 1_000, 'stored', 'stored'],
)

/** What the row publishes, and what it reads of what became of it. */
class Documents {
  readonly published = new Map<string, number>()
  private readonly stage: Stage
  private readonly producer: Producer
  private readonly log: TopicLog
  private next = 0
  private flowing = true
  private flow: Promise<void> = Promise.resolve()

  private constructor(stage: Stage, producer: Producer, log: TopicLog) {
    this.stage = stage
    this.producer = producer
    this.log = log
  }

  static async open(stage: Stage): Promise<Documents> {
    const producer = stage.client.producer({ allowAutoTopicCreation: false })
    await producer.connect()
    const topics = ['document-labels', 'models'].map((topic) => stage.prefix + topic)
    return new Documents(stage, producer, await TopicLog.open(stage.client, { topics }))
  }

  /** The next documents of the world. */
  take(count: number): Document[] {
    this.next += count
    return documentsFrom(this.next - count, count, CORPUS)
  }

  async publish(documents: readonly Document[]): Promise<void> {
    const at = Date.now()
    for (let i = 0; i < documents.length; i += 500) {
      const messages = documents.slice(i, i + 500).map((document) => ({
        key: document.documentId,
        value: encoded('document', document),
        partition: partitionOf(document.documentId, PARTITIONS),
      }))
      await this.producer.send({ topic: `${this.stage.prefix}documents`, messages })
    }
    for (const { documentId } of documents) this.published.set(documentId, at)
  }

  /** Documents without labels, all the while. */
  begin(): void {
    this.flow = (async () => {
      while (this.flowing) {
        await this.publish(this.take(PACE / 20).map((document) => ({ ...document, labels: null })))
        await sleep(50)
      }
    })()
  }

  async end(): Promise<void> {
    this.flowing = false
    await this.flow
  }

  tagged(): { readonly id: string; readonly version: number }[] {
    return this.log.records(`${this.stage.prefix}document-labels`).map(({ key, value }) => ({
      id: key,
      version: decoded('document-labels', value!).modelVersion,
    }))
  }

  /** The versions in their order, and those that were served, one after the other. */
  models(): { readonly versions: Model[]; readonly served: Model[] } {
    const records = this.log.records(`${this.stage.prefix}models`).filter(({ value }) => value !== null)
    const of = (live: boolean) =>
      records.filter(({ key }) => key.endsWith('/live') === live).map(({ value }) => decoded('model', value!))
    return { versions: of(false), served: of(true) }
  }

  get live(): number {
    return this.models().served.at(-1)?.version ?? 0
  }

  async close(): Promise<void> {
    await this.end()
    await Promise.all([this.producer.disconnect(), this.log.close()])
  }
}

const stored = (stage: Stage): number => {
  const folder = join(stage.folder, 'models', 'documents', `${stage.prefix}${stage.name}`, MODEL)
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.model')).length : 0
}

/** Kills the trainer in the middle of the training that new documents make due; the model that is served goes on. @returns whether it died before its commit */
const killInTraining = async (
  stage: Stage,
  documents: Documents,
  trainer: Worker,
  death: number | 'stored',
): Promise<boolean> => {
  const { length } = documents.models().versions
  const served = documents.live
  const folders = stored(stage)
  await documents.publish(documents.take(EVERY))
  await trainer.until(/^retraining$/)
  if (death === 'stored') while (stored(stage) === folders && trainer.alive) await sleep(1)
  else await sleep(death)
  stage.fault(`kill -9 of the trainer, ${death === 'stored' ? 'its model stored' : `${death} ms in`}`)
  await trainer.kill()
  const before = documents.tagged().length
  await stage.until('documents are tagged', () => documents.tagged().length > before + PACE)
  const inTime = documents.models().versions.length === length
  if (inTime) expect(documents.live).toBe(served)
  trainer.start()
  await stage.until('the next version is there', () => documents.models().versions.length > length)
  return inTime
}

row(
  24,
  'trainer killed while it trains; a worse model; a version gone back to',
  {
    requests: either(600, 6_000),
    recording: false,
    config: {
      tag: {
        model: MODEL,
        retrain: {
          every: EVERY,
          window: 6_000,
          minDocuments: EVERY,
          tree: { branching: 4, maxLeafSize: 4 },
          threads: 1,
        },
      },
    },
  },
  async (stage) => {
    const [front] = await stage.started(['front'], { jobs: ['decide', 'attribute', 'tag'] })
    const documents = await Documents.open(stage)
    try {
      stage.flow(100)
      documents.begin()
      await documents.publish(documents.take(EVERY))
      const trainer = stage.worker('trainer', { jobs: ['retrain'] }).start()
      const tags = (version: number) =>
        stage.until(
          `version ${version} tags`,
          () =>
            documents.tagged().at(-1) !== undefined &&
            documents.tagged().some((each) => each.version === version),
        )
      await stage.until('a model is served', () => documents.live === 1)
      await tags(1)

      let inTime = 0
      for (const death of DEATHS) if (await killInTraining(stage, documents, trainer, death)) inTime++
      expect(inTime).toBeGreaterThan(0)
      stage.note(`${inTime} of ${DEATHS.length} died before their commit`)

      // Labels by chance teach nothing: such a model is kept, and not served.
      const { length } = documents.models().versions
      await documents.publish(
        documents
          .take(6_000)
          .map((document, i) => ({ ...document, labels: [`label-${(i * 7) % CORPUS.labels}`] })),
      )
      const worse = () =>
        documents
          .models()
          .versions.slice(length)
          .find(({ metrics }) => metrics['precision@1']! < metrics['served.precision@1']!)
      await stage.until('a worse model is made', () => worse() !== undefined)
      expect(worse()!.promoted).toBe(false)
      const measures = ['precision@1', 'precision@3', 'precision@5', 'psp@1', 'psp@3', 'psp@5']
      for (const { metrics, version } of documents.models().served)
        for (const measure of measures)
          expect([version, metrics[measure]! >= (metrics[`served.${measure}`] ?? 0)]).toEqual([version, true])
      expect(documents.models().served.map(({ version }) => version)).not.toContain(worse()!.version)

      stage.fault('rollback')
      await trainer.stop()
      const back = documents.live === 1 ? worse()!.version : 1
      const asked = Date.now()
      await connectedTo(stage.config, stage.kafka.local.internal, (surroundings) =>
        rollBack(surroundings, MODEL, back),
      )
      const taken = await front!.until(
        ({ msg, time, ...rest }) => msg === 'another model tags' && rest['version'] === back && time >= asked,
        'the rollback',
      )
      const ms = taken.time - asked
      stage.note(`rolled back in ${ms} ms`)
      expect(ms).toBeLessThan(1_000)
      const since = documents.tagged().length
      await stage.until('it tags', () => documents.tagged().slice(since).length > PACE)

      await documents.end()
      await stage.until('all is tagged', () => documents.tagged().length >= documents.published.size)
      const verdict = await stage.rest()
      compare(
        verdict,
        'documents tagged',
        documents.published.keys(),
        documents.tagged().map(({ id }) => id),
      )
      // A document names a version that was served, or none while there was none.
      const served = new Set([0, ...documents.models().served.map(({ version }) => version)])
      for (const { id, version } of documents.tagged())
        if (!served.has(version))
          verdict.differences.push(`${id} was tagged by version ${version}, which was never served`)
      stage.note(`${documents.published.size} documents, ${documents.models().versions.length} versions`)
      return verdict
    } finally {
      await documents.close()
    }
  },
)
