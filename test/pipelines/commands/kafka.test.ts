import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCodec } from '../../../infra/avro/codec.ts'
import { createKafkajsBroker } from '../../../infra/kafka/kafkajs/broker.ts'
import type { Broker, ConsumedRecord } from '../../../infra/kafka/port.ts'
import { acquireKafka, type KafkaServer, kafkaMissing, releaseKafka } from '../../kafka-server.ts'
import { eventually, type Started, useCommandLine } from './millrace.ts'

const PREFIX = `cli-${randomBytes(4).toString('hex')}.`
const LATER = '  - { name: later, algorithm: { kind: linUcb }, features: { dense: 2 } }\n'
const codec = createCodec()

describe.skipIf(kafkaMissing !== '')('the commands on a real Kafka', () => {
  const millrace = useCommandLine()
  let kafka: KafkaServer
  let broker: Broker
  let configuration = ''

  beforeAll(async () => {
    kafka = await acquireKafka()
    broker = await createKafkajsBroker({ brokers: [kafka.bootstrap] })
    configuration = [
      `app: ${PREFIX}app`,
      `kafka: { brokers: ['${kafka.bootstrap}'] }`,
      `topics: { prefix: '${PREFIX}', partitions: 2 }`,
      'http: { port: 0 }',
      'policies:',
      '  - { name: homepage, algorithm: { kind: linUcb }, features: { dense: 2 } }',
      '',
    ].join('\n')
    millrace.write('millrace.yaml', configuration)
  })
  afterAll(async () => {
    await broker?.close()
    if (kafka) await releaseKafka()
  })

  const run = async (): Promise<Started> => {
    const started = millrace.start('run', 'decide', 'attribute')
    const [, url] = await started.until(/"url":"(http:[^"]+)","pipelines"/)
    await eventually('ready', async () => ((await fetch(`${url}/ready`)).ok ? true : undefined))
    return started
  }

  const stop = async ({ child, ended }: Started): Promise<number | null> => {
    child.kill('SIGTERM')
    return (await ended).code
  }

  const request = (requestId: string, policy: string) => ({
    topic: `${PREFIX}decision-requests`,
    key: Buffer.from(requestId),
    value: codec.encode('decision-request', {
      requestId,
      policy,
      occurredAt: Date.now(),
      context: [1, 0.5],
      arms: ['a', 'b'].map((id) => ({ id, features: null })),
    }),
  })

  const send = async (...records: ReturnType<typeof request>[]): Promise<void> => {
    const writer = await broker.writer()
    await writer.send(records)
    await writer.close()
  }

  const decided = async (): Promise<string[]> => {
    const topic = `${PREFIX}decisions`
    const offsets = await broker.admin.offsets(topic)
    const found: ConsumedRecord[] = []
    const to = new Map(offsets.map(({ partition, latest }) => [partition, latest]))
    await broker.read({ topic, to }, ({ records }) => void found.push(...records))
    return found.map(({ value }) => codec.decode('decision', value!).requestId).sort()
  }

  it('refuses to run until the topics are there and the policies are applied', async () => {
    const [missing, unfit] = await Promise.all([millrace.run('run', 'decide'), millrace.run('check')])
    expect(missing.code).toBe(1)
    expect(missing.stderr).toMatch(
      new RegExp(`MISSING_TOPIC: missing: ${PREFIX}decision-requests.*--create-topics`),
    )
    expect(unfit.code).toBe(1)
    const different = await millrace.run('run', 'decide', '--create-topics')
    expect(different.code).toBe(1)
    expect(different.stderr).toMatch(
      /POLICY_DIFFERS: .*homepage.* missing in the log.*millrace policies apply/,
    )

    expect((await millrace.run('policies', 'apply')).stdout).toContain('homepage version 1')
    expect((await millrace.run('policies', 'apply')).stdout).toContain('nothing to write')
    const [json, table, check] = await Promise.all([
      millrace.run('policies', 'list', '--json'),
      millrace.run('policies', 'list'),
      millrace.run('check'),
    ])
    expect(JSON.parse(json.stdout)).toMatchObject({ policy: 'homepage', version: 1, mode: 'live' })
    expect(table.stdout).toMatch(/^policy +version +mode .*\nhomepage +1 +live /)
    expect(check).toMatchObject({ code: 0 })
  })

  it('replays a dead letter into a decision once what refused it is mended', async () => {
    const first = await run()
    await send(request('r1', 'homepage'), request('r2', 'later'))
    await eventually('r1 is decided', async () => ((await decided()).length === 1 ? true : undefined))
    const listed = await eventually('r2 is refused', async () => {
      const { stdout } = await millrace.run('dead-letters', 'list', '--json', '--code', 'UNKNOWN_POLICY')
      return stdout === '' ? undefined : JSON.parse(stdout)
    })
    expect(listed).toMatchObject({ topic: `${PREFIX}decision-requests`, stage: 'decide' })
    expect(await stop(first)).toBe(0)

    millrace.write('millrace.yaml', configuration + LATER)
    expect((await millrace.run('run', 'decide')).stderr).toContain('POLICY_DIFFERS')
    await millrace.run('policies', 'apply')
    const [table, dry] = await Promise.all([
      millrace.run('dead-letters', 'list'),
      millrace.run('dead-letters', 'replay', '--dry-run'),
    ])
    expect(table.stdout).toMatch(/^at +letter +source +bytes +code +stage +message\n.*UNKNOWN_POLICY/)
    expect(table.stderr).toBe('1 dead letter\n')
    expect(dry.stdout).toContain('1 dead letter: 1 would be sent')
    const replayed = await millrace.run('dead-letters', 'replay')
    expect(replayed).toMatchObject({ code: 0 })
    expect(replayed.stdout).toContain('1 dead letter: 1 sent')
    const next = replayed.stdout.match(/--from-offset \S+/g)!.flatMap((option) => option.split(' '))
    expect((await millrace.run('dead-letters', 'replay', ...next)).stdout).toContain('0 dead letters: 0 sent')

    const second = await run()
    await eventually('r2 is decided', async () => ((await decided()).includes('r2') ? true : undefined))
    expect(await stop(second)).toBe(0)
    expect(await decided()).toEqual(['r1', 'r2'])
  })

  it('loses nothing and doubles nothing over a second signal', async () => {
    const ids = Array.from({ length: 5_000 }, (_, i) => `s${String(i).padStart(5, '0')}`)
    const interrupted = await run()
    const sending = send(...ids.map((id) => request(id, 'homepage')))
    await eventually('some are decided', async () => ((await decided()).length > 2 ? true : undefined))
    interrupted.child.kill('SIGTERM')
    await interrupted.until(/"msg":"stopping/)
    interrupted.child.kill('SIGTERM')
    // Whether the second came in time is the machine's affair; what is committed is not.
    expect([0, 143]).toContain((await interrupted.ended).code)
    await sending
    const after = await run()
    await eventually('all are decided', async () => ((await decided()).length >= 5_002 ? true : undefined))
    expect(await stop(after)).toBe(0)
    expect((await decided()).slice(2)).toEqual(ids)
  })
})
