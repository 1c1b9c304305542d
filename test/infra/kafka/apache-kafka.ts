/** What the contract needs of a real Apache Kafka beside an adapter, and what is asked of the adapters over a client library only. */
import { randomUUID } from 'node:crypto'
import { type Admin, Kafka, logLevel } from 'kafkajs'
import { describe, expect, it } from 'vitest'
import { commitBatch, Scene } from '../../contracts/broker/harness.ts'
import type { BrokerHarness } from '../../contracts/broker.ts'

/** Transactions and deletions by a plain kafkajs client of the cluster at `bootstrap()`. */
export const apacheKafka = (
  bootstrap: () => string,
): Pick<BrokerHarness, 'transaction' | 'deleteRecords' | 'addPartitions' | 'deleteTopic'> => {
  const kafka = () =>
    new Kafka({
      brokers: [bootstrap()],
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 20, maxRetryTime: 200, retries: 100 },
    })
  const administer = async <T>(act: (admin: Admin) => Promise<T>) => {
    const admin = kafka().admin()
    await admin.connect()
    await act(admin)
    await admin.disconnect()
  }
  return {
    async transaction(records, transactionalId = `test-${Math.random().toString(36).slice(2)}`) {
      const producer = kafka().producer({
        transactionalId,
        createPartitioner:
          () =>
          ({ message }) =>
            message.partition ?? 0,
      })
      await producer.connect()
      const transaction = await producer.transaction()
      for (const { topic, partition = 0, key, value } of records)
        await transaction.send({ topic, messages: [{ partition, key, value }] })
      const end = async (how: 'commit' | 'abort') => {
        await transaction[how]()
        await producer.disconnect()
      }
      return { commit: () => end('commit'), abort: () => end('abort') }
    },
    deleteRecords: (topic, partition, before) =>
      administer(async (admin) => {
        await admin.fetchTopicOffsets(topic)
        await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] })
      }),
    addPartitions: (topic, count) =>
      administer((admin) => admin.createPartitions({ topicPartitions: [{ topic, count }] })),
    deleteTopic: (topic) => administer((admin) => admin.deleteTopics({ topics: [topic] })),
  }
}

export const describeAdapter = (harness: BrokerHarness): void => {
  describe('over a client library', () => {
    it('writes what is sent right after an acknowledgement, and what is sent together', async () => {
      const broker = await harness.connect()
      const topic = `writer-${randomUUID()}`
      await broker.admin.create([{ topic, partitions: 2 }])
      const writer = await broker.writer()
      const record = (value: string) => ({ topic, key: null, value: Buffer.from(value) })
      for (let i = 0; i < 20; i++) await writer.send([record(`alone-${i}`)])
      await Promise.all(Array.from({ length: 20 }, (_, i) => writer.send([record(`together-${i}`)])))
      const offsets = await broker.admin.offsets(topic)
      expect(offsets.reduce((sum, { latest }) => sum + latest, 0)).toBe(40)
      await broker.close()
    })

    it('stops loudly where a committed position was removed, and leaves it as it was', async () => {
      const broker = await harness.connect()
      const topic = `removed-${randomUUID()}`
      await broker.admin.create([{ topic, partitions: 1 }])
      const writer = await broker.writer()
      await writer.send(Array.from({ length: 5 }, () => ({ topic, key: null, value: Buffer.from('x') })))
      const options = { app: `app-${randomUUID()}`, job: 'job', topics: [topic], maxBatchRecords: 1 }
      await new Promise<void>((done, failed) => {
        const group = broker.tasks(options).subscribe((task) => {
          task.batches.subscribe(({ nextOffset }) => {
            const positions = new Map([[topic, { offset: nextOffset, metadata: 'kept' }]])
            task
              .commit({ outputs: [], positions })
              .then(() => group.unsubscribe())
              .then(done, failed)
          })
        })
      })
      await harness.deleteRecords(topic, 0, 3)
      const stopped = new Promise((_, failed) =>
        broker
          .tasks(options)
          .subscribe({ next: (task) => task.batches.subscribe({ error: () => {} }), error: failed }),
      )
      await expect(stopped).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
      const committed = await broker.admin.committed(options.app, 'job', [topic])
      expect(committed.get(topic)?.get(0)).toEqual({ offset: 1, metadata: 'kept' })
      await broker.close()
    })

    it('goes on over a kept task when another member joins, and gives that one its share', async () => {
      const broker = await harness.connect()
      const other = await harness.connect()
      const topic = `kept-${randomUUID()}`
      await broker.admin.create([{ topic, partitions: 4 }])
      const options = { app: `app-${randomUUID()}`, job: 'job', topics: [topic] }
      const first = { opened: [] as number[], ended: [] as number[] }
      const second: number[] = []
      broker.tasks(options).subscribe(({ partition, batches }) => {
        first.opened.push(partition)
        batches.subscribe({ complete: () => first.ended.push(partition) })
      })
      await expect.poll(() => first.opened.length, { timeout: 20_000 }).toBe(4)
      other.tasks(options).subscribe(({ partition }) => second.push(partition))
      await expect.poll(() => second.length, { timeout: 20_000 }).toBe(2)
      expect(first.ended.toSorted()).toEqual(second.toSorted())
      expect(first.opened).toHaveLength(4)
      await Promise.all([broker.close(), other.close()])
    })

    it('stops loudly where one of two inputs lost its position, whatever the other still has', async () => {
      const scene = new Scene(harness)
      const broker = scene.track(await harness.connect())
      const [full, cut] = [await scene.topic(broker, 'full'), await scene.topic(broker, 'cut')]
      const options = { app: scene.name('app'), job: 'job', topics: [full, cut], maxBatchRecords: 10 }
      const values = Array.from({ length: 5000 }, (_, index) => `v${index}`)
      for (const topic of options.topics) await scene.write(broker, topic, values)
      const before = await scene.connect()
      const { task } = await scene.batch(scene.join(before, options))
      const positions = new Map(options.topics.map((topic) => [topic, { offset: 1 }]))
      await task.commit({ outputs: [], positions })
      await before.close()
      await harness.deleteRecords(cut, 0, 3)
      const member = scene.join(broker, options, (task, batch) => commitBatch(task, batch))
      await scene.until('it stops', () => member.failure !== undefined)
      expect(member.failure).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
      expect((await broker.admin.committed(options.app, 'job', [cut])).get(cut)?.get(0)?.offset).toBe(1)
      await scene.clear()
    })
  })
}
