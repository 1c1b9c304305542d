/**
 * What happens in a row's world: requests, and the rewards that each shall get, made from numbers alone, in virtual event time of one
 * millisecond a request. Rewards are in time, absent, early (published before their decision can exist), repeated, late, two for one
 * decision, or for a request that never was. Event time ends with sentinels far ahead in every partition, so that all windows close without
 * anybody relying on silence; they stay pending themselves.
 */
import { Partitioners } from 'kafkajs'
import { createCodec } from '../../infra/avro/codec.ts'
import type { EventName, EventTypes } from '../../schemas/generated/events.ts'

export const DIMENSION = 6
export const ARMS = ['north', 'east', 'south', 'west'] as const

export interface WorldOptions {
  /** How many requests. */
  readonly requests: number
  /** Names of the policies, asked in turn. */
  readonly policies: readonly string[]
  readonly partitions: number
  readonly windowMs: number
  readonly graceMs: number
  /** Event time of the first request. */
  readonly base: number
  /** One of so many requests is sent twice; none where 0 (default). */
  readonly twiceEvery?: number
}

/** What shall become of a record that no ordinary rule tells. */
export type Marks = {
  /** The code of the dead letter that it shall become. */
  readonly expect?: string
  /** The reason under which the join shall count it (of a request: its decision); it makes no outcome. */
  readonly reason?: string
}

/** A record to be published. */
export interface Planned {
  /** Topic without its prefix. */
  readonly topic: 'decision-requests' | 'rewards' | 'activations'
  readonly key: string
  readonly value: Buffer
  /** The key's own where absent. */
  readonly partition?: number
  /** For the oracle alone: see `Marks`. */
  readonly headers?: Marks
  /** The record's own time, milliseconds since the epoch; now where absent. */
  readonly timestamp?: string
}

/** Requests and rewards whose ids begin so stay pending, and are left out of what is expected. */
export const SENTINEL = 'sentinel-'

const codec = createCodec()

/** An event in millrace's framing. */
export const encoded = <E extends EventName>(event: E, value: EventTypes[E]): Buffer =>
  codec.encode(event, value)

/** A number in [0, 1) that two integers give: the same in every run. */
export const noise = (a: number, b: number): number => {
  let x = Math.imul(a + 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35)
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d)
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39)
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32
}

export const idOf = (i: number): string => `r-${String(i).padStart(6, '0')}`

export const request = (
  i: number,
  { base, policies }: Pick<WorldOptions, 'base' | 'policies'>,
): EventTypes['decision-request'] => ({
  requestId: idOf(i),
  policy: policies[i % policies.length]!,
  occurredAt: base + i,
  context: Array.from({ length: DIMENSION }, (_, k) => (k === 0 ? 1 : 2 * noise(i, k) - 1)),
  arms: ARMS.map((id) => ({ id, features: null })),
})

/** The rewards of request `i`, by a number that says what kind of life it has. */
export const rewardsOf = (
  i: number,
  { base, windowMs }: Pick<WorldOptions, 'base' | 'windowMs'>,
): EventTypes['reward'][] => {
  const at = base + i
  const inTime = 1 + Math.floor(noise(i, 101) * (windowMs - 1))
  const late = windowMs + 1 + Math.floor(noise(i, 102) * windowMs)
  const reward = (rewardId: string, delay: number, id = idOf(i)): EventTypes['reward'] => ({
    requestId: id,
    rewardId,
    value: Math.floor(noise(i, rewardId.length) * 1000) / 1000,
    occurredAt: at + delay,
  })
  const kind = noise(i, 100)
  if (kind < 0.55) return [reward('a', inTime)]
  if (kind < 0.75) return []
  if (kind < 0.8) return [reward('a', inTime), reward('a', inTime)]
  if (kind < 0.85) return [reward('a', inTime), reward('bb', Math.max(1, Math.floor(inTime / 2)))]
  if (kind < 0.9) return [reward('ccc', late)]
  if (kind < 0.95) return [reward('a', inTime), reward('ccc', late)]
  return [reward('a', inTime, `never-${i}`)]
}

/** Event time behind all of the world's, rewards too, and long before the sentinels'. */
export const after = ({ base, requests, windowMs }: WorldOptions, ms: number): number =>
  base + requests + 2 * windowMs + ms

/** All records in the order of their publication; a topic's are in the order of their event times. */
export const plan = (options: WorldOptions): Planned[] => {
  const { requests, windowMs, twiceEvery = 0 } = options
  /** So much earlier than their event time, measured by requests', are rewards published: many before their request. */
  const lead = Math.floor(windowMs / 2)
  const timed: { readonly at: number; readonly planned: Planned }[] = []
  for (let i = 0; i < requests; i++) {
    const event = request(i, options)
    const planned: Planned = {
      topic: 'decision-requests',
      key: event.requestId,
      value: encoded('decision-request', event),
    }
    timed.push({ at: event.occurredAt, planned })
    if (twiceEvery > 0 && i % twiceEvery === 0) timed.push({ at: event.occurredAt + 5, planned })
    for (const reward of rewardsOf(i, options)) {
      const value = encoded('reward', reward)
      timed.push({
        at: reward.occurredAt - lead,
        planned: { topic: 'rewards', key: reward.requestId, value },
      })
    }
  }
  return timed.sort((a, b) => a.at - b.at).map(({ planned }) => planned)
}

/** Kafka's own partition of a key, as the client library has it. */
export const partitionOf = (key: string, partitions: number): number =>
  Partitioners.DefaultPartitioner()({
    topic: '',
    partitionMetadata: Array.from({ length: partitions }, (_, partitionId) => ({
      partitionErrorCode: 0,
      partitionId,
      leader: 1,
      replicas: [],
      isr: [],
    })),
    message: { key: Buffer.from(key), value: null },
  })

/** A request id that lies in each partition, `prefix` at its head. */
export const idsInPartitions = (prefix: string, partitions: number): string[] =>
  Array.from({ length: partitions }, (_, partition) => {
    for (let k = 0; ; k++) {
      const id = `${prefix}${partition}-${k}`
      if (partitionOf(id, partitions) === partition) return id
    }
  })

/**
 * A request, a reward and, where asked for, an activation in every partition, so late in event time that every window before them closes.
 * @param afterMs after the last request; later sentinels need a later time.
 */
export const sentinels = (options: WorldOptions, activations = false, afterMs = 0): Planned[] => {
  const { base, requests, windowMs, graceMs, partitions } = options
  const at = base + requests + 20 * (windowMs + graceMs) + afterMs
  return idsInPartitions(SENTINEL, partitions).flatMap((id): Planned[] => {
    const asked = { ...request(0, options), requestId: id, occurredAt: at }
    const rewarded = { requestId: id, rewardId: '', value: 0, occurredAt: at }
    const shown = { requestId: id, occurredAt: at }
    return [
      { topic: 'decision-requests', key: id, value: encoded('decision-request', asked) },
      { topic: 'rewards', key: id, value: encoded('reward', rewarded) },
      ...(activations
        ? [{ topic: 'activations' as const, key: id, value: encoded('activation', shown) }]
        : []),
    ]
  })
}
