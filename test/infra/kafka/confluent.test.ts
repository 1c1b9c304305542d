/** The adapter over librdkafka on a real Apache Kafka: the contract of every broker, and what only librdkafka does so. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createConfluentBroker } from '../../../infra/kafka/confluent/broker.ts'
import { loadLibrary, PACKAGE } from '../../../infra/kafka/confluent/library.ts'
import { commitBatch, Scene } from '../../contracts/broker/harness.ts'
import { type BrokerHarness, describeBroker } from '../../contracts/broker.ts'
import { acquireKafka, kafkaMissing, releaseKafka } from '../../kafka-server.ts'
import { apacheKafka, describeAdapter } from './apache-kafka.ts'
import { type BreakingProxy, startBreakingProxy } from './breaking-proxy.ts'
import { confluentLibrary } from './confluent-library.ts'

describe.skipIf(kafkaMissing || !confluentLibrary)('confluent', () => {
  let bootstrap = ''
  const proxies: BreakingProxy[] = []
  const connect = (at: string, patienceMs?: number) =>
    createConfluentBroker(
      { brokers: [at], ...(patienceMs === undefined ? {} : { patienceMs }) },
      confluentLibrary,
    )
  const proxied = async (when: 'before' | 'after', forever: boolean) => {
    const proxy = await startBreakingProxy(bootstrap, when, forever)
    proxies.push(proxy)
    return proxy
  }
  const harness: BrokerHarness = {
    patienceMs: 20_000,
    connect: () => connect(bootstrap),
    connectDoomed: async () => connect((await proxied('before', true)).bootstrap),
    ...apacheKafka(() => bootstrap),
  }

  beforeAll(async () => {
    bootstrap = (await acquireKafka()).bootstrap
  })
  afterEach(async () => {
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()))
  })
  afterAll(releaseKafka)

  describeBroker('librdkafka on Apache Kafka', harness)
  describeAdapter(harness)

  it.each(['before', 'after'] as const)(
    'finishes a commit whose connection breaks %s its end is handed on, once',
    async (when) => {
      const scene = new Scene(harness)
      const broker = scene.track(await connect((await proxied(when, false)).bootstrap))
      const [input, output] = [await scene.topic(broker, 'in'), await scene.topic(broker, 'out')]
      await scene.write(broker, input, ['a', 'b', 'c'])
      const options = { app: scene.name('app'), job: 'job', topics: [input], maxBatchRecords: 1 }
      const member = scene.join(broker, options, (task, batch) => commitBatch(task, batch, output))
      await scene.until('outputs', async () => (await scene.values(broker, output)).length >= 3)
      expect(await scene.values(broker, output)).toEqual(['a', 'b', 'c'])
      expect(member.lost).toEqual([])
      await scene.clear()
    },
  )

  it('gives a commit in doubt up, and goes on from what was committed', async () => {
    const scene = new Scene(harness)
    const proxy = await proxied('after', true)
    const broker = scene.track(await connect(proxy.bootstrap))
    const watcher = await scene.connect()
    const [input, output] = [await scene.topic(broker, 'in'), await scene.topic(broker, 'out')]
    await scene.write(broker, input, ['a', 'b', 'c'])
    const limits = { maxBatchRecords: 1, transactionTimeoutMs: 1000 }
    const options = { app: scene.name('app'), job: 'job', topics: [input], ...limits }
    const member = scene.join(broker, options, (task, batch) => commitBatch(task, batch, output))
    await scene.until('a task is lost', () => member.lost.length > 0)
    proxy.heal()
    await scene.until('outputs', async () => (await scene.values(watcher, output)).length >= 3)
    expect(await scene.values(watcher, output)).toEqual(['a', 'b', 'c'])
    expect(member.lost[0]).toBe('COMMIT_UNKNOWN')
    await scene.clear()
  })

  it('says KAFKA_UNAVAILABLE to group, reader and writer when the cluster stays away', async () => {
    const scene = new Scene(harness)
    const broker = scene.track(await connect((await proxied('before', true)).bootstrap, 2000))
    const topic = await scene.topic(broker, 'in')
    const writer = await broker.writer()
    const record = { topic, key: null, value: Buffer.from('x') }
    await writer.send([record])
    const reading = broker.read({ topic }, () => {})
    const member = scene.join(
      broker,
      { app: scene.name('app'), job: 'job', topics: [topic] },
      (task, batch) => commitBatch(task, batch),
    )
    await Promise.all([
      expect(reading).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' }),
      scene.until('the group fails', () => member.failure !== undefined),
    ])
    expect(member.failure).toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    await expect(writer.send([record])).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    await scene.clear()
  })
})

describe('without its package', () => {
  it('says what to install', async () => {
    await expect(loadLibrary('@confluentinc/no-such-package')).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringContaining(`npm install ${PACKAGE}`),
    })
  })
})
