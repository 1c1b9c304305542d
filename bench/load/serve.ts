/**
 * The load of `bench serve`, a process of its own. `paced` sends evenly, whatever the answers do, and takes each time from the moment at which the request
 * was due and from its sending; `autocannon` sends each second's requests as fast as its connections get answers, and rests until the next.
 */
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { DIMENSION, requestAt } from './events.ts'

export interface Order {
  readonly kind: 'paced' | 'autocannon'
  readonly url: string
  readonly perSecond: number
  readonly seconds: number
  readonly connections: number
  /** Before the ids of its requests. */
  readonly name: string
}

export interface Load {
  /** Milliseconds from the sending to the answer. */
  readonly sent: number[]
  /** Milliseconds from the moment at which the request was due; as `sent` where none is. */
  readonly due: number[]
  /** Requests without an answer of status 200. */
  readonly errors: number
  readonly unlogged: number
  /** Ids of the requests answered. */
  readonly answered: string[]
  readonly seconds: number
}

const BODIES = Array.from({ length: 997 }, (_, i) => {
  const { policy, context, arms } = requestAt(i, 0)
  return JSON.stringify({ policy, context, arms: arms.map(({ id }) => ({ id })) }).slice(1)
})

/** The `i`-th request of a name: ids differ, contexts come again. */
const bodyAt = (name: string, i: number): string => `{"requestId":"${name}-${i}",${BODIES[i % BODIES.length]}`

const HEADERS = { 'content-type': 'application/json' }

class Tally {
  readonly sent: number[] = []
  readonly due: number[] = []
  readonly answered: string[] = []
  errors = 0
  unlogged = 0

  /** Takes an answer in; its text is looked at when the load is over. */
  answer(status: number, text: string, sent: number, due: number): void {
    const id = status === 200 ? /"requestId":"([^"]+)"/.exec(text)?.[1] : undefined
    if (id === undefined) this.errors++
    else {
      this.sent.push(sent)
      this.due.push(due)
      this.answered.push(id)
      if (text.includes('"unlogged":true')) this.unlogged++
    }
  }
}

const paced = async ({ url, perSecond, seconds, connections, name }: Order): Promise<Load> => {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const tally = new Tally()
  const count = perSecond * seconds
  const began = performance.now()
  const dueAt = (i: number) => began + (i * 1_000) / perSecond
  let open = 0
  const send = (i: number): void => {
    open++
    const body = bodyAt(name, i)
    const at = performance.now()
    const headers = { ...HEADERS, 'content-length': Buffer.byteLength(body) }
    const asked = request(`${url}/v1/rank`, { method: 'POST', agent, headers }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () => {
        const now = performance.now()
        tally.answer(response.statusCode ?? 0, Buffer.concat(parts).toString(), now - at, now - dueAt(i))
        open--
      })
    })
    asked.on('error', () => {
      tally.errors++
      open--
    })
    asked.end(body)
  }
  for (let i = 0; i < count; ) {
    while (i < count && dueAt(i) <= performance.now()) send(i++)
    await sleep(1)
  }
  const elapsed = (performance.now() - began) / 1_000
  while (open > 0) await sleep(5)
  agent.destroy()
  const { sent, due, errors, unlogged, answered } = tally
  return { sent, due, errors, unlogged, answered, seconds: elapsed }
}

/** What is used of autocannon, which has no types of its own. */
interface Tracker {
  on(event: 'response', told: (client: unknown, status: number, bytes: number, ms: number) => void): void
}
type Autocannon = (
  options: Readonly<Record<string, unknown>>,
  done: (error: Error | null, result: { errors: number; duration: number }) => void,
) => Tracker

const cannonade = async ({ url, perSecond, seconds, connections, name }: Order): Promise<Load> => {
  const library = 'autocannon'
  const { default: autocannon } = (await import(library)) as { default: Autocannon }
  const times: number[] = []
  const tally = new Tally()
  let next = 0
  const { errors, duration } = await new Promise<{ errors: number; duration: number }>((resolve, reject) => {
    const setupRequest = (each: object) => ({ ...each, body: bodyAt(name, next++) })
    const onResponse = (status: number, text: string) => tally.answer(status, text, 0, 0)
    const requests = [{ method: 'POST', path: '/v1/rank', headers: HEADERS, setupRequest, onResponse }]
    const tracker = autocannon(
      { url, connections, overallRate: perSecond, duration: seconds, requests },
      (error, result) => (error === null ? resolve(result) : reject(error)),
    )
    tracker.on('response', (_client, _status, _bytes, ms) => times.push(ms))
  })
  const { unlogged, answered } = tally
  return { sent: times, due: times, errors: errors + tally.errors, unlogged, answered, seconds: duration }
}

if (process.send !== undefined) {
  if (BODIES[0]?.split(',').length === DIMENSION) throw new Error('the load has no arms')
  process.on('message', async (order: Order) => {
    const load = await (order.kind === 'paced' ? paced(order) : cannonade(order))
    process.send!(load)
  })
}
