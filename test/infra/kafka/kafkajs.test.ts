/** The kafkajs adapter on a real Apache Kafka: the contract of every broker. */
import { randomUUID } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import type { ISocketFactory } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKafkajsBroker } from '../../../infra/kafka/kafkajs/broker.ts'
import { type BrokerHarness, describeBroker } from '../../contracts/broker.ts'
import { acquireKafka, kafkaMissing, releaseKafka } from '../../kafka-server.ts'
import { apacheKafka, describeAdapter } from './apache-kafka.ts'

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
  const harness: BrokerHarness = {
    patienceMs: 20_000,
    connect: () => createKafkajsBroker({ brokers: [bootstrap] }),
    connectDoomed: () =>
      createKafkajsBroker({ brokers: [bootstrap], socketFactory: breakingSockets('before', true) }),
    ...apacheKafka(() => bootstrap),
  }

  beforeAll(async () => {
    bootstrap = (await acquireKafka()).bootstrap
  })
  afterAll(releaseKafka)

  describeBroker('kafkajs on Apache Kafka', harness)
  describeAdapter(harness)

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
