/** SIGHUP: a configuration that is wrong changes nothing, another is taken up at a checkpoint, and one that fails is given up again. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCodec } from '../../../infra/avro/codec.ts'
import { createKafkajsBroker } from '../../../infra/kafka/kafkajs/broker.ts'
import type { Broker } from '../../../infra/kafka/port.ts'
import { describeWithClickHouse, useClickHouse } from '../../clickhouse-server.ts'
import { acquireKafka, kafkaMissing, releaseKafka } from '../../kafka-server.ts'
import { type CommandLine, eventually, type Started, useCommandLine } from './millrace.ts'

const MEMORY = `kafka: { adapter: memory }
http: { port: 0 }
policies:
  - { name: homepage, algorithm: { kind: linUcb }, features: { dense: 4 } }
`

const ready = (url: string) =>
  eventually('ready', async () => ((await fetch(`${url}/ready`)).ok ? true : undefined))

const config = async (url: string) => (await (await fetch(`${url}/config`)).json()) as Record<string, never>

/** Waits until so many configurations had this result. */
const reloads = (url: string, result: 'applied' | 'refused', count: number) =>
  eventually(`${count} ${result}`, async () => {
    const text = await (await fetch(`${url}/metrics`)).text()
    return text.includes(`millrace_config_reloads_total{result="${result}"} ${count}\n`) ? true : undefined
  })

const stop = async ({ child, ended }: Started) => {
  child.kill('SIGTERM')
  return (await ended).code
}

/** Starts a process with a configuration and waits until it is ready. */
const beginner =
  (millrace: CommandLine) =>
  async (file: string, text: string, ...pipelines: string[]) => {
    millrace.write(file, text)
    const started = millrace.start('run', ...pipelines, '--config', file, '--create-topics')
    const [, url = ''] = await started.until(/"url":"(http:[^"]+)","pipelines"/)
    await ready(url)
    return { started, url }
  }

describeWithClickHouse('millrace run, asked to read its configuration again', () => {
  const millrace = useCommandLine()
  const begin = beginner(millrace)
  const clickhouse = useClickHouse()

  it('keeps the old one where the new is invalid, and says all that is wrong', async () => {
    const { started, url } = await begin('invalid.yaml', MEMORY, 'decide', 'attribute')
    const before = await config(url)
    millrace.write('invalid.yaml', `${MEMORY}limits: { armz: 1 }\njoin: { window: soon }\n`)
    started.child.kill('SIGHUP')
    await reloads(url, 'refused', 1)
    expect((await fetch(`${url}/ready`)).status).toBe(200)
    expect(await config(url)).toEqual(before)
    const [line] = started
      .stderr()
      .split('\n')
      .filter((each) => each.includes('stays as it was'))
    expect(JSON.parse(line!)).toMatchObject({ level: 'error', code: 'INVALID_CONFIG' })
    expect(line).toMatch(/limits\.armz.*join\.window|join\.window.*limits\.armz/s)
    expect(started.stderr()).not.toContain('end in order')
    expect(await stop(started)).toBe(0)
  })

  it('takes a valid one up, on the same port, and again', async () => {
    const { started, url } = await begin('valid.yaml', MEMORY, 'decide', 'attribute')
    for (const [arms, count] of [
      [77, 1],
      [78, 2],
    ] as const) {
      millrace.write('valid.yaml', `${MEMORY.replace('port: 0', 'port: 1')}limits: { arms: ${arms} }\n`)
      started.child.kill('SIGHUP')
      await reloads(url, 'applied', count)
      await ready(url)
      expect(await config(url)).toMatchObject({ limits: { arms }, http: { port: 0 } })
    }
    expect(started.stderr()).toContain('http.port changes with a restart only')
    expect(await stop(started)).toBe(0)
  })

  it('goes back to the old one where the new finds no Kafka', async () => {
    const { started, url } = await begin('away.yaml', MEMORY, 'decide', 'attribute')
    const before = await config(url)
    millrace.write(
      'away.yaml',
      MEMORY.replace('adapter: memory', "brokers: ['127.0.0.1:1'], patience: 300ms"),
    )
    started.child.kill('SIGHUP')
    await reloads(url, 'refused', 1)
    await ready(url)
    expect(await config(url)).toEqual(before)
    expect(started.stderr()).toMatch(/back to the configuration before\. KAFKA_UNAVAILABLE/)
    expect(await stop(started)).toBe(0)
  })

  it('goes back to the old one where ClickHouse refuses the new', async () => {
    const { url: server, username, password } = await clickhouse.options()
    const database = `millrace_test_${randomBytes(6).toString('hex')}`
    const text = (secret: string) =>
      `${MEMORY}clickhouse: { url: '${server}', username: '${username}', password: '${secret}', database: ${database} }\n`
    const { started, url } = await begin('refused.yaml', text(password ?? ''), 'all')
    millrace.write('refused.yaml', text('wrong'))
    started.child.kill('SIGHUP')
    await reloads(url, 'refused', 1)
    await ready(url)
    expect(started.stderr()).toMatch(/back to the configuration before\. CLICKHOUSE_REFUSED/)
    expect(await stop(started)).toBe(0)
  })

  it('stops in order while it waits for what the new one names', async () => {
    const { started, url } = await begin('waiting.yaml', MEMORY, 'decide')
    millrace.write('waiting.yaml', MEMORY.replace('adapter: memory', "brokers: ['127.0.0.1:1']"))
    started.child.kill('SIGHUP')
    await started.until(/Kafka at 127\.0\.0\.1:1 does not answer yet/)
    expect((await fetch(`${url}/ready`)).status).toBe(503)
    expect(await stop(started)).toBe(0)
  })
})

