/**
 * What the broker contract stands on: the harness an adapter gives, and a scene that makes names, members and waits for the tests.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Subscription } from 'rxjs'
import { expect } from 'vitest'
import type {
  Batch,
  Broker,
  OutputRecord,
  Position,
  Task,
  TaskGroupOptions,
} from '../../../infra/kafka/port.ts'
import { codeOf, type ErrorCode } from '../../../schemas/errors.ts'

export interface OpenTransaction {
  commit(): Promise<void>
  abort(): Promise<void>
}

export interface BrokerHarness {
  /** A new member of the cluster, as another process would be; closed by the suite. */
  connect(): Promise<Broker>
  /**
   * The records, appended in a transaction that is still open. Initialises a producer under `transactionalId` (a new id where absent),
   * which fences whoever held it.
   */
  transaction(records: readonly OutputRecord[], transactionalId?: string): Promise<OpenTransaction>
  /** Deletes the records of a partition below an offset. */
  deleteRecords(topic: string, partition: number, before: number): Promise<void>
  /** Adds partitions to a topic, up to a number. */
  addPartitions(topic: string, count: number): Promise<void>
  deleteTopic(topic: string): Promise<void>
  /** A member that dies in its first commit: outputs and positions were sent, the transaction is never ended. */
  connectDoomed?(): Promise<Broker>
  /** Longest wait for anything (default 5,000); a rebalance with an unresponsive member must fit. */
  readonly patienceMs?: number
}

/** A member of a job's group, as the tests drive it. */
export interface Member {
  readonly broker: Broker
  /** Tasks held now, by partition number. */
  readonly open: Map<number, Task>
  /** Every task ever received, in order. */
  readonly received: Task[]
  /** Every batch received, in order. */
  readonly batches: { readonly task: Task; readonly batch: Batch }[]
  /** Codes of the errors with which tasks were lost. */
  readonly lost: ErrorCode[]
  /** Error of the whole group, if any. */
  failure: unknown
  leave(): void
}

/** What a member does with a batch; it may commit or release there, or leave both to the test. */
export type OnBatch = (task: Task, batch: Batch) => Promise<void> | void

export const text = (value: Buffer | null): string => value?.toString() ?? 'null'
export const bytes = (value: string): Buffer => Buffer.from(value)

export class Scene {
  readonly #harness: BrokerHarness
  #brokers: Broker[] = []
  #subscriptions: Subscription[] = []

  constructor(harness: BrokerHarness) {
    this.#harness = harness
  }

  get harness(): BrokerHarness {
    return this.#harness
  }

  get patienceMs(): number {
    return this.#harness.patienceMs ?? 5000
  }

  /** A name no other test uses. */
  name(label: string): string {
    return `${label}-${randomUUID().slice(0, 8)}`
  }

