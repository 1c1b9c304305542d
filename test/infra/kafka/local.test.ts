/** The launcher of a local Kafka: starts what it says, keeps its log, leaves nothing behind. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
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

describe.skipIf(kafkaMissing)('a local Kafka', () => {
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