describe.skipIf(kafkaMissing !== '')('millrace run under load, asked to read its configuration again', () => {
  const millrace = useCommandLine()
  const begin = beginner(millrace)
  const prefix = `reload-${randomBytes(4).toString('hex')}.`
  const codec = createCodec()
  let broker: Broker
  let text = ''
  beforeAll(async () => {
    const { bootstrap } = await acquireKafka()
    broker = await createKafkajsBroker({ brokers: [bootstrap] })
    text = `${MEMORY.replace('adapter: memory', `brokers: ['${bootstrap}']`)}app: ${prefix}app
topics: { prefix: '${prefix}', partitions: 2 }
`
  })
  afterAll(async () => {
    await broker?.close()
    await releaseKafka()
  })

  const decided = async () => {
    const topic = `${prefix}decisions`
    const found: string[] = []
    const to = new Map(
      (await broker.admin.offsets(topic)).map(({ partition, latest }) => [partition, latest]),
    )
    await broker.read({ topic, to }, ({ records }) => {
      for (const { value } of records) found.push(codec.decode('decision', value!).requestId)
    })
    return found.sort()
  }

  it('loses no request and decides none twice', async () => {
    millrace.write('kafka.yaml', text)
    const apply = await millrace.run('policies', 'apply', '--create-topics', '--config', 'kafka.yaml')
    expect(apply.code).toBe(0)
    const { started, url } = await begin('kafka.yaml', text, 'decide', 'attribute')
    const writer = await broker.writer()
    const ids: string[] = []
    let sending = true
    const send = async () => {
      while (sending) {
        const records = Array.from({ length: 20 }, () => {
          const requestId = `r${String(ids.length).padStart(6, '0')}`
          ids.push(requestId)
          const arms = ['a', 'b'].map((id) => ({ id, features: null }))
          const request = {
            requestId,
            policy: 'homepage',
            occurredAt: Date.now(),
            context: [1, 0, 0, 1],
            arms,
          }
          return {
            topic: `${prefix}decision-requests`,
            key: Buffer.from(requestId),
            value: codec.encode('decision-request', request),
          }
        })
        await writer.send(records)
        await sleep(20)
      }
    }
    const sent = send()
    /** Requests are decided that came now. */
    const moreDecided = async () => {
      const { length } = ids
      await eventually('what came now is decided', async () =>
        (await decided()).length > length ? true : undefined,
      )
    }
    try {
      for (const [count, arms] of [101, 102].entries()) {
        await moreDecided()
        millrace.write('kafka.yaml', `${text}limits: { arms: ${arms} }\n`)
        started.child.kill('SIGHUP')
        await reloads(url, 'applied', count + 1)
      }
      await moreDecided()
      // Defined otherwise than in the log.
      millrace.write('kafka.yaml', text.replace('kind: linUcb', 'kind: linUcb, alpha: 0.5'))
      started.child.kill('SIGHUP')
      await reloads(url, 'refused', 1)
      await ready(url)
      expect(await config(url)).toMatchObject({ limits: { arms: 102 } })
      expect(started.stderr()).toMatch(/back to the configuration before\. POLICY_DIFFERS/)
    } finally {
      sending = false
      await sent
      await writer.close()
    }
    await eventually('all are decided', async () =>
      (await decided()).length >= ids.length ? true : undefined,
    )
    expect(await stop(started)).toBe(0)
    expect(await decided()).toEqual(ids)
  })
})
