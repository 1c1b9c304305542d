/**
 * Tasks of the kafkajs adapter whose process or line stands still in the middle of a commit, on a real Apache Kafka: none is written
 * twice or lost, and nobody waits for what does not answer. (Processes really stopped are in test/faults.)
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createKafkajsBroker, type KafkajsOptions } from '../../../infra/kafka/kafkajs/broker.ts'
import type { Broker } from '../../../infra/kafka/port.ts'
import { codeOf } from '../../../schemas/errors.ts'
import { commitBatch, Scene } from '../../contracts/broker/harness.ts'
import { acquireKafka, kafkaMissing, releaseKafka } from '../../kafka-server.ts'
import { apacheKafka } from './apache-kafka.ts'
import { FETCH, type HeldSockets, holdingSockets, REQUEST } from './held-sockets.ts'

describe.skipIf(kafkaMissing)('a task of kafkajs', { timeout: 90_000 }, () => {
  let bootstrap = ''
  const connect = (options: Omit<KafkajsOptions, 'brokers'> = {}): Promise<Broker> =>
    createKafkajsBroker({ brokers: [bootstrap], ...options })
  const scene = new Scene({ patienceMs: 30_000, connect: () => connect(), ...apacheKafka(() => bootstrap) })

  beforeAll(async () => {
    bootstrap = (await acquireKafka()).bootstrap
  })
  afterEach(() => scene.clear())
  afterAll(releaseKafka)

  /** An input with three values, an output, a watcher on the cluster and a member whose sockets may be held. */
  const stage = async (held: HeldSockets, answerTimeoutMs = 30_000, transactionTimeoutMs = 1500) => {
    const watcher = await scene.connect()
    const [input, output] = [await scene.topic(watcher, 'in'), await scene.topic(watcher, 'out')]
    await scene.write(watcher, input, ['a', 'b', 'c'])
    const limits = { sessionTimeoutMs: 1500, transactionTimeoutMs, revokeTimeoutMs: 300 }
    const options = { app: scene.name('app'), job: 'job', topics: [input], maxBatchRecords: 1, ...limits }
    const broker = scene.track(await connect({ socketFactory: held.socketFactory, answerTimeoutMs }))
    const codes: string[] = []
    const member = scene.join(broker, options, (task, batch) =>
      commitBatch(task, batch, output).catch((error) => {
        codes.push(codeOf(error, 'INVALID_CONFIG'))
      }),
    )
    await scene.until('the commit is held', () => held.holding)
    return { watcher, input, output, options, broker, member, codes }
  }
  const LOST = ['PRODUCER_FENCED', 'STALE_GENERATION', 'COMMIT_UNKNOWN']

  it('gives up a commit that is not answered when it is taken away, and who comes next settles it', async () => {
    const held = holdingSockets(REQUEST.endTransaction, false)
    const { watcher, output, options, member, codes } = await stage(held)
    member.leave()
    await scene.until('the commit is given up', () => codes.length > 0)
    expect(codes).toEqual(['COMMIT_UNKNOWN'])
    scene.join(await scene.connect(), options, (task, batch) => commitBatch(task, batch, output))
    await scene.until('outputs', async () => (await scene.values(watcher, output)).length >= 3)
    expect(await scene.values(watcher, output)).toEqual(['a', 'b', 'c'])
    held.release()
  })

  it.each([
    ['fetch', FETCH],
    ['the end of a transaction', REQUEST.endTransaction],
  ])('goes on where nothing is answered any more on the connection of %s', async (_, request) => {
    const held = holdingSockets(request, false)
    const { watcher, output, member } = await stage(held, 1000)
    await scene.until('outputs', async () => (await scene.values(watcher, output)).length >= 3)
    expect(await scene.values(watcher, output)).toEqual(['a', 'b', 'c'])
    expect(member.failure).toBeUndefined()
    held.release()
  })

  it.each(Object.entries(REQUEST))(
    'that stood still before %s until another had taken it over writes nothing more, and joins again',
    async (_, request) => {
      // Where offsets are meant, the request names the group; a produce request, the id.
      const held = holdingSockets(request, true, 'app-')
      const { watcher, input, output, options, member, codes } = await stage(held, 30_000, 30_000)
      const second = scene.join(await scene.connect(), options, (task, batch) =>
        commitBatch(task, batch, output),
      )
      await scene.until('outputs', async () => (await scene.values(watcher, output)).length >= 3)
      held.release()
      await scene.until('the commit fails', () => codes.length > 0)
      expect(LOST).toContain(codes[0])
      second.leave()
      const before = member.received.length
      await scene.until('it owns the task again', () => member.received.length > before)
      await scene.write(watcher, input, ['d'])
      await scene.until('outputs', async () => (await scene.values(watcher, output)).length >= 4)
      expect(await scene.values(watcher, output)).toEqual(['a', 'b', 'c', 'd'])
      expect(member.failure).toBeUndefined()
      expect(codes.every((code) => LOST.includes(code))).toBe(true)
    },
  )
})
