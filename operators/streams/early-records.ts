/**
 * Rewards and activations whose decision has not come, by request, until no decision can meet them any more. O(log n) to hold one, O(those of its
 * request) to take or give up.
 */
import { BinaryHeap } from './binary-heap.ts'
import { CANDIDATE, EARLY, FREE, type JoinRecords } from './join-records.ts'

const NONE = -1

export class EarlyRecords {
  private readonly records: JoinRecords
  private readonly expiryOf: (record: number) => number
  /** The newest of each request, at the head of its list. */
  private readonly newest = new Map<string, number>()
  private readonly expiring = new BinaryHeap<number>()

  /** @param expiryOf when a record is to be given up. */
  constructor(records: JoinRecords, expiryOf: (record: number) => number) {
    this.records = records
    this.expiryOf = expiryOf
  }

  hold(record: number, requestId: string): void {
    const { records } = this
    records.requestIds[record] = requestId
    records.standing[record] = EARLY
    records.next[record] = this.newest.get(requestId) ?? NONE
    this.newest.set(requestId, record)
    this.expiring.push(this.expiryOf(record), record)
  }

  /** Removes those of a request that `leaves` holds for, and gives them in the order in which they came. */
  take(requestId: string, leaves: (record: number) => boolean): readonly number[] {
    const newest = this.newest.get(requestId)
    if (newest === undefined) return []
    const { records } = this
    const taken: number[] = []
    let left = NONE
    for (const record of records.listed(newest).reverse()) {
      if (leaves(record)) {
        records.requestIds[record] = ''
        records.standing[record] = CANDIDATE
        taken.push(record)
      } else {
        records.next[record] = left
        left = record
      }
    }
    if (left === NONE) this.newest.delete(requestId)
    else this.newest.set(requestId, left)
    return taken
  }

  /** Removes those whose time is up, and gives them. */
  expired(time: number): readonly number[] {
    const { records, expiring } = this
    const isUp = (record: number) => this.expiryOf(record) <= time
    const expired: number[] = []
    while (expiring.minimum <= time) {
      const record = expiring.pop()!
      // It may have left meanwhile, and another record be in its slot.
      if (records.kind[record] === FREE || records.standing[record] !== EARLY || !isUp(record)) continue
      for (const each of this.take(records.requestIds[record]!, isUp)) expired.push(each)
    }
    return expired
  }
}
