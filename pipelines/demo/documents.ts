/**
 * The world of the demo's documents, a client apart: it publishes glosses, most of them with their labels, and reads `document-labels` and `models`. One slice of the glosses it
 * never labels, so that no model can have learned from it; each model that is served is asked about the whole slice, and known by the version that its answers name.
 */
import type { Codec } from '../../infra/avro/codec.ts'
import type { Broker, ConsumedRecord, OutputRecord, Writer } from '../../infra/kafka/port.ts'
import { type DocumentPlan, streamed } from './document-plan.ts'
import type { GlossDocument, Glosses } from './glosses.ts'

export interface DocumentWorldOptions {
  readonly broker: Broker
  readonly codec: Codec
  readonly topics: { readonly documents: string; readonly labels: string; readonly models: string }
  readonly glosses: Glosses
  readonly plan: DocumentPlan
  /** Documents a second; as fast as they are tagged where absent, waiting for each model before there are more, and to the end of the plan. */
  readonly rate?: number
  readonly now: () => number
}

/** Documents published and not yet tagged, at most. */
const IN_FLIGHT = 512
const SEND_AT_MOST = 128
/** Without any news for so long, something is broken. */
const PATIENCE_MS = 180_000
const NAP_MS = 20
/** Between two questions to a model that may not have taken over yet. */
const PROBE_MS = 200
const SLICE = /^slice-(\d+)$/

export class DocumentWorld {
  /** Of the stream, without the slice. */
  published = 0
  /** Documents that a model has tagged. */
  tagged = 0
  /** Trainings that gave a model, served or not. */
  trainings = 0
  /** The version that is served; 0 while none is. */
  live = 0
  /** Labels that it was trained on. */
  labels = 0
  /** Precision at 1 on the slice, by version. */
  readonly precision = new Map<number, number>()
  private readonly options: DocumentWorldOptions
  private readonly slice: readonly GlossDocument[]
  private readonly stream: readonly GlossDocument[]
  /** Of the slice: those the version at hand has still to be asked about, and whether its answers were right. */
  private readonly unasked: number[] = []
  private readonly right = new Map<number, boolean>()
  private answered = 0
  private sent = 0
  private heard = 0
  private startedAt = 0
  private probeAt = 0
  private wake: () => void = () => {}

  constructor(options: DocumentWorldOptions) {
    this.options = options
    const { glosses, plan } = options
    this.slice = glosses.documents.slice(0, plan.slice)
    this.stream = glosses.documents.slice(plan.slice)
  }

  /** Plays until the plan is fulfilled, or `signal` aborts. @throws Error where nothing happens for minutes */
  async run(signal: AbortSignal): Promise<void> {
    const { broker, topics, now } = this.options
    this.startedAt = this.heard = now()
    const reading = new AbortController()
    const stop = () => this.wake()
    signal.addEventListener('abort', stop)
    const readers = [
      broker.read({ topic: topics.labels }, ({ records }) => this.takeLabels(records), reading.signal),
      broker.read({ topic: topics.models }, ({ records }) => this.takeModels(records), reading.signal),
    ]
    const writer = await broker.writer()
    try {
      await Promise.race([this.play(writer, signal), ...readers])
    } finally {
      signal.removeEventListener('abort', stop)
      reading.abort()
      await Promise.all(readers)
      await writer.close()
    }
  }

  private async play(writer: Writer, signal: AbortSignal): Promise<void> {
    const { now } = this.options
    while (!signal.aborted && !this.finished) {
      const records = this.sliceRecords() ?? this.streamRecords()
      if (records.length > 0) {
        this.sent += records.length
        await writer.send(records)
      } else {
        await this.news()
      }
      if (now() - this.heard > PATIENCE_MS && (this.sent > this.answered || this.waits)) {
        throw new Error(
          `${this.trainings} models, and no news of a document or a model for ${PATIENCE_MS / 1_000} s`,
        )
      }
    }
  }

  /** Whether every model made so far has been asked about the slice, where it was served at all. */
  private get measured(): boolean {
    return this.live === 0 || this.precision.has(this.live)
  }

