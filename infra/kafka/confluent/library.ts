/**
 * @confluentinc/kafka-javascript, as far as it is used here: its callback API over librdkafka. The package is optional and not
 * needed to compile: this declares what is used of it. (Its promise API carries no metadata with positions, and starts to fetch
 * before positions can be given.)
 */
import { MillraceError } from '../../../schemas/errors.ts'

export interface LibraryError {
  readonly message: string
  /** librdkafka's: positive where the broker said it. */
  readonly code: number
  readonly isRetriable?: boolean
}

export type Done<T = unknown> = (error: LibraryError | null | undefined, value: T) => void

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly offset?: number
  readonly metadata?: string
}

export type Headers = readonly Readonly<Record<string, Buffer>>[]

export interface Message {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: number
  readonly headers?: Headers
}

export interface WatermarkOffsets {
  readonly lowOffset: number
  readonly highOffset: number
}

export interface Client {
  connect(options: { timeout: number; allTopics: boolean }, done: Done): void
  disconnect(done: Done): void
  isConnected(): boolean
  on<T>(event: string, listener: (event: T, more: unknown) => void): void
}

export interface KafkaConsumer extends Client {
  subscribe(topics: readonly string[]): void
  assign(partitions: readonly TopicPartition[]): void
  unassign(): void
  pause(partitions: readonly TopicPartition[]): void
  consume(most: number, done: Done<Message[]>): void
  setDefaultConsumeTimeout(ms: number): void
  getWatermarkOffsets(topic: string, partition: number): WatermarkOffsets
  queryWatermarkOffsets(
    topic: string,
    partition: number,
    timeoutMs: number,
    done: Done<WatermarkOffsets>,
  ): void
}

export interface Producer extends Client {
  produce(
    topic: string,
    partition: number,
    value: Buffer | null,
    key: Buffer | null,
    timestamp: number | undefined,
    opaque: undefined,
    headers: Headers | undefined,
  ): void
  flush(timeoutMs: number, done: Done): void
  setPollInBackground(background: boolean): void
  initTransactions(timeoutMs: number, done: Done): void
  beginTransaction(done: Done): void
  sendOffsetsToTransaction(
    offsets: readonly TopicPartition[],
    group: KafkaConsumer,
    timeoutMs: number,
    done: Done,
  ): void
  commitTransaction(timeoutMs: number, done: Done): void
}

export type Properties = Readonly<Record<string, unknown>>

/** The settings of topics go among the others: a second argument for them would replace those given here. */
export interface Library {
  readonly KafkaConsumer: new (properties: Properties) => KafkaConsumer
  readonly Producer: new (properties: Properties) => Producer
}

export const PACKAGE = '@confluentinc/kafka-javascript'

/**
 * The library; `from` is the package's name, or the address of its main file where it lies elsewhere.
 * @throws MillraceError INVALID_CONFIG when it is not installed, or not built for this machine.
 */
export const loadLibrary = async (from: string = PACKAGE): Promise<Library> => {
  try {
    const { default: library } = (await import(from)) as { default: { RdKafka: Library } }
    return library.RdKafka
  } catch (cause) {
    throw new MillraceError(
      'INVALID_CONFIG',
      `kafka.adapter: confluent needs the package ${PACKAGE}: npm install ${PACKAGE} (${(cause as Error).message})`,
      { cause },
    )
  }
}

/** A call of the library as a promise. */
export const asked = <T>(call: (done: Done<T>) => void): Promise<T> =>
  new Promise((resolve, reject) => {
    call((error, value) => {
      if (error) reject(error)
      else resolve(value)
    })
  })
