/** The broker port over a driver: keeps what is open, and closes it. */
import { Observable } from 'rxjs'
import { MillraceError } from '../../../schemas/errors.ts'
import type { Batch, Broker, ReadOptions, Task, TaskGroupOptions, Writer } from '../port.ts'
import type { ClosableAdmin, Driver } from './driver.ts'
import { Group } from './group.ts'
import { createPacker, type Packer } from './packing.ts'
import { readPartitions } from './reader.ts'
import { createWriter } from './writer.ts'

class DrivenBroker implements Broker {
  readonly kind: Broker['kind']
  readonly admin: ClosableAdmin
  readonly address: string
  readonly #driver: Driver
  readonly #packer: Packer
  readonly #groups = new Set<Group>()
  readonly #writers = new Set<Writer>()
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  constructor(kind: Broker['kind'], driver: Driver) {
    this.kind = kind
    this.#driver = driver
    this.address = driver.address
    this.admin = driver.admin
    this.#packer = createPacker(this.admin, this.address)
  }

  tasks(options: TaskGroupOptions): Observable<Task> {
    return new Observable((subscriber) => {
      if (this.#closed) {
        subscriber.error(new MillraceError('KAFKA_UNAVAILABLE', 'the broker is closed'))
        return
      }
      const group = new Group(this.#driver, this.#packer, options, subscriber)
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
    return readPartitions(this.#driver, options, each, either)
  }

  async writer(): Promise<Writer> {
    const writer = await createWriter(this.#driver, this.#packer)
    this.#writers.add(writer)
    return writer
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#closing.abort()
      await Promise.all([...this.#groups].map((group) => group.leave()))
      await Promise.allSettled([...this.#writers].map((writer) => writer.close()))
      await this.#driver.close()
      await this.admin.close()
    })()
    return this.#closed
  }
}

/**
 * A broker over the driver's cluster, reached once already.
 * @throws MillraceError KAFKA_UNAVAILABLE, naming the address, when it does not answer within `patienceMs` or refuses us.
 */
export const openBroker = async (kind: Broker['kind'], driver: Driver): Promise<Broker> => {
  const broker = new DrivenBroker(kind, driver)
  try {
    await broker.admin.describe([])
    return broker
  } catch (error) {
    await broker.close()
    throw error
  }
}
