/**
 * Publishes a row's world at a pace, and records beside it. What it sends twice when a broker dies is in the input log twice, where the oracle
 * finds it: kafkajs's idempotent producer does not survive the loss of a leader.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Kafka, Producer } from 'kafkajs'
import { type Planned, partitionOf } from './world.ts'

/** Records in one request where there is no pace to keep. */
const HURRY = 500
/** Records a second at the end of a flow that is not hurried, and for how many seconds they last. */
export const SLOWEST = 7
const SLOW_SECONDS = 150

export class Publisher {
  readonly #producer: Producer
  readonly #prefix: string
  readonly #partitions: number
  readonly #planned: readonly Planned[]
  #published = 0
  #beside = 0
  #flowing: Promise<void> = Promise.resolve()
  #perSecond = 0
  #hurried = false
  #awaited = false
  #closed = false
  /** Of the records sent beside the world, those that shall become dead letters; and the requests among them. */
  letters = 0
  refused = 0

  private constructor(producer: Producer, prefix: string, partitions: number, planned: readonly Planned[]) {
    this.#producer = producer
    this.#prefix = prefix
    this.#partitions = partitions
    this.#planned = planned
  }

  static async open(
    kafka: Kafka,
    prefix: string,
    partitions: number,
    planned: readonly Planned[],
  ): Promise<Publisher> {
    const producer = kafka.producer({ allowAutoTopicCreation: false })
    await producer.connect()
    return new Publisher(producer, prefix, partitions, planned)
  }

  /** Records published so far. */
  get events(): number {
    return this.#published + this.#beside
  }

  /** Requests in the world. */
  get requests(): number {
    return this.#planned.filter(({ topic }) => topic === 'decision-requests').length
  }

  /**
   * Publishes the world, so many records a second, in the background. The last quarter comes ever more slowly, and at last slowly enough that there is
   * something to decide for as long as a row may take, on a slow machine; but where the end of the flow is awaited.
   */
  flow(perSecond: number): void {
    this.pace(perSecond)
    const all = this.#planned
    const reserve = Math.min(SLOWEST * SLOW_SECONDS, all.length / 4)
    this.#flowing = (async () => {
      let before = Date.now()
      let owed = 0
      while (this.#published < all.length && !this.#closed) {
        const left = all.length - this.#published
        const now = Date.now()
        const slow = this.#awaited ? 0 : reserve
        const share = Math.min(1, (left - slow) / Math.max(1, all.length / 4 - slow))
        owed += ((now - before) / 1_000) * Math.max(SLOWEST, this.#perSecond * share)
        before = now
        const count = this.#hurried ? HURRY : Math.floor(owed)
        owed -= Math.floor(owed)
        const slice = all.slice(this.#published, this.#published + count)
        if (slice.length > 0) await this.#send(slice)
        this.#published += slice.length
        if (!this.#hurried) await sleep(20)
      }
    })()
    this.#flowing.catch(() => {})
  }

  /** From now on so many records a second. */
  pace(perSecond: number): void {
    this.#perSecond = perSecond
  }

  /** Resolves when the whole world is published. */
  flowed(): Promise<void> {
    this.#awaited = true
    return this.#flowing
  }

  /** Publishes what is left as fast as it goes. @throws Error where the flow was never begun. */
  async hurry(): Promise<void> {
    this.#hurried = true
    await this.#flowing
    if (this.#published < this.#planned.length)
      throw new Error('the row has published nothing: stage.flow(…)')
  }

  /** Waits until so large a share of the world is published. */
  async publishedShare(share: number): Promise<void> {
    while (this.#published < share * this.#planned.length)
      await Promise.race([sleep(20), this.#flowing.then(() => sleep(20))])
  }

  /** Publishes records beside the world. */
  async send(records: readonly Planned[]): Promise<void> {
    await this.#send(records)
    this.#beside += records.length
    const refused = records.filter(({ headers }) => headers?.expect !== undefined)
    this.letters += refused.length
    this.refused += refused.filter(({ topic }) => topic === 'decision-requests').length
  }

  /** Publishes the end of the world, which counts as no event. */
  end(records: readonly Planned[]): Promise<void> {
    return this.#send(records)
  }

  async #send(records: readonly Planned[]): Promise<void> {
    let left = records.map(({ partition, ...record }) => ({
      ...record,
      partition: partition ?? partitionOf(record.key, this.#partitions),
    }))
    while (left.length > 0) {
      // Rewards first: they are to be early.
      const topics = [...new Set(left.map(({ topic }) => topic))].sort().reverse()
      const topicMessages = topics.map((name) => ({
        topic: this.#prefix + name,
        messages: left.filter(({ topic }) => topic === name).map(({ topic: _, ...message }) => message),
      }))
      // Where a leader is lost meanwhile, kafkajs leaves its partitions out and says nothing: only what it answers for was sent.
      const sent = new Set(
        (await this.#producer.sendBatch({ topicMessages })).map(
          ({ topicName, partition }) => `${topicName}/${partition}`,
        ),
      )
      left = left.filter(({ topic, partition }) => !sent.has(`${this.#prefix}${topic}/${partition}`))
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#flowing.catch(() => {})
    await this.#producer.disconnect()
  }
}
