/** `millrace run serve` while its Kafka is away: answers go on, what could be logged is, and nothing else. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCodec } from '../../../infra/avro/codec.ts'
import type { RankAnswer } from '../../../infra/http/service.ts'
import { createKafkajsBroker } from '../../../infra/kafka/kafkajs/broker.ts'
import { type LocalKafka, localKafkaAvailable, startLocalKafka } from '../../../infra/kafka/local.ts'
import { eventually, useCommandLine } from './millrace.ts'

const available = await localKafkaAvailable()
if (!available.ok) console.warn(`SKIPPED: serve while Kafka is away. ${available.missing} not found`)

describe.skipIf(!available.ok)('millrace run serve while Kafka is away', () => {
  const millrace = useCommandLine()
  let kafka: LocalKafka
  beforeAll(async () => {
    kafka = await startLocalKafka()
    millrace.write(
      'kafka.yaml',
      `kafka: { brokers: ['${kafka.bootstrap}'], patience: 2s }
http: { port: 0 }
topics: { partitions: 1 }
serve: { patience: 500ms }
policies:
  - { name: homepage, algorithm: { kind: linUcb }, features: { dense: 4 } }
`,
    )
  }, 60_000)
  afterAll(() => kafka?.stop())

  it('serves default arms, unlogged, and logs again when it is back', async () => {
    expect((await millrace.run('policies', 'apply', '--create-topics', '--config', 'kafka.yaml')).code).toBe(
      0,
    )
    const started = millrace.start('run', 'serve', '--config', 'kafka.yaml')
    const [, url = ''] = await started.until(/"url":"(http:[^"]+)","pipelines"/)
    await eventually('ready', async () => ((await fetch(`${url}/ready`)).ok ? true : undefined))
    const logged: string[] = []
    const unlogged: string[] = []
    let next = 0
    const rank = async (): Promise<RankAnswer> => {
      const arms = [{ id: 'a' }, { id: 'b' }]
      const response = await fetch(`${url}/v1/rank`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ requestId: `r-${next++}`, policy: 'homepage', context: [1, 0, 0, 1], arms }),
      })
      expect(response.status).toBe(200)
      const answer = (await response.json()) as RankAnswer
      ;(answer.unlogged === true ? unlogged : logged).push(answer.requestId)
      return answer
    }
    await rank()
    await kafka.nodes[0]!.kill()
    const served = await eventually('a default arm', async () => {
      const answer = await rank()
      return answer.unlogged === true ? answer : undefined
    })
    expect(served).toMatchObject({ arm: 'a', propensity: 1 })
    // Longer than the pipelines' patience: who only follows goes on without Kafka.
    await started.until(/cannot be followed: trying again/)
    await rank()
    expect((await fetch(`${url}/ready`)).status).toBe(200)
    await kafka.nodes[0]!.start()
    await eventually('answers are logged again', async () =>
      (await rank()).unlogged === true ? undefined : true,
    )
    started.child.kill('SIGTERM')
    expect((await started.ended).code).toBe(0)

    const broker = await createKafkajsBroker({ brokers: [kafka.bootstrap] })
    try {
      const codec = createCodec()
      const [end] = await broker.admin.offsets('decisions')
      const found = new Set<string>()
      await broker.read({ topic: 'decisions', to: new Map([[0, end!.latest]]) }, ({ records }) => {
        for (const { value } of records) found.add(codec.decode('decision', value!).requestId)
      })
      expect([...found].sort()).toEqual([...logged].sort())
      expect(unlogged.length).toBeGreaterThan(0)
    } finally {
      await broker.close()
    }
  })
})
