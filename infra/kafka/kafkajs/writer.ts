/**
 * Writes outside any task: idempotent, acks from all replicas, one request under way at a time; what comes meanwhile goes together
 * with the next. After a failure the producer is made anew, since kafkajs's sequence numbers are then unsure.
 */
import type { Producer } from 'kafkajs'
import { MillraceError } from '../../../schemas/errors.ts'
import type { OutputRecord, Writer } from '../port.ts'
import { type Client, closeSoon, patiently, QUICK_RETRY } from './client.ts'
import { toMillraceError } from './errors.ts'
import { asGiven, type Packer } from './outputs.ts'

interface Waiting {
  readonly records: readonly OutputRecord[]
  done(): void
  failed(error: unknown): void
}

/** Enough for the quick retry to last as long as a leader takes to be replaced. */
const SEND_RETRY = { ...QUICK_RETRY, maxRetryTime: 100, retries: 200 }

class KafkajsWriter implements Writer {
  readonly #client: Client
  readonly #packer: Packer
  #producer: Promise<Producer> | undefined
  #waiting: Waiting[] = []
  #sending: Promise<void> | undefined
  #closed = false

  constructor(client: Client, packer: Packer) {
    this.#client = client
    this.#packer = packer
  }

  connect(): Promise<Producer> {
    this.#producer ??= patiently(this.#client, async () => {
      const producer = this.#client.kafka.producer({
        idempotent: true,
        allowAutoTopicCreation: false,
        createPartitioner: asGiven,
        retry: SEND_RETRY,
      })
      try {
        await producer.connect()
        return producer
      } catch (error) {
        await closeSoon(producer.disconnect())
        throw error
      }
    })
    this.#producer.catch(() => {
      this.#producer = undefined
    })
    return this.#producer
  }

  send(records: readonly OutputRecord[]): Promise<void> {
    if (this.#closed) return Promise.reject(new MillraceError('KAFKA_UNAVAILABLE', 'the writer is closed'))
    return new Promise((done, failed) => {
      this.#waiting.push({ records, done, failed })
      this.#sending ??= this.#run()
    })
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const together = this.#waiting.splice(0)
      const ready: Waiting[] = []
      const records: OutputRecord[] = []
      for (const waiting of together) {
        // Who asks for the impossible fails alone.
        const fits =
          together.length === 1 ||
          (await this.#packer.pack(waiting.records).then(
            () => true,
            (error) => {
              waiting.failed(error)
              return false
            },
          ))
        if (!fits) continue
        ready.push(waiting)
        for (const record of waiting.records) records.push(record)
      }
      try {
        const rounds = await this.#packer.pack(records)
        const producer = await this.connect()
        for (const round of rounds) await producer.sendBatch(round)
        for (const { done } of ready) done()
      } catch (error) {
        if (!(error instanceof MillraceError)) await this.#drop()
        const failure = toMillraceError(error, this.#client.address, 'KAFKA_UNAVAILABLE')
        for (const { failed } of ready) failed(failure)
      }
    }
    // In the same turn as the check above: who comes later starts anew.
    this.#sending = undefined
  }

  async #drop(): Promise<void> {
    const producer = await this.#producer?.catch(() => undefined)
    this.#producer = undefined
    await closeSoon(producer?.disconnect())
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#sending
    await this.#drop()
  }
}

/** A writer, connected. @throws MillraceError KAFKA_UNAVAILABLE */
export const createWriter = async (client: Client, packer: Packer): Promise<Writer> => {
  const writer = new KafkajsWriter(client, packer)
  await writer.connect()
  return writer
}