  async connect(): Promise<Broker> {
    return this.track(await this.#harness.connect())
  }

  track(broker: Broker): Broker {
    this.#brokers.push(broker)
    return broker
  }

  /** Leaves every group and closes every member of the test. */
  async clear(): Promise<void> {
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe()
    await Promise.all(this.#brokers.splice(0).map((broker) => broker.close()))
  }

  async topic(broker: Broker, label: string, partitions = 1): Promise<string> {
    const topic = this.name(label)
    await broker.admin.create([{ topic, partitions }])
    return topic
  }

  /** Writes values to one partition of a topic, in one send. */
  async write(broker: Broker, topic: string, values: readonly string[], partition = 0): Promise<void> {
    const writer = await broker.writer()
    await writer.send(values.map((value) => ({ topic, partition, key: null, value: bytes(value) })))
    await writer.close()
  }

  /** All that can be read of a topic now, partition after partition. */
  async readAll(
    broker: Broker,
    topic: string,
  ): Promise<{ partition: number; offset: number; value: string }[]> {
    const offsets = await broker.admin.offsets(topic)
    const records: { partition: number; offset: number; value: string }[] = []
    await broker.read(
      {
        topic,
        from: new Map(offsets.map(({ partition, earliest }) => [partition, earliest])),
        to: new Map(offsets.map(({ partition, latest }) => [partition, latest])),
      },
      (batch) => {
        for (const { offset, value } of batch.records)
          records.push({ partition: batch.partition, offset, value: text(value) })
      },
    )
    return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
  }

  /** The values of `readAll`. */
  async values(broker: Broker, topic: string): Promise<string[]> {
    return (await this.readAll(broker, topic)).map(({ value }) => value)
  }

  /** Waits until a topic reads so: Kafka acknowledges the end of a transaction a moment before it shows it. */
  async shows(broker: Broker, topic: string, values: readonly string[]): Promise<void> {
    const { patienceMs: timeout } = this
    await expect.poll(() => this.values(broker, topic), { timeout }).toEqual(values)
  }

  /** Waits until the job's position in partition `at` of a topic is so. */
  async stands(
    broker: Broker,
    { app, job }: Pick<TaskGroupOptions, 'app' | 'job'>,
    topic: string,
    at: number,
    position: Position,
  ): Promise<void> {
    const { patienceMs: timeout } = this
    const committed = async () => (await broker.admin.committed(app, job, [topic])).get(topic)?.get(at)
    await expect.poll(committed, { timeout }).toEqual(position)
  }

  /** Joins a job's group; without `onBatch` its batches wait for the test. */
  join(broker: Broker, options: TaskGroupOptions, onBatch?: OnBatch): Member {
    const member: Member = {
      broker,
      open: new Map(),
      received: [],
      batches: [],
      lost: [],
      failure: undefined,
      leave: () => subscription.unsubscribe(),
    }
    const follow = (task: Task): void => {
      const closed = (): void => {
        if (member.open.get(task.partition) === task) member.open.delete(task.partition)
      }
      member.received.push(task)
      member.open.set(task.partition, task)
      task.batches.subscribe({
        next: (batch) => {
          member.batches.push({ task, batch })
          // A commit that fails says so through the task as well.
          Promise.resolve(onBatch?.(task, batch)).catch(() => undefined)
        },
        error: (error: unknown) => {
          member.lost.push(codeOf(error, 'KAFKA_UNAVAILABLE'))
          closed()
        },
        complete: closed,
      })
    }
    const subscription = broker.tasks(options).subscribe({
      next: follow,
      error: (error: unknown) => {
        member.failure = error
      },
    })
    this.#subscriptions.push(subscription)
    return member
  }

  /** Polls until `condition` holds, else fails with what it waited for. */
  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + this.patienceMs
    while (!(await condition())) {
      if (performance.now() > deadline) throw new Error(`waited ${this.patienceMs} ms in vain: ${what}`)
      await sleep(10)
    }
  }

  /** Until the member has received `count` batches that are not idle; gives them. */
  async batches(member: Member, count: number): Promise<readonly { task: Task; batch: Batch }[]> {
    const some = () => member.batches.filter(({ batch }) => !batch.idle)
    await this.until(`${count} batches`, () => some().length >= count || member.failure !== undefined)
    if (member.failure !== undefined) throw member.failure
    return some()
  }

  /** Waits for the batch and gives it with its task. */
  async batch(member: Member, number = 1): Promise<{ task: Task; batch: Batch }> {
    return (await this.batches(member, number))[number - 1]!
  }

  /** Expects a rejection with one of the codes. */
  async refused(promise: Promise<unknown>, ...codes: ErrorCode[]): Promise<void> {
    const outcome = await promise.then(
      () => 'no error',
      (error: unknown) => codeOf(error, 'KAFKA_UNAVAILABLE'),
    )
    expect(codes).toContain(outcome)
  }
}

/** Commits a batch: its position and, where `output` is given, one record there for each record. */
export const commitBatch = (task: Task, batch: Batch, output?: string): Promise<void> =>
  task.commit({
    outputs:
      output === undefined
        ? []
        : batch.records.map(({ key, value }) => ({ topic: output, partition: 0, key, value })),
    positions: new Map(batch.idle ? [] : [[batch.topic, { offset: batch.nextOffset }]]),
  })
