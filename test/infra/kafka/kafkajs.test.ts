/** The kafkajs adapter on a real Apache Kafka: the contract of every broker. */
import net from 'node:net'
import tls from 'node:tls'
import { type ISocketFactory, Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe } from 'vitest'
import { createKafkajsBroker } from '../../../infra/kafka/kafkajs/broker.ts'
import { type BrokerHarness, describeBroker } from '../../contracts/broker.ts'
import { acquireKafka, kafkaMissing, releaseKafka } from '../../kafka-server.ts'

const END_TRANSACTION = 26

/** Sockets that all break, and can never be made again, when an end of transaction is about to be sent. */
const doomedSockets = (): ISocketFactory => {
  const sockets = new Set<net.Socket>()
  let dead = false
  return ({ host, port, ssl, onConnect }) => {
    const socket = ssl ? tls.connect({ host, port, ...ssl }, onConnect) : net.connect({ host, port }, onConnect)
    if (dead) socket.destroy(new Error('dead'))
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
    socket.write = ((data: Buffer, ...rest: unknown[]) => {
      if (!dead && data.length > 6 && data.readInt16BE(4) === END_TRANSACTION) {
        dead = true
        for (const each of sockets) each.destroy(new Error('dead'))
      }
      return dead ? false : write(data, ...rest)
    }) as typeof socket.write
    sockets.add(socket)
    return socket
  }
}

describe.skipIf(kafkaMissing)('kafkajs', () => {
  let bootstrap = ''
  let kafka: Kafka
  const harness: BrokerHarness = {
    patienceMs: 20_000,
    connect: () => createKafkajsBroker({ brokers: [bootstrap] }),
    connectDoomed: () => createKafkajsBroker({ brokers: [bootstrap], socketFactory: doomedSockets() }),
    async transaction(records, transactionalId = `test-${Math.random().toString(36).slice(2)}`) {
      const producer = kafka.producer({ transactionalId, createPartitioner: () => ({ message }) => message.partition ?? 0 })
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
})
