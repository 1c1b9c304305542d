/**
 * The broker port on kafkajs 2.2.4: transactions, groups and metadata are kafkajs's; partition assignment, fetching, packing
 * and recovery are this adapter's (assigner.ts, fetcher.ts, outputs.ts, group.ts say why). One connection for administration, two
 * for each task, one for each reader and writer.
 */
import { Observable } from 'rxjs'
import { MillraceError } from '../../../schemas/errors.ts'
import type { Batch, Broker, ReadOptions, Task, TaskGroupOptions, Writer } from '../port.ts'
import { type ClosableAdmin, createAdmin } from './admin.ts'
import { type Client, createClient, type KafkajsOptions } from './client.ts'
import { Group } from './group.ts'
import { createPacker, type Packer } from './outputs.ts'
import { readPartitions } from './reader.ts'
import { createWriter } from './writer.ts'

export type { KafkajsOptions } from './client.ts'

class KafkajsBroker implements Broker {
  readonly kind = 'kafkajs'
  readonly admin: ClosableAdmin
  readonly address: string
  readonly #client: Client
  readonly #packer: Packer
  readonly #groups = new Set<Group>()
  readonly #writers = new Set<Writer>()
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  constructor(options: KafkajsOptions) {
    this.#client = createClient(options)
    this.address = this.#client.address
    this.admin = createAdmin(this.#client)
    this.#packer = createPacker(this.admin, this.address)
  }

  tasks(options: TaskGroupOptions): Observable<Task> {
    return new Observable((subscriber) => {
      if (this.#closed) {
        subscriber.error(new MillraceError('KAFKA_UNAVAILABLE', 'the broker is closed'))
        return
      }
      const group = new Group(this.#client, this.admin, this.#packer, options, subscriber)
      this.#groups.add(group)
      void group.start()
      return () => void group.leave().finally(() => this.#groups.delete(group))
    })
  }

  read(
    options: ReadOptions,
    each: (batch: Batch) => Promise<void> | void,
    signal?: AbortSignal,
  ): Promise<void> {
    const either = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal
    return readPartitions(this.#client, this.admin, options, each, either)
  }

  async writer(): Promise<Writer> {
    const writer = await createWriter(this.#client, this.#packer)
    this.#writers.add(writer)
    return writer
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#closing.abort()
      await Promise.all([...this.#groups].map((group) => group.leave()))
      await Promise.allSettled([...this.#writers].map((writer) => writer.close()))
      await this.admin.close()
    })()
    return this.#closed
  }
}

/**
 * A broker on the given cluster, reached once already.
 * @throws MillraceError KAFKA_UNAVAILABLE, naming the address, when it does not answer within `patienceMs` or refuses us.
 */
export const createKafkajsBroker = async (options: KafkajsOptions): Promise<Broker> => {
  const broker = new KafkajsBroker(options)
  try {
    await broker.admin.describe([])
    return broker
  } catch (error) {
    await broker.close()
    throw error
  }
}
