/**
 * The one trainer of a model: whoever owns the partition of `models` that the model's name belongs to, in the group `retrain`. It looks at the ends of `documents` now and
 * then, trains when that is due, and commits the new version, with what it measured, in one transaction of that task; so a former owner's version is refused, and the log
 * alone says what is due. Nothing is kept that a crash could cost: bytes in the store that no record names are swept by whoever trains next.
 */

import type { RetrainConfig } from '../../infra/config/tag.ts'
import type { OutputRecord, Task } from '../../infra/kafka/port.ts'
import { openModelStore } from '../../infra/models/store.ts'
import type { ModelMetrics } from '../../infra/telemetry/metrics.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import { codeOf, type ErrorCode } from '../../schemas/errors.ts'
import type { Metric, Model, TrainedOn } from '../../schemas/generated/events.ts'
import { type Progress, type Runtime, topicOf } from '../process/runtime.ts'
import { type ModelReading, type ModelVersions, modelRecord, readModel } from '../tag/model-log.ts'
import { modelDirectory, tagConfig } from '../tag/tag-config.ts'
import { passes } from './gate.ts'
import { type Trained, type TrainingOutcome, trainApart } from './thread.ts'
import { documentEnds, documentsSince, type PartitionEnds, readWindow, windowOf } from './window.ts'

/** After a training that failed. */
const RETRY_MS = 60_000

/** What ends the task, or the process, and no mere training. */
const ENDING: ReadonlySet<ErrorCode> = new Set([
  'PRODUCER_FENCED',
  'STALE_GENERATION',
  'COMMIT_UNKNOWN',
  'KAFKA_UNAVAILABLE',
  'MISSING_TOPIC',
])

/** An attempt that came to no version. */
interface Attempt {
  readonly window: readonly TrainedOn[]
  readonly at: number
  readonly failed: boolean
}

/** Told how far a training has come. */
export type OnTraining = (what: string, done: number, total: number) => void

export class Trainer {
  private readonly runtime: Runtime
  private readonly task: Task
  /** Aborts when the task is this process's no more. */
  private readonly gone: AbortSignal
  private readonly name: string
  private readonly retrain: RetrainConfig
  private readonly metrics: ModelMetrics
  private readonly onTraining: OnTraining
  /** Read once the task is owned: from there on nobody else writes versions. */
  private reading: ModelReading | null = null
  /** The last one, where that came to nothing. */
  private attempt: Attempt = { window: [], at: 0, failed: false }
  private readonly openedAt: number

  constructor(runtime: Runtime, task: Task, gone: AbortSignal, onTraining: OnTraining) {
    const { model, retrain } = tagConfig(runtime.config)
    this.runtime = runtime
    this.task = task
    this.gone = gone
    this.name = model
    this.retrain = retrain
    this.metrics = runtime.metrics.model(model)
    this.onTraining = onTraining
    this.openedAt = runtime.now()
  }

  /** Trains if that is due. @throws MillraceError what `Task.checkpoint` and reading the log throw */
  async *trainDue(): AsyncGenerator<Progress> {
    try {
      if (this.reading === null) {
        this.reading = await readModel(this.runtime, this.name)
        if (this.isMine) await this.sweep(this.reading.versions)
      }
      if (!this.isMine) return
      const ends = await documentEnds(this.runtime)
      if (this.gone.aborted || !this.isDue(ends)) return
      const trained = await this.train(windowOf(ends, this.retrain.window))
      if (trained !== null) yield trained
    } catch (error) {
      if (error !== this.gone.reason) throw error
    }
  }

  private get isMine(): boolean {
    return this.reading?.partition === this.task.partition
  }

  private isDue(ends: readonly PartitionEnds[]): boolean {
    const { every, after, minDocuments } = this.retrain
    const newest = this.reading!.versions.newest
    const { attempt } = this
    const now = this.runtime.now()
    if (attempt.failed && now - attempt.at < Math.min(RETRY_MS, after ?? RETRY_MS)) return false
    const inVain = attempt.window.length > 0 && !attempt.failed
    const at = inVain ? attempt.at : (newest?.createdAt ?? this.openedAt)
    const fresh = documentsSince(ends, inVain ? attempt.window : (newest?.trainedOn ?? []))
    // Without a model nothing is tagged: the first one waits for no more than it needs.
    const enough = newest === null ? Math.min(every, minDocuments) : every
    return fresh >= enough || (after !== undefined && fresh > 0 && now - at >= after)
  }

  /** @returns null where no version came of it */
  private async train(window: readonly TrainedOn[]): Promise<Progress | null> {
    const { runtime, name, gone } = this
    const { config, log } = runtime
    this.reading = await readModel(runtime, name)
    const { live } = this.reading.versions
    const documents = window.reduce((sum, { from, to }) => sum + to - from, 0)
    log.info({ model: name, documents, served: live?.version ?? 0 }, 'retraining')
    const { features, beam } = tagConfig(config)
    const start = {
      features,
      retrain: this.retrain,
      ...(beam === undefined ? {} : { beam }),
      directory: modelDirectory(config, name),
      served: live?.sha256 ?? null,
    }
    let outcome: TrainingOutcome
    try {
      outcome = await trainApart(start, (take) => readWindow(runtime, window, take, gone), {
        signal: gone,
        onProgress: this.onTraining,
      })
    } catch (error) {
      if (gone.aborted || ENDING.has(codeOf(error, 'INVALID_EVENT'))) throw error
      this.attempt = { window, at: runtime.now(), failed: true }
      this.metrics.retrainSkipped('failed')
      log.error({ model: name, error }, 'the training failed, and is tried again: the model served goes on')
      return null
    }
    if (outcome.kind === 'trained') return this.commit(window, outcome, live?.version ?? 0)
    const { reason, message } = outcome
    this.attempt = { window, at: runtime.now(), failed: false }
    this.metrics.retrainSkipped(reason)
    log.warn({ model: name, reason }, `nothing was retrained: ${message}`)
    return null
  }

