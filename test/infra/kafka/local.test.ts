/** The launcher of a local Kafka: starts what it says, keeps its log, leaves nothing behind. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, describe, expect, it } from 'vitest'
import { createKafkajsBroker } from '../../../infra/kafka/kafkajs/broker.ts'
import { type LocalKafka, localKafkaAvailable, startLocalKafka } from '../../../infra/kafka/local.ts'
import { kafkaMissing } from '../../kafka-server.ts'

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe.skipIf(kafkaMissing)('a local Kafka', { timeout: 120_000 }, () => {
  const running: LocalKafka[] = []
  afterEach(async () => {
    await Promise.all(running.splice(0).map((kafka) => kafka.stop()))
  })

  it('keeps what was written over a restart, in a folder of the user’s', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'millrace-test-'))
    const first = await startLocalKafka({ dataDir })
    running.push(first)
    const broker = await createKafkajsBroker({ brokers: [first.bootstrap] })
    await broker.admin.create([{ topic: 'kept', partitions: 1 }])
    const writer = await broker.writer()
    await writer.send([{ topic: 'kept', key: null, value: Buffer.from('x') }])
    await broker.close()
    await first.stop()
    expect(alive(first.pid)).toBe(false)
    const second = await startLocalKafka({ dataDir })
    running.push(second)
    const again = await createKafkajsBroker({ brokers: [second.bootstrap] })
    expect(await again.admin.offsets('kept')).toEqual([{ partition: 0, earliest: 0, latest: 1 }])
    await again.close()
    await second.stop()
    await access(join(dataDir, 'server.log'))
    await rm(dataDir, { recursive: true })
  })

  it('keeps what was acknowledged when its broker is killed and started again, behind a proxy’s port', async () => {
    let through = 0
    const proxy = net.createServer((client) => {
      through++
      const broker = net.connect(target, '127.0.0.1')
      for (const socket of [client, broker]) socket.on('error', () => {})
      client.pipe(broker).pipe(client)
    })
    await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
    const { port } = proxy.address() as net.AddressInfo
    let target = 0
    const kafka = await startLocalKafka({
      settings: { 'broker.session.timeout.ms': '2000' },
      advertise: (own, id) => {
        expect(id).toBe(1)
        target = own
        return port
      },
    })
    running.push(kafka)
    const node = kafka.nodes[0]!
    expect([node.port, kafka.bootstrap]).toEqual([target, `127.0.0.1:${port}`])
    const broker = await createKafkajsBroker({ brokers: [kafka.bootstrap] })
    await broker.admin.create([{ topic: 'kept', partitions: 1 }])
    const writer = await broker.writer()
    await writer.send([{ topic: 'kept', key: null, value: Buffer.from('x') }])
    const { pid } = node
    await node.kill()
    expect(alive(pid)).toBe(false)
    await node.start()
    expect(node.pid).not.toBe(pid)
    expect(kafka.pid).toBe(node.pid)
    expect(await broker.admin.offsets('kept')).toEqual([{ partition: 0, earliest: 0, latest: 1 }])
    await broker.close()
    const before = through
    const past = await createKafkajsBroker({ brokers: [kafka.internal] })
    expect(await past.admin.offsets('kept')).toEqual([{ partition: 0, earliest: 0, latest: 1 }])
    await past.close()
    expect(through).toBe(before)
    await kafka.stop()
    await expect(access(kafka.dataDir)).rejects.toMatchObject({ code: 'ENOENT' })
    await new Promise((done) => proxy.close(done))
  })

  it('of three brokers goes on without the leader of a topic, and takes it back', async () => {
    const kafka = await startLocalKafka({ brokers: 3 })
    running.push(kafka)
    const broker = await createKafkajsBroker({ brokers: kafka.bootstrap.split(',') })
    await broker.admin.create([{ topic: 'replicated', partitions: 1 }])
    const writer = await broker.writer()
    const send = (value: string) =>
      writer.send([{ topic: 'replicated', key: null, value: Buffer.from(value) }])
    await send('before')
    const admin = new Kafka({ brokers: kafka.internal.split(','), logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: ['replicated'] })
    await admin.disconnect()
    const { leader, replicas } = topics[0]!.partitions[0]!
    expect(replicas.toSorted()).toEqual([1, 2, 3])
    await kafka.nodes[leader - 1]!.kill()
    await send('without it')
    await kafka.nodes[leader - 1]!.start()
    await send('with it')
    expect(await broker.admin.offsets('replicated')).toEqual([{ partition: 0, earliest: 0, latest: 3 }])
    await broker.close()
  })

  it('dies with the process that started it, even a killed one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-test-'))
    const script = join(folder, 'parent.mts')
    const launcher = resolve('infra/kafka/local.ts')
    await writeFile(
      script,
      `import { startLocalKafka } from ${JSON.stringify(launcher)}
const { pid, dataDir } = await startLocalKafka()
console.log(JSON.stringify({ pid, dataDir }))
setInterval(() => {}, 1000)`,
    )
    const parent = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const { pid, dataDir } = JSON.parse(line.toString()) as { pid: number; dataDir: string }
    expect(alive(pid)).toBe(true)
    parent.kill('SIGKILL')
    await expect.poll(() => alive(pid), { timeout: 15_000 }).toBe(false)
    const there = () =>
      access(dataDir).then(
        () => true,
        () => false,
      )
    await expect.poll(there, { timeout: 15_000 }).toBe(false)
    await rm(folder, { recursive: true })
  })
})

describe('where Java is missing', () => {
  it('the launcher says what to install, or to name a cluster', async () => {
    const { PATH } = process.env
    try {
      process.env['PATH'] = '/nowhere'
      expect(await localKafkaAvailable()).toMatchObject({
        ok: false,
        missing: expect.stringMatching(/^Java/),
      })
      await expect(startLocalKafka()).rejects.toMatchObject({
        code: 'JAVA_MISSING',
        message: expect.stringMatching(/Java.*--kafka host:port/),
      })
    } finally {
      process.env['PATH'] = PATH
    }
  })
})
