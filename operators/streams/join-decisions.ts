/**
 * The decisions that the join remembers, in columns: about 80 bytes and the request's id each, whatever the decision holds. What a correction
 * says of a decision (policy, version, arm) is kept once for all that share it. Decisions of one request make a chain, newest first, for the
 * rare case that an id comes again after its time while the first is still there.
 */
import { widened } from './columns.ts'
import type { DecisionInput } from './join-options.ts'

/** What corrections say of a decision. */
export interface DecisionFacts {
  readonly policy: string
  readonly policyVersion: number
  readonly arm: string
}

interface SharedFacts extends DecisionFacts {
  readonly key: string
  holders: number
}

/** `pending` until the window closes; then whether it made an outcome. */
export const PENDING = 0
export const CLOSED = 1
export const NOT_ACTIVATED = 2
const FIRST_CAPACITY = 256
const NONE = -1

export class JoinDecisions {
  occurredAt = new Float64Array(FIRST_CAPACITY)
  eventTime = new Float64Array(FIRST_CAPACITY)
  /** Until when it must be remembered at least. */
  until = new Float64Array(FIRST_CAPACITY)
  handle = new Float64Array(FIRST_CAPACITY)
  /** The reward with which it closed. */
  recorded = new Float64Array(FIRST_CAPACITY)
  bytes = new Uint32Array(FIRST_CAPACITY)
  /** Place among the retained offsets of its topic. */
  place = new Uint32Array(FIRST_CAPACITY)
  /** First of the rewards and activations that belong to it, -1 where none does. */
  records = new Int32Array(FIRST_CAPACITY)
  /** The next older decision of the same request; of a free slot, the next free one. */
  older = new Int32Array(FIRST_CAPACITY)
  topic = new Uint16Array(FIRST_CAPACITY)
  state = new Uint8Array(FIRST_CAPACITY)
  /** 1 where an activation said in time that it was shown. */
  activated = new Uint8Array(FIRST_CAPACITY)
  readonly ids: string[] = []
  private readonly facts: (SharedFacts | null)[] = []
  private readonly shared = new Map<string, SharedFacts>()
  private readonly slots = new Map<string, number>()
  private free = NONE

  /** Requests with a decision that is remembered, pending ones included. */
  get size(): number {
    return this.slots.size
  }

  /** The newest decision of a request, -1 where none is remembered. */
  newest(requestId: string): number {
    return this.slots.get(requestId) ?? NONE
  }

  /** Adds a pending decision in front of others of its request. */
  add(
    { event, topic, handle, bytes }: DecisionInput,
    eventTime: number,
    until: number,
    place: number,
  ): number {
    const slot = this.take()
    const id = event.requestId
    this.occurredAt[slot] = event.occurredAt
    this.eventTime[slot] = eventTime
    this.until[slot] = until
    this.handle[slot] = handle
    this.recorded[slot] = 0
    this.bytes[slot] = bytes
    this.place[slot] = place
    this.records[slot] = NONE
    this.older[slot] = this.newest(id)
    this.topic[slot] = topic
    this.state[slot] = PENDING
    this.activated[slot] = 0
    this.ids[slot] = id
    this.facts[slot] = this.share(event)
    this.slots.set(id, slot)
    return slot
  }

  factsOf(slot: number): DecisionFacts {
    return this.facts[slot]!
  }

  remember(slot: number, until: number): void {
    if (until > this.until[slot]!) this.until[slot] = until
  }

  /** Until when all decisions of the request must be remembered. */
  untilOfRequest(requestId: string): number {
    let until = Number.NEGATIVE_INFINITY
    for (let slot = this.newest(requestId); slot !== NONE; slot = this.older[slot]!)
      until = Math.max(until, this.until[slot]!)
    return until
  }

  remove(slot: number): void {
    const id = this.ids[slot]!
    const newest = this.newest(id)
    if (newest === slot) {
      const older = this.older[slot]!
      if (older === NONE) this.slots.delete(id)
      else this.slots.set(id, older)
    } else {
      let newer = newest
      while (this.older[newer] !== slot) newer = this.older[newer]!
      this.older[newer] = this.older[slot]!
    }
    const facts = this.facts[slot]!
    if (--facts.holders === 0) this.shared.delete(facts.key)
    this.facts[slot] = null
    this.ids[slot] = ''
    this.older[slot] = this.free
    this.free = slot
  }

  private share({ policy, policyVersion, arm }: DecisionFacts): SharedFacts {
    const key = `${policyVersion}/${policy.length}/${policy}/${arm}`
    let facts = this.shared.get(key)
    if (facts === undefined) {
      facts = { policy, policyVersion, arm, key, holders: 0 }
      this.shared.set(key, facts)
    }
    facts.holders++
    return facts
  }

  private take(): number {
    const slot = this.free
    if (slot !== NONE) {
      this.free = this.older[slot]!
      return slot
    }
    const next = this.ids.length
    if (next === this.state.length) this.grow(2 * next)
    return next
  }

  private grow(capacity: number): void {
    this.occurredAt = widened(this.occurredAt, new Float64Array(capacity))
    this.eventTime = widened(this.eventTime, new Float64Array(capacity))
    this.until = widened(this.until, new Float64Array(capacity))
    this.handle = widened(this.handle, new Float64Array(capacity))
    this.recorded = widened(this.recorded, new Float64Array(capacity))
    this.bytes = widened(this.bytes, new Uint32Array(capacity))
    this.place = widened(this.place, new Uint32Array(capacity))
    this.records = widened(this.records, new Int32Array(capacity))
    this.older = widened(this.older, new Int32Array(capacity))
    this.topic = widened(this.topic, new Uint16Array(capacity))
    this.state = widened(this.state, new Uint8Array(capacity))
    this.activated = widened(this.activated, new Uint8Array(capacity))
  }
}