  /** Writes the version, has it served if it passes the gate, and lets go of old ones. */
  private async commit(window: readonly TrainedOn[], trained: Trained, judgedBy: number): Promise<Progress> {
    const { runtime, name, task } = this
    const { versions, partitions, offset } = await readModel(runtime, name)
    const undisturbed = (versions.live?.version ?? 0) === judgedBy
    // Somebody has chosen another model meanwhile: the new one was not held against that.
    const promoted = undisturbed && passes(trained.metrics, trained.served)
    const model: Model = {
      name,
      version: (versions.newest?.version ?? 0) + 1,
      uri: trained.uri,
      sha256: trained.sha256,
      trainedOn: [...window],
      metrics: { ...trained.metrics, ...servedMetrics(trained.served) },
      promoted,
      createdAt: runtime.now(),
    }
    const live = promoted ? model : versions.live
    const kept = new Set([...versions.all, model].slice(-this.retrain.keep).map(({ version }) => version))
    const old = versions.all.filter(({ version }) => !kept.has(version) && version !== live?.version)
    const numbers = this.metricRecords(model)
    const outputs = [
      modelRecord(runtime, 'version', model, partitions),
      ...(promoted ? [modelRecord(runtime, 'live', model, partitions)] : []),
      ...old.map((each) => modelRecord(runtime, 'gone', each, partitions)),
      ...numbers,
    ]
    const topic = topicOf(runtime.config, 'model')
    this.gone.throwIfAborted()
    await task.checkpoint({ outputs, positions: new Map([[topic, { offset }]]) })
    versions.take(String(model.version), model)
    if (promoted) versions.take('live', model)
    for (const { version } of old) versions.take(String(version), null)
    this.reading = { versions, partitions, offset, partition: task.partition }
    this.attempt = { window: [], at: 0, failed: false }
    this.tell(model, trained, undisturbed)
    await this.sweep(versions)
    const { partition } = task
    const sent = { model: promoted ? 2 : 1, metric: numbers.length }
    return {
      pipeline: 'retrain',
      topic,
      partition,
      received: trained.metrics['documents'] ?? 0,
      sent,
      deadLetters: 0,
    }
  }

  private metricRecords({ name, version, metrics, promoted, createdAt }: Model): OutputRecord[] {
    const { codec, config } = this.runtime
    const labels = { model: name, version: String(version), promoted: String(promoted) }
    return Object.entries(metrics).map(([measure, value]) => {
      const metric: Metric = { name: metricName(measure), value, labels, at: createdAt }
      return {
        topic: topicOf(config, 'metric'),
        key: Buffer.from(KEYS.metric(metric)),
        value: codec.encode('metric', metric),
      }
    })
  }

  private tell({ version, metrics, promoted }: Model, { served }: Trained, undisturbed: boolean): void {
    const { name: model, runtime } = this
    const { seconds = 0 } = metrics
    this.metrics.retrained(promoted ? 'promoted' : 'kept', seconds)
    const told = {
      model,
      version,
      seconds,
      precision: metrics['precision@1'],
      before: served?.['precision@1'],
    }
    const why = undisturbed
      ? 'the one served is better somewhere, or they are equal'
      : 'another model was chosen meanwhile'
    runtime.log.info(
      told,
      promoted ? 'a new model is served' : `a new model is kept, and not promoted: ${why}`,
    )
  }

  /** Removes what lies in the model's folder of the store and no record names: versions let go, and what a crash left behind. */
  private async sweep({ all, live }: ModelVersions): Promise<void> {
    const { config, log } = this.runtime
    const named = new Set([...all, ...(live === null ? [] : [live])].map(({ sha256 }) => sha256))
    try {
      const store = await openModelStore(modelDirectory(config, this.name))
      for (const sha256 of await store.listFolders()) if (!named.has(sha256)) await store.removeFolder(sha256)
    } catch (error) {
      // What cannot be removed costs room alone.
      log.warn({ error, model: this.name }, 'old models could not be removed')
    }
  }
}

/** What the model that was served measured on the same documents, beside what the new one did. */
const servedMetrics = (served: Trained['served']): Record<string, number> =>
  Object.fromEntries(Object.entries(served ?? {}).map(([measure, value]) => [`served.${measure}`, value]))

/** `precision@1` as `millrace_retrain_precision_at_1`, `clusterSize.max` as `millrace_retrain_cluster_size_max`. */
const metricName = (measure: string): string =>
  `millrace_retrain_${measure
    .replace('@', '_at_')
    .replaceAll('.', '_')
    .replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`