  /** Whether a model is due, and nothing is published until it is there. */
  private get waits(): boolean {
    return this.options.rate === undefined && this.published >= this.allowed
  }

  private get finished(): boolean {
    const { rate, plan } = this.options
    return (
      rate === undefined && this.trainings >= plan.trainings && this.measured && this.answered >= this.sent
    )
  }

  /** Documents of the stream that may be out by now. */
  private get allowed(): number {
    const { rate, plan, now } = this.options
    if (rate !== undefined) return Math.floor(((now() - this.startedAt) * rate) / 1_000)
    return streamed(plan, this.trainings)
  }

  /** What is left of the slice to ask; null where nothing is. Until the first answer by the new version one document is enough: it may not have taken over yet. */
  private sliceRecords(): OutputRecord[] | null {
    if (this.measured) return null
    const taken = this.right.size > 0
    if (!taken) {
      if (this.sent > this.answered || this.options.now() < this.probeAt) return []
      this.probeAt = this.options.now() + PROBE_MS
    }
    const most = taken ? SEND_AT_MOST : 1
    return this.unasked
      .splice(0, most)
      .map((place) => this.record(`slice-${place}`, this.slice[place]!.text, null))
  }

  private streamRecords(): OutputRecord[] {
    const { plan, glosses } = this.options
    const until = Math.min(
      this.allowed,
      this.published + SEND_AT_MOST,
      this.published + IN_FLIGHT - (this.sent - this.answered),
    )
    const records: OutputRecord[] = []
    for (; this.published < until; this.published++) {
      const { id, text, labels } = this.stream[this.published % this.stream.length]!
      const labelled = this.published < plan.first || this.published % 10 !== 9
      records.push(
        this.record(`gloss-${id}`, text, labelled ? labels.map((label) => glosses.labels[label]!) : null),
      )
    }
    return records
  }

  private record(documentId: string, text: string, labels: readonly string[] | null): OutputRecord {
    const { codec, topics, now } = this.options
    const occurredAt = now()
    const value = codec.encode('document', { documentId, text, features: null, labels, occurredAt })
    return { topic: topics.documents, key: Buffer.from(documentId), value, timestamp: occurredAt }
  }

  private takeLabels(records: readonly ConsumedRecord[]): void {
    for (const { value } of records) {
      if (value === null) continue
      const { documentId, labels, modelVersion } = this.options.codec.decode('document-labels', value)
      this.answered++
      if (modelVersion > 0) this.tagged++
      const place = SLICE.exec(documentId)?.[1]
      if (place !== undefined) this.judge(Number(place), labels[0]?.label, modelVersion)
    }
    this.hear()
  }

  private judge(place: number, label: string | undefined, version: number): void {
    if (this.measured || this.right.has(place)) return
    if (version !== this.live) {
      // By the model before: it is asked again.
      if (!this.unasked.includes(place)) this.unasked.push(place)
      return
    }
    const { glosses } = this.options
    this.right.set(
      place,
      this.slice[place]!.labels.some((own) => glosses.labels[own] === label),
    )
    if (this.right.size < this.slice.length) return
    const hits = [...this.right.values()].filter((right) => right).length
    this.precision.set(version, hits / this.slice.length)
  }

  /** A version that is served is said to be twice: by its own record, and by the one that names it. */
  private takeModels(records: readonly ConsumedRecord[]): void {
    for (const { key, value } of records) {
      if (value === null) continue
      const { version, metrics, promoted } = this.options.codec.decode('model', value)
      if (!String(key).endsWith('/live')) this.trainings++
      if (!promoted || version === this.live) continue
      this.live = version
      this.labels = metrics['labels'] ?? 0
      this.right.clear()
      this.unasked.splice(0, Number.POSITIVE_INFINITY, ...this.slice.keys())
    }
    this.hear()
  }

  private hear(): void {
    this.heard = this.options.now()
    this.wake()
  }

  /** Waits for news, or for a moment. */
  private news(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, NAP_MS)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
