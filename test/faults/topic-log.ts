/**
 * Reads topics with a plain kafkajs consumer, from their beginning, for as long as a row lasts or up to a mark. Records are kept by partition and
 * offset, so that whatever the client delivers twice after a broker's failure counts once.
 */
import './read-committed.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, Kafka, KafkaMessage } from 'kafkajs'

export interface Read {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: string
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string>>
  /** When it was made, by its producer's clock, and when it came here; milliseconds since the epoch. */
  readonly timestamp: number
  readonly at: number
}

export interface TopicLogOptions {
  readonly topics: readonly string[]
  /** Committed records only (default), or what was aborted too. */
  readonly committedOnly?: boolean
}

/** The key of a mark: see `mark`. */
const MARK = '#end'

let groups = 0

export class TopicLog {
  readonly #consumer: Consumer
  readonly #options: TopicLogOptions
  readonly #byTopic = new Map<string, Map<string, Read>>()
  readonly #marked = new Set<string>()

  private constructor(kafka: Kafka, options: TopicLogOptions) {
    this.#options = options
    for (const topic of options.topics) this.#byTopic.set(topic, new Map())
    this.#consumer = kafka.consumer({
      groupId: `faults-${process.pid}-${groups++}`,
      readUncommitted: options.committedOnly === false,
      maxWaitTimeInMs: 20,
      allowAutoTopicCreation: false,
      retry: { initialRetryTime: 50, maxRetryTime: 250, retries: 1_000 },
    })
  }

  static async open(kafka: Kafka, options: TopicLogOptions): Promise<TopicLog> {
    const log = new TopicLog(kafka, options)
    await log.#consumer.connect()
    await log.#consumer.subscribe({ topics: [...options.topics], fromBeginning: true })
    await log.#consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        const at = Date.now()
        for (const message of batch.messages) log.#take(batch.topic, batch.partition, message, at)
      },
    })
    return log
  }

  #take(topic: string, partition: number, message: KafkaMessage, at: number): void {
    const key = message.key?.toString() ?? ''
    if (key === MARK) return void this.#marked.add(`${topic}/${partition}`)
    const records = this.#byTopic.get(topic)!
    const place = `${partition}/${message.offset}`
    if (records.has(place)) return
    const headers = Object.entries(message.headers ?? {}).map(([name, text]) => [name, String(text)])
    records.set(place, {
      topic,
      partition,
      offset: Number(message.offset),
      key,
      value: message.value,
      headers: Object.fromEntries(headers),
      timestamp: Number(message.timestamp),
      at,
    })
  }

  count(topic: string): number {
    return this.#byTopic.get(topic)!.size
  }

  /** A topic's records as they came: of each partition in order, of several anyhow. */
  seen(topic: string): Iterable<Read> {
    return this.#byTopic.get(topic)!.values()
  }

  /** A topic's records, by partition and offset. */
  records(topic: string): Read[] {
    return [...this.seen(topic)].sort((a, b) => a.partition - b.partition || a.offset - b.offset)
  }

  /** Writes a mark to every partition of its topics and waits until it has read them all: so it has read all that came before. */
  async readToEnd(partitions: number, patienceMs = 30_000): Promise<void> {
    const deadline = Date.now() + patienceMs
    const wanted = this.#options.topics.length * partitions
    while (this.#marked.size < wanted) {
      if (Date.now() > deadline) throw new Error(`read ${this.#marked.size} of ${wanted} marks`)
      await sleep(20)
    }
  }

  /** Ends what is written in every partition of these topics with a mark, for readers that come later too. */
  static async mark(kafka: Kafka, topics: readonly string[], partitions: number): Promise<void> {
    const producer = kafka.producer({ allowAutoTopicCreation: false })
    await producer.connect()
    const messages = Array.from({ length: partitions }, (_, partition) => ({
      key: MARK,
      value: null,
      partition,
    }))
    await producer.sendBatch({ topicMessages: topics.map((topic) => ({ topic, messages })) })
    await producer.disconnect()
  }

  async close(): Promise<void> {
    await this.#consumer.disconnect()
  }
}
