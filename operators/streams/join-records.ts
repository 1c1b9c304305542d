/**
 * The rewards and activations that the join remembers, in columns: about 50 bytes each and the reward's own id. They lie in lists, one a request
 * that has no decision yet, one a decision.
 */
import { widened } from './columns.ts'

export const FREE = 0
export const REWARD = 1
export const ACTIVATION = 2

/** Waits for its decision. */
export const EARLY = 0
/** In time for its decision. */
export const CANDIDATE = 1
/** Occurred after the window. */
export const LATE = 2
/** Came when the window had closed. */
export const BEHIND = 3

const FIRST_CAPACITY = 256
const NONE = -1
/** From so many rewards on, a list has an index. */
const LONG_LIST = 64

export class JoinRecords {
  occurredAt = new Float64Array(FIRST_CAPACITY)
  eventTime = new Float64Array(FIRST_CAPACITY)
  value = new Float64Array(FIRST_CAPACITY)
  /** Place among the retained offsets of its topic. */
  place = new Uint32Array(FIRST_CAPACITY)
  /** The next of its list, -1 at the end; of a free slot, the next free one. */
  next = new Int32Array(FIRST_CAPACITY)
  topic = new Uint16Array(FIRST_CAPACITY)
  kind = new Uint8Array(FIRST_CAPACITY)
  standing = new Uint8Array(FIRST_CAPACITY)
  readonly rewardIds: string[] = []
  /** Of early ones, whose decision is not there to ask; '' of others. */
  readonly requestIds: string[] = []
  /** Rewards by name, of long lists only. */
  private readonly names = new Map<number, Map<string, number>>()
  private free = NONE

  add(
    kind: typeof REWARD | typeof ACTIVATION,
    occurredAt: number,
    rewardId: string,
    value: number,
    topic: number,
    eventTime: number,
    place: number,
  ): number {
    const slot = this.take()
    this.kind[slot] = kind
    this.standing[slot] = CANDIDATE
    this.occurredAt[slot] = occurredAt
    this.eventTime[slot] = eventTime
    this.value[slot] = value
    this.topic[slot] = topic
    this.place[slot] = place
    this.next[slot] = NONE
    this.rewardIds[slot] = rewardId
    this.requestIds[slot] = ''
    return slot
  }

  remove(slot: number): void {
    this.kind[slot] = FREE
    this.rewardIds[slot] = ''
    this.requestIds[slot] = ''
    this.next[slot] = this.free
    this.free = slot
  }

  /** Puts a record in front of a list. @param list any number that names the list */
  prepend(record: number, first: number, list: number): number {
    this.next[record] = first
    if (this.kind[record] === REWARD) this.names.get(list)?.set(this.nameOf(record), record)
    return record
  }

  /** The reward of a list that has this one's name, -1 where none has. Each topic has names of its own. */
  twin(record: number, first: number, list: number): number {
    const names = this.names.get(list)
    if (names !== undefined) return names.get(this.nameOf(record)) ?? NONE
    const topic = this.topic[record]!
    const id = this.rewardIds[record]!
    let steps = 0
    for (let other = first; other !== NONE; other = this.next[other]!) {
      if (this.kind[other] === REWARD && this.topic[other] === topic && this.rewardIds[other] === id)
        return other
      if (++steps === LONG_LIST) this.index(first, list)
    }
    return NONE
  }

  /** Forgets a list's name; its records are removed one by one. */
  removeList(list: number): void {
    this.names.delete(list)
  }

  /** A list as an array. */
  listed(first: number): number[] {
    const list: number[] = []
    for (let record = first; record !== NONE; record = this.next[record]!) list.push(record)
    return list
  }

  sameContent(a: number, b: number): boolean {
    return this.occurredAt[a] === this.occurredAt[b] && this.value[a] === this.value[b]
  }

  /** The order in which rewards of one decision are preferred and added: earliest first, then by id, value and topic. */
  compare(a: number, b: number): number {
    const times = this.occurredAt[a]! - this.occurredAt[b]!
    if (times !== 0) return times
    const [idA, idB] = [this.rewardIds[a]!, this.rewardIds[b]!]
    if (idA !== idB) return idA < idB ? -1 : 1
    return this.value[a]! - this.value[b]! || this.topic[a]! - this.topic[b]!
  }

  private index(first: number, list: number): void {
    const names = new Map<string, number>()
    for (let record = first; record !== NONE; record = this.next[record]!)
      if (this.kind[record] === REWARD) names.set(this.nameOf(record), record)
    this.names.set(list, names)
  }

  private nameOf(record: number): string {
    return `${this.topic[record]}/${this.rewardIds[record]}`
  }

  private take(): number {
    const slot = this.free
    if (slot !== NONE) {
      this.free = this.next[slot]!
      return slot
    }
    const next = this.rewardIds.length
    if (next === this.kind.length) this.grow(2 * next)
    return next
  }

  private grow(capacity: number): void {
    this.occurredAt = widened(this.occurredAt, new Float64Array(capacity))
    this.eventTime = widened(this.eventTime, new Float64Array(capacity))
    this.value = widened(this.value, new Float64Array(capacity))
    this.place = widened(this.place, new Uint32Array(capacity))
    this.next = widened(this.next, new Int32Array(capacity))
    this.topic = widened(this.topic, new Uint16Array(capacity))
    this.kind = widened(this.kind, new Uint8Array(capacity))
    this.standing = widened(this.standing, new Uint8Array(capacity))
  }
}
