/** `millrace run serve` as its users run it: a token, an end in order, and what is left of it when it is killed under load. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCodec } from '../../../infra/avro/codec.ts'
import type { RankAnswer } from '../../../infra/http/service.ts'
import { createKafkajsBroker } from '../../../infra/kafka/kafkajs/broker.ts'
import type { Broker } from '../../../infra/kafka/port.ts'
import type { EventName, EventTypes, Ledger } from '../../../schemas/generated/events.ts'
import { acquireKafka, kafkaMissing, releaseKafka } from '../../kafka-server.ts'
import { eventually, type Started, useCommandLine } from './millrace.ts'

const POLICIES = `policies:
  - { name: homepage, algorithm: { kind: linUcb }, features: { dense: 4 } }
`

const readyAt = async (started: Started): Promise<string> => {
  const [, url = ''] = await started.until(/"url":"(http:[^"]+)","pipelines"/)
  await eventually('ready', async () => ((await fetch(`${url}/ready`)).ok ? true : undefined))
  return url
}

const post = async (url: string, path: string, body: unknown, headers: Record<string, string> = {}) => {
  const answer = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return { status: answer.status, body: (await answer.json()) as RankAnswer & { code?: string } }
}

const requestOf = (requestId: string) => ({
  requestId,
  policy: 'homepage',
  context: [1, 0, 0, 1],
  arms: [{ id: 'a' }, { id: 'b' }],
})

describe('millrace run serve', () => {
  const millrace = useCommandLine()

  it('answers who has the token, and ends in order', async () => {
    millrace.write('token', 'hunter2\n')
    millrace.write(
      'memory.yaml',
      `kafka: { adapter: memory }\nhttp: { port: 0, token: { file: token } }\n${POLICIES}`,
    )
    const started = millrace.start('run', 'serve', 'decide', '--config', 'memory.yaml')
    const url = await readyAt(started)
    expect((await post(url, '/v1/rank', requestOf('r-1'))).status).toBe(401)
    const bearer = { authorization: 'Bearer hunter2' }
    const answer = await post(url, '/v1/rank', requestOf('r-1'), bearer)
    expect([answer.status, answer.body.requestId]).toEqual([200, 'r-1'])
    expect(started.stderr()).not.toContain('hunter2')
    started.child.kill('SIGTERM')
    expect((await started.ended).code).toBe(0)
    expect(started.stderr()).not.toContain('lost')
  })

  it('warns where anybody could be answered', async () => {
    millrace.write('open.yaml', `kafka: { adapter: memory }\nhttp: { port: 0, host: 0.0.0.0 }\n${POLICIES}`)
    const started = millrace.start('run', 'serve', '--config', 'open.yaml')
    await started.until(/set http\.token/)
    started.child.kill('SIGTERM')
    expect((await started.ended).code).toBe(0)
  })
})

describe.skipIf(kafkaMissing !== '')('millrace run serve on a real Kafka', () => {
  const millrace = useCommandLine()
  const prefix = `serve-${randomBytes(4).toString('hex')}.`
  const QUEUE = 100
  const codec = createCodec()
  let broker: Broker
  beforeAll(async () => {
    const { bootstrap } = await acquireKafka()
    broker = await createKafkajsBroker({ brokers: [bootstrap] })
    millrace.write(
      'kafka.yaml',
      `kafka: { brokers: ['${bootstrap}'] }
http: { port: 0 }
app: ${prefix}app
topics: { prefix: '${prefix}', partitions: 2 }
join: { window: 2s, grace: 0, idleTimeout: 1s, dedupHorizon: 10m }
serve: { queue: ${QUEUE}, linger: 300ms }
${POLICIES}`,
    )
  })
  afterAll(async () => {
    await broker?.close()
    await releaseKafka()
  })

  const events = async <E extends EventName>(event: E, topic: string): Promise<EventTypes[E][]> => {
    const found: EventTypes[E][] = []
    const ends = await broker.admin.offsets(prefix + topic)
    const to = new Map(ends.map(({ partition, latest }) => [partition, latest]))
    await broker.read({ topic: prefix + topic, to }, ({ records }) => {
      for (const { value } of records) found.push(codec.decode(event, value!))
    })
    return found
  }

  it('killed under load loses at most its queue, whose rewards count as unknown', async () => {
    const apply = await millrace.run('policies', 'apply', '--create-topics', '--config', 'kafka.yaml')
    expect(apply.code).toBe(0)
    const first = millrace.start('run', 'serve', '--config', 'kafka.yaml')
    const url = await readyAt(first)

    const answered: RankAnswer[] = []
    const acknowledged: string[] = []
    let loading = true
    const load = async (client: number, ack: boolean): Promise<void> => {
      for (let i = 0; loading; i++) {
        const answer = await post(url, '/v1/rank', { ...requestOf(`${client}-${i}`), ack }).catch(() => null)
        if (answer === null || answer.status !== 200) return
        if (answer.body.unlogged === true) continue
        answered.push(answer.body)
        if (ack) acknowledged.push(answer.body.requestId)
        else await sleep(10)
      }
    }
    const clients = [1, 2, 3, 4].map((client) => load(client, client % 2 === 0))
    await eventually('some are acknowledged', async () => (acknowledged.length > 4 ? true : undefined))
    // In the middle of a linger: what came since the last write waits.
    const { length } = acknowledged
    await eventually('another is', async () => (acknowledged.length > length ? true : undefined))
    await sleep(150)
    first.child.kill('SIGKILL')
    await first.ended
    loading = false
    await Promise.all(clients)

    const written = new Set((await events('decision', 'decisions')).map(({ requestId }) => requestId))
    expect(acknowledged.filter((id) => !written.has(id))).toEqual([])
    const missing = answered.filter(({ requestId }) => !written.has(requestId))
    expect(missing.length).toBeGreaterThan(0)
    expect(missing.length).toBeLessThanOrEqual(QUEUE)

    const second = millrace.start('run', 'serve', 'attribute', '--config', 'kafka.yaml')
    const again = await readyAt(second)
    for (const { requestId } of answered) {
      // A queue that is full says so, and the reward is sent again.
      const taken = async () => {
        const { status, body } = await post(again, '/v1/reward', { requestId, value: 1 })
        if (status !== 202) expect([status, body.code]).toEqual([503, 'QUEUE_FULL'])
        return status === 202 ? true : undefined
      }
      await eventually('the reward is taken', taken)
    }
    const ledgers = await eventually('all is joined', async () => {
      const newest = new Map<string, Ledger>()
      for (const ledger of await events('ledger', 'ledgers'))
        newest.set(`${ledger.partition}/${ledger.kind}`, ledger)
      const of = (kind: Ledger['kind']) => [...newest.values()].filter((ledger) => ledger.kind === kind)
      const taken = of('rewards').reduce((sum, ledger) => sum + ledger.taken, 0)
      const pending = [...newest.values()].reduce((sum, ledger) => sum + ledger.pending, 0)
      return taken === answered.length && pending === 0 ? of('rewards') : undefined
    })
    const unknown = ledgers.reduce((sum, { reasons }) => sum + (reasons['unknown-decision'] ?? 0), 0)
    expect(unknown).toBe(missing.length)
    second.child.kill('SIGTERM')
    expect((await second.ended).code).toBe(0)

    const [known] = acknowledged
    const explained = await millrace.run('explain', known!, '--config', 'kafka.yaml')
    expect([explained.code, explained.stdout.split('\n').slice(-2)]).toEqual([
      0,
      ['made again from the log: the same, to the last bit', ''],
    ])
    const { stdout } = await millrace.run('explain', known!, '--json', '--config', 'kafka.yaml')
    expect(JSON.parse(stdout)).toMatchObject({
      decision: { requestId: known },
      outcome: { requestId: known },
    })
    const lost = await millrace.run('explain', missing[0]!.requestId, '--config', 'kafka.yaml')
    expect([lost.code, lost.stderr]).toEqual([1, expect.stringMatching(/^UNKNOWN_REQUEST: /)])
  })
})
