import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCodec } from '../../../infra/avro/codec.ts'
import { createKafkajsBroker } from '../../../infra/kafka/kafkajs/broker.ts'
import type { Broker } from '../../../infra/kafka/port.ts'
import type { Document } from '../../../schemas/generated/events.ts'
import { acquireKafka, type KafkaServer, kafkaMissing, releaseKafka } from '../../kafka-server.ts'
import { documentsFrom } from '../tag/documents.ts'
import { eventually, useCommandLine } from './millrace.ts'

const PREFIX = `models-${randomBytes(4).toString('hex')}.`
const codec = createCodec()

describe.skipIf(kafkaMissing !== '')('millrace models', () => {
  const millrace = useCommandLine()
  let kafka: KafkaServer
  let broker: Broker

  beforeAll(async () => {
    kafka = await acquireKafka()
    broker = await createKafkajsBroker({ brokers: [kafka.bootstrap] })
    const lines = [
      `app: ${PREFIX}app`,
      `kafka: { brokers: ['${kafka.bootstrap}'] }`,
      `topics: { prefix: '${PREFIX}', partitions: 2, create: true }`,
      'http: { port: 0 }',
      'tag:',
      '  retrain: { every: 200, window: 200, minDocuments: 200, threads: 1 }',
      '',
    ]
    millrace.write('millrace.yaml', lines.join('\n'))
  })
  afterAll(async () => {
    await broker?.close()
    if (kafka) await releaseKafka()
  })

  const publish = async (documents: readonly Document[]): Promise<void> => {
    const writer = await broker.writer()
    await writer.send(
      documents.map((document) => ({
        topic: `${PREFIX}documents`,
        key: Buffer.from(document.documentId),
        value: codec.encode('document', document),
      })),
    )
    await writer.close()
  }

  const versions = async (): Promise<{ version: number; live: boolean; promoted: boolean }[]> => {
    const { stdout } = await millrace.run('models', 'list', '--json')
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  }

  it('lists, shows and rolls back what `run tag retrain` trains, which takes it up at once', async () => {
    const started = millrace.start('run', 'tag', 'retrain')
    await started.until(/"msg":"starting"/)
    expect((await millrace.run('models', 'show', 'tags')).stderr).toMatch(/^UNKNOWN_MODEL: /)
    expect((await millrace.run('models', 'list')).stdout).toContain('there is no model yet')
    await publish(documentsFrom(0, 200, { labels: 8 }))
    await started.until(/"version":1,"former":0,"msg":"another model tags"/)
    await publish(documentsFrom(200, 200, { labels: 8 }))
    await eventually('two versions', async () => ((await versions()).length === 2 ? true : undefined))
    const [first, second] = await versions()
    const served = second!.live ? 2 : 1
    expect([first!.live, second!.live]).toEqual([served === 1, served === 2])

    const table = (await millrace.run('models', 'list')).stdout
    expect(table).toMatch(/^model +version .*P@1.*\ntags +1 .*\ntags +2 /)
    const shown = (await millrace.run('models', 'show', 'tags', '1')).stdout
    expect(shown).toMatch(/^tags version 1.*made at[\s\S]*sha256 [0-9a-f]{64}\ntrained on\n/)
    expect(shown).toMatch(new RegExp(`\\n {2}${PREFIX.replaceAll('.', '\\.')}documents/0 +0 to \\d+\\n`))
    expect(shown).toMatch(/\n {2}precision@1 +[\d.]+\n/)

    const other = served === 1 ? 2 : 1
    const rolled = await millrace.run('models', 'rollback', 'tags', String(other))
    expect(rolled.stdout).toBe(
      `tags: version ${other} is served, version ${served} no more; processes that run take it up at once\n`,
    )
    await started.until(new RegExp(`"version":${other},"former":${served},"msg":"another model tags"`))
    expect((await millrace.run('models', 'rollback', 'tags', '9')).stderr).toMatch(
      /^UNKNOWN_MODEL: .*version 9/,
    )
    expect((await versions()).find(({ live }) => live)?.version).toBe(other)
    started.child.kill('SIGTERM')
    expect((await started.ended).code).toBe(0)
  })
})
