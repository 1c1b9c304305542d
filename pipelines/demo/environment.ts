/**
 * The world of the demo, a client apart: it publishes decision requests (a digit's pixels, ten arms), reads `decisions`, and rewards the
 * right arm some events later. It knows the labels; the pipelines do not. Wrong arms earn nothing: their windows close on the default
 * reward.
 */
import type { Codec } from '../../infra/avro/codec.ts'
import type { Broker, OutputRecord, Writer } from '../../infra/kafka/port.ts'
import type { Decision } from '../../schemas/generated/events.ts'
import { type Digits, PIXELS } from './digits.ts'

export interface EnvironmentOptions {
  readonly broker: Broker
  readonly codec: Codec
  readonly topics: { readonly requests: string; readonly decisions: string; readonly rewards: string }
  readonly policy: string
  readonly digits: Digits
  /** Requests to publish; Infinity for a stream without end. */
  readonly events: number
  /** Event time between two requests, in milliseconds. */
  readonly stepMs: number
  /** Whether to keep to that pace by the clock, or go as fast as decisions come back. */
  readonly paced: boolean
  readonly now: () => number
  /** Called at each decision that comes back. */
  readonly onDecision?: (decision: Decision, rewarded: boolean) => void
}

/** How many decisions pass between one and its reward. */
export const REWARD_DELAY = 20
/** Requests published and not yet decided: small, so that what is learned is soon used. */
const IN_FLIGHT = 128
const SEND_AT_MOST = 64
/** Without any decision for so long, those in flight are given up: they went to `dead-letters`. */
const PATIENCE_MS = 10_000

const ARMS = Array.from({ length: 10 }, (_, digit) => ({ id: String(digit), features: null }))

export class Environment {
  published = 0
  decided = 0
  rewarded = 0
  /** On the process's monotonic clock. */
  firstPublishedAt = 0
  private readonly options: EnvironmentOptions
  private readonly due: { readonly at: number; readonly requestId: string; readonly occurredAt: number }[] =
    []
  private wake: () => void = () => {}
  private startedAt = 0

  constructor(options: EnvironmentOptions) {
    this.options = options
  }

  /** Plays until every request is decided and rewarded, or `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    this.startedAt = this.options.now()
    const { broker, topics } = this.options
    const reading = new AbortController()
    const writer = await broker.writer()
    const stop = () => this.wake()
    signal.addEventListener('abort', stop)
    const reader = broker.read(
      { topic: topics.decisions },
      (batch) => this.observe(batch.records),
      reading.signal,
    )
    try {
      await Promise.race([this.play(writer, signal), reader])
    } finally {
      signal.removeEventListener('abort', stop)
      reading.abort()
      await reader
      await writer.close()
    }
  }

  private async play(writer: Writer, signal: AbortSignal): Promise<void> {
    let heard = this.options.now()
    let decided = 0
    while (!signal.aborted) {
      const records = [...this.requests(), ...this.rewards()]
      if (records.length > 0) await writer.send(records)
      else if (this.finished) return
      else await this.news()
      if (this.decided > decided) {
        decided = this.decided
        heard = this.options.now()
      } else if (this.published > this.decided && this.options.now() - heard > PATIENCE_MS) {
        this.decided = this.published
      }
    }
  }

  private get finished(): boolean {
    return this.published >= this.options.events && this.decided >= this.published && this.due.length === 0
  }

  private requests(): OutputRecord[] {
    const { events, stepMs, paced, now, topics, codec, policy, digits } = this.options
    const due = paced ? Math.floor((now() - this.startedAt) / stepMs) : Number.POSITIVE_INFINITY
    const until = Math.min(events, due, this.decided + IN_FLIGHT, this.published + SEND_AT_MOST)
    if (this.published < until) this.firstPublishedAt ||= performance.now()
    const records: OutputRecord[] = []
    for (; this.published < until; this.published++) {
      const digit = this.published % digits.count
      const requestId = `digit-${String(this.published).padStart(9, '0')}`
      const occurredAt = Math.floor(this.startedAt + this.published * stepMs)
      const value = codec.encode('decision-request', {
        requestId,
        policy,
        occurredAt,
        context: Array.from(digits.pixels.subarray(digit * PIXELS, (digit + 1) * PIXELS)),
        arms: ARMS,
      })
      records.push({ topic: topics.requests, key: Buffer.from(requestId), value, timestamp: occurredAt })
    }
    return records
  }

  private rewards(): OutputRecord[] {
    const { topics, codec } = this.options
    const last = this.published >= this.options.events && this.decided >= this.published
    const records: OutputRecord[] = []
    while (this.due.length > 0 && (last || this.due[0]!.at <= this.decided)) {
      const { requestId, occurredAt } = this.due.shift()!
      this.rewarded++
      const value = codec.encode('reward', { requestId, rewardId: '', value: 1, occurredAt })
      records.push({ topic: topics.rewards, key: Buffer.from(requestId), value, timestamp: occurredAt })
    }
    return records
  }

  private observe(records: readonly { readonly value: Buffer | null }[]): void {
    const { codec, digits, stepMs, onDecision } = this.options
    for (const { value } of records) {
      if (value === null) continue
      const decision = codec.decode('decision', value)
      const digit = Number(decision.requestId.slice('digit-'.length)) % digits.count
      const right = Number(decision.arm) === digits.labels[digit]
      this.decided++
      if (right) {
        const occurredAt = Math.ceil(decision.occurredAt + REWARD_DELAY * stepMs)
        this.due.push({ at: this.decided + REWARD_DELAY, requestId: decision.requestId, occurredAt })
      }
      onDecision?.(decision, right)
    }
    this.wake()
  }

  /** Waits for a decision, or for a moment. */
  private news(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 20)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
