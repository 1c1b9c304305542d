/**
 * The load of `bench hop`, a process of its own: releases outcomes as decisions are made, and measures latency from the sending of a
 * request to its answer's receipt by a read_committed consumer. Talks to its parent by messages.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import { QUICK_RETRY } from '../../infra/kafka/kafkajs/client.ts'

export interface Outgoing {
  readonly key: string
  /** Base64. */
  readonly value: string
}

export type Order =
  | { readonly kind: 'connect'; readonly bootstrap: string }
  /** Keep these ready for `topic`. */
  | {
      readonly kind: 'load'
      readonly as: 'requests' | 'outcomes'
      readonly topic: string
      readonly messages: readonly Outgoing[]
    }
  /** Write so many outcomes. */
  | { readonly kind: 'release'; readonly count: number }
  /** Send `perSecond` requests and as many outcomes a second for so long, and tell the latencies of what comes out of `answers`. */
  | {
      readonly kind: 'pace'
      readonly answers: string
      readonly perSecond: number
      readonly warmUpMs: number
      readonly ms: number
    }
  | { readonly kind: 'end' }

export type Answer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'latencies'; readonly ms: number[]; readonly sent: number }

/** Messages ready to be sent, in order. */
class Stock {
  topic = ''
  private messages: { readonly key: string; readonly value: Buffer }[] = []
  private sent = 0

  fill(topic: string, messages: readonly Outgoing[]): void {
    this.topic = topic
    this.messages = messages.map(({ key, value }) => ({ key, value: Buffer.from(value, 'base64') }))
    this.sent = 0
  }

  next(count: number) {
    return this.messages.slice(this.sent, this.sent + count)
  }

  take(count: number) {
    const messages = this.next(count)
    this.sent += messages.length
    return messages
  }
}

if (process.send !== undefined) {
  let kafka: Kafka
  let producer: ReturnType<Kafka['producer']>
  const stocks = { requests: new Stock(), outcomes: new Stock() }
  const tell = (answer: Answer) => process.send?.(answer)
  const send = async (stock: Stock, count: number) => {
    const messages = stock.take(count)
    if (messages.length > 0) await producer.send({ topic: stock.topic, messages })
  }

  const pace = async ({ answers, perSecond, warmUpMs, ms }: Extract<Order, { kind: 'pace' }>) => {
    const sentAt = new Map<string, number>()
    const latencies: number[] = []
    const consumer = kafka.consumer({ groupId: `latency-${answers}`, maxWaitTimeInMs: 100 })
    await consumer.connect()
    await consumer.subscribe({ topic: answers, fromBeginning: true })
    let warm = 0
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        const now = performance.now()
        for (const message of batch.messages) {
          const sent = sentAt.get(String(message.key))
          if (sent !== undefined && sent >= warm) latencies.push(now - sent)
        }
      },
    })
    await sleep(2_000)
    const start = performance.now()
    warm = start + warmUpMs
    const under: Promise<void>[] = []
    let sent = 0
    while (performance.now() - start < warmUpMs + ms) {
      const due = Math.floor(((performance.now() - start) * perSecond) / 1_000)
      if (due > sent) {
        const now = performance.now()
        for (const { key } of stocks.requests.next(due - sent)) sentAt.set(key, now)
        under.push(send(stocks.requests, due - sent), send(stocks.outcomes, due - sent))
        sent = due
      }
      await sleep(2)
    }
    await Promise.all(under)
    await sleep(1_000)
    await consumer.disconnect()
    tell({ kind: 'latencies', ms: latencies, sent })
  }

  process.on('message', async (order: Order) => {
    switch (order.kind) {
      case 'connect':
        kafka = new Kafka({ brokers: [order.bootstrap], logLevel: logLevel.NOTHING, retry: QUICK_RETRY })
        producer = kafka.producer()
        await producer.connect()
        return tell({ kind: 'ready' })
      case 'load':
        stocks[order.as].fill(order.topic, order.messages)
        return tell({ kind: 'ready' })
      case 'release':
        return send(stocks.outcomes, order.count)
      case 'pace':
        return pace(order)
      case 'end':
        await producer.disconnect()
        process.exit(0)
    }
  })
}
