/**
 * Writes outside any task: idempotent, acks from all replicas, one request under way at a time; what comes meanwhile goes together
 * with the next. After a failure the producer is made anew, since its sequence numbers are then unsure.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { OutputRecord, Writer } from '../port.ts'
import { type Driver, patiently, type Sender } from './driver.ts'
import type { Packer } from './packing.ts'

interface Waiting {
  readonly records: readonly OutputRecord[]
  done(): void
  failed(error: unknown): void
}

class QueueingWriter implements Writer {
  readonly #driver: Driver
  readonly #packer: Packer
  #sender: Promise<Sender> | undefined
  #waiting: Waiting[] = []
  #sending: Promise<void> | undefined
  #closed = false

  constructor(driver: Driver, packer: Packer) {
    this.#driver = driver
    this.#packer = packer
  }

  connect(): Promise<Sender> {
    this.#sender ??= patiently(this.#driver, () => this.#driver.sender())
    this.#sender.catch(() => {
      this.#sender = undefined
    })
    return this.#sender
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
        const sender = await this.connect()
        await sender.send(rounds)
        for (const { done } of ready) done()
      } catch (error) {
        if (!(error instanceof MillraceError)) await this.#drop()
        const failure = this.#driver.toMillraceError(error, 'KAFKA_UNAVAILABLE')
        for (const { failed } of ready) failed(failure)
      }
    }
    // In the same turn as the check above: who comes later starts anew.
    this.#sending = undefined
  }

  async #drop(): Promise<void> {
    const sender = await this.#sender?.catch(() => undefined)
    this.#sender = undefined
    await sender?.close()
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#sending
    await this.#drop()
  }
}

/** A writer, connected. @throws MillraceError KAFKA_UNAVAILABLE */
export const createWriter = async (driver: Driver, packer: Packer): Promise<Writer> => {
  const writer = new QueueingWriter(driver, packer)
  await writer.connect()
  return writer
}
