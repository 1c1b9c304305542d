/** The kafkajs adapter on a real Apache Kafka: the contract of every broker. */
import { randomUUID } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import { type ISocketFactory, Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKafkajsBroker } from '../../../infra/kafka/kafkajs/broker.ts'
import { type BrokerHarness, describeBroker } from '../../contracts/broker.ts'
import { acquireKafka, kafkaMissing, releaseKafka } from '../../kafka-server.ts'

const END_TRANSACTION = 26

/**
 * Sockets that all break when the first end of a transaction is written: before it leaves, or once it has left. Where `forever`,
 * no others can be made.
 */
const breakingSockets = (when: 'before' | 'after', forever: boolean): ISocketFactory => {
  const sockets = new Set<net.Socket>()
  let broken = false
  const breakAll = () => {
    for (const each of sockets) each.destroy(new Error('broken by the test'))
    sockets.clear()
  }
  return ({ host, port, ssl, onConnect }) => {
    const socket = ssl
      ? tls.connect({ host, port, ...ssl }, onConnect)
      : net.connect({ host, port }, onConnect)
    sockets.add(socket)
    if (broken && forever) socket.destroy(new Error('broken by the test'))
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
    socket.write = ((data: Buffer, ...rest: unknown[]) => {
      const ends = !broken && data.length > 6 && data.readInt16BE(4) === END_TRANSACTION
      if (!ends) return write(data, ...rest)
      broken = true
      if (when === 'after') return write(data, () => breakAll())
      breakAll()
      return false
    }) as typeof socket.write
    return socket
  }
}

describe.skipIf(kafkaMissing)('kafkajs', () => {
  let bootstrap = ''
  let kafka: Kafka
  const harness: BrokerHarness = {
    patienceMs: 20_000,
    connect: () => createKafkajsBroker({ brokers: [bootstrap] }),
    connectDoomed: () =>
      createKafkajsBroker({ brokers: [bootstrap], socketFactory: breakingSockets('before', true) }),
    async transaction(records, transactionalId = `test-${Math.random().toString(36).slice(2)}`) {
      const producer = kafka.producer({
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
    async deleteRecords(topic, partition, before) {
      const admin = kafka.admin()
      await admin.connect()
      await admin.fetchTopicOffsets(topic)
      await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] })
      await admin.disconnect()
    },
  }

  beforeAll(async () => {
    bootstrap = (await acquireKafka()).bootstrap
    kafka = new Kafka({
      brokers: [bootstrap],
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 20, maxRetryTime: 200, retries: 100 },
    })
  })
  afterAll(releaseKafka)

  describeBroker('kafkajs on Apache Kafka', harness)

  it('writes what is sent right after an acknowledgement, and what is sent together', async () => {
    const broker = await createKafkajsBroker({ brokers: [bootstrap] })
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

  it.each(['before', 'after'] as const)(
    'writes once what a commit in doubt wrote, where the connection breaks %s its end was sent',
    async (when) => {
      const broker = await createKafkajsBroker({
        brokers: [bootstrap],
        socketFactory: breakingSockets(when, false),
      })
      const [input, output] = [`in-${randomUUID()}`, `out-${randomUUID()}`]
      await broker.admin.create([input, output].map((topic) => ({ topic, partitions: 1 })))
      const writer = await broker.writer()
      await writer.send(
        ['a', 'b', 'c'].map((value) => ({ topic: input, key: null, value: Buffer.from(value) })),
      )
      const codes: string[] = []
      const options = { app: `app-${randomUUID()}`, job: 'job', topics: [input], maxBatchRecords: 1 }
      broker.tasks(options).subscribe((task) => {
        task.batches.subscribe({
          next: ({ records, nextOffset }) => {
            const outputs = records.map(({ key, value }) => ({ topic: output, key, value }))
            const positions = new Map([[input, { offset: nextOffset }]])
            task.commit({ outputs, positions }).catch((error) => codes.push(error.code))
          },
          error: () => {},
        })
      })
      const values = async () => {
        const seen: string[] = []
        const { latest } = (await broker.admin.offsets(output))[0]!
        await broker.read({ topic: output, to: new Map([[0, latest]]) }, (batch) => {
          seen.push(...batch.records.map(({ value }) => String(value)))
        })
        return seen
      }
      await expect.poll(async () => (await values()).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(3)
      expect(await values()).toEqual(['a', 'b', 'c'])
      expect(codes).toEqual(['COMMIT_UNKNOWN'])
      await broker.close()
    },
  )

  it('stops loudly where a committed position was removed, and leaves it as it was', async () => {
    const broker = await createKafkajsBroker({ brokers: [bootstrap] })
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
    const broker = await createKafkajsBroker({ brokers: [bootstrap] })
    const other = await createKafkajsBroker({ brokers: [bootstrap] })
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
})

describe('an unreachable cluster', () => {
  it('is named in the error, with what to start', async () => {
    const options = { brokers: ['127.0.0.1:1'], patienceMs: 300 }
    await expect(createKafkajsBroker(options)).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      message: expect.stringMatching(/127\.0\.0\.1:1.*--kafka local/),
    })
  })
})
