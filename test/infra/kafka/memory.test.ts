import { describe, expect, it } from 'vitest'
import { createMemoryBroker, type Fault, MemoryCluster } from '../../../infra/kafka/memory.ts'
import type { Batch, Broker, Task } from '../../../infra/kafka/port.ts'
import { codeOf } from '../../../schemas/errors.ts'
import { commitBatch, Scene } from '../../contracts/broker/harness.ts'
import { type BrokerHarness, describeBroker } from '../../contracts/broker.ts'

const harnessOf = (cluster: MemoryCluster): BrokerHarness => ({
  connect: async () => createMemoryBroker({ cluster }),
  connectDoomed: async () => createMemoryBroker({ cluster, fault: () => 'crash' }),
  transaction: async (records, transactionalId) => {
    const open = cluster.transaction(records, transactionalId)
    return { commit: async () => open.commit(), abort: async () => open.abort() }
  },
  deleteRecords: async (topic, partition, before) => cluster.topic(topic).log(partition).deleteBelow(before),
  addPartitions: async (topic, count) => cluster.grow(topic, count),
  deleteTopic: async (topic) => cluster.remove(topic),
})

describeBroker('in memory', harnessOf(new MemoryCluster()))

describe('the in-memory broker', () => {
  it('stamps records with the clock it is given', async () => {
    const broker = createMemoryBroker({ now: () => 42 })
    const scene = new Scene(harnessOf(broker.cluster))
    const topic = await scene.topic(broker, 'stamped')
    await scene.write(broker, topic, ['a'])
    const stamps: number[] = []
    await broker.read({ topic, to: new Map([[0, 1]]) }, ({ records }) => {
      stamps.push(...records.map(({ timestamp }) => timestamp))
    })
    expect(stamps).toEqual([42])
  })

  /** Copies an input of 9 values through a task whose first commit meets the fault; gives the output and the codes met. */
  const copyThrough = async (fault: Fault) => {
    const cluster = new MemoryCluster()
    const scene = new Scene(harnessOf(cluster))
    const faults = [fault]
    const broker = scene.track(createMemoryBroker({ cluster, fault: () => faults.pop() }))
    const input = await scene.topic(broker, 'in')
    const output = await scene.topic(broker, 'out')
    const values = Array.from({ length: 9 }, (_, index) => `v${index}`)
    await scene.write(broker, input, values)
    const codes: string[] = []
    const copy = (task: Task, batch: Batch): Promise<void> =>
      commitBatch(task, batch, output).catch((error: unknown) => {
        codes.push(codeOf(error, 'KAFKA_UNAVAILABLE'))
      })
    const member = scene.join(broker, { app: 'app', job: 'job', topics: [input], maxBatchRecords: 3 }, copy)
    await scene.until('outputs', async () => (await scene.values(broker, output)).length >= 9)
    const found = await scene.values(broker, output)
    await scene.clear()
    return { found, values, codes, lost: member.lost, tasks: member.received.length }
  }

  it.each(['request-lost', 'reply-lost'] as const)(
    'copies exactly once over a commit with its %s',
    async (fault) => {
      const { found, values, codes, lost, tasks } = await copyThrough(fault)
      expect(codes).toEqual(['COMMIT_UNKNOWN'])
      expect(lost).toEqual(['COMMIT_UNKNOWN'])
      expect(tasks).toBe(2)
      expect(found).toEqual(values)
    },
  )

  it('ends what a dead member left open after the transaction time-out, though nobody takes over', async () => {
    const cluster = new MemoryCluster()
    const scene = new Scene(harnessOf(cluster))
    const doomed = scene.track(createMemoryBroker({ cluster, fault: () => 'crash' }))
    const input = await scene.topic(doomed, 'in')
    const output = await scene.topic(doomed, 'out')
    await scene.write(doomed, input, ['a'])
    const options = { app: 'app', job: 'job', topics: [input], transactionTimeoutMs: 50 }
    scene.join(doomed, options, (task, batch) => commitBatch(task, batch, output))
    const broker: Broker = await scene.connect()
    await scene.until('the outputs are pending', () => cluster.topic(output).log(0).end === 1)
    expect((await broker.admin.offsets(output))[0]?.latest).toBe(0)
    await scene.until('they are aborted', async () => (await broker.admin.offsets(output))[0]!.latest === 2)
    expect(await scene.values(broker, output)).toEqual([])
    await scene.clear()
  })

  it('stays small over a long run, and gives the event loop its turns', async () => {
    const cluster = new MemoryCluster()
    const scene = new Scene(harnessOf(cluster))
    const broker = await scene.connect()
    const input = await scene.topic(broker, 'in', 4)
    const output = await scene.topic(broker, 'out')
    let largest = 0
    let through = 0
    const kept = (): number =>
      cluster.topics.flatMap(({ partitions }) => partitions).reduce((sum, { size }) => sum + size, 0)
    scene.join(broker, { app: 'app', job: 'copy', topics: [input] }, (task, batch) => {
      largest = Math.max(largest, kept())
      return commitBatch(task, batch, output)
    })
    scene.join(broker, { app: 'app', job: 'sink', topics: [output] }, (task, batch) => {
      through += batch.records.length
      return commitBatch(task, batch)
    })
    let turns = 0
    const turning = setInterval(() => turns++, 1)
    const writer = await broker.writer()
    const value = Buffer.alloc(100)
    for (let sent = 0; sent < 50_000; sent += 500)
      await writer.send(
        Array.from({ length: 500 }, (_, index) => ({
          topic: input,
          key: Buffer.from(`${sent + index}`),
          value,
        })),
      )
    await scene.until('all is through', () => through === 50_000)
    clearInterval(turning)
    await scene.until('all is dropped', () => kept() === 0)
    expect(largest).toBeLessThan(10_000)
    expect(turns).toBeGreaterThan(5)
    await scene.clear()
  })

  it('refuses everything once closed', async () => {
    const broker = createMemoryBroker()
    await broker.admin.create([{ topic: 'topic', partitions: 1 }])
    const writer = await broker.writer()
    await broker.close()
    const codes = await Promise.all(
      [
        broker.admin.describe(),
        broker.read({ topic: 'topic' }, () => undefined),
        writer.send([{ topic: 'topic', key: null, value: null }]),
      ].map((each) =>
        each.then(
          () => 'none',
          (error: unknown) => codeOf(error, 'INVALID_CONFIG'),
        ),
      ),
    )
    expect(codes).toEqual(Array(3).fill('KAFKA_UNAVAILABLE'))
  })
})
