/**
 * Snapshots held against the fold. Those of a policy that is not split name the offset they were taken at. Those of a split one name an offset of each part:
 * the state that merged just these is found while the fold passes the first part's.
 */
import { createHash } from 'node:crypto'
import type { ModelStore } from '../../infra/models/store.ts'
import { mergeEveryOf } from '../../operators/bandits/state/definition.ts'
import type { SavedState } from '../../operators/bandits/state/fold.ts'
import type { LivePolicy } from '../../operators/bandits/state/policy-table.ts'
import { NUMERIC_KERNEL, SNAPSHOT_FORMAT } from '../../operators/bandits/state/snapshot-format.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Snapshot } from '../../schemas/generated/events.ts'
import { partsOfSnapshot } from '../states/snapshot-log.ts'
import type { Comparison } from './comparison.ts'

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

interface Waiting {
  readonly snapshot: Snapshot
  /** The state to compare with, as a `stateOffset`; null until it is known. */
  at: number | null
}

export class SnapshotChecks {
  readonly #live: LivePolicy
  readonly #comparison: Comparison
  readonly #store: ModelStore
  /** The earliest state wanted, Infinity where none is. */
  next: number
  #waiting: Waiting[]
  /** Outcomes of the first part that the fold has seen. */
  #seen: number
  #offset: number

  /** @param snapshots of the policy's state, in the range */
  constructor(live: LivePolicy, snapshots: readonly Snapshot[], store: ModelStore, comparison: Comparison) {
    this.#live = live
    this.#store = store
    this.#comparison = comparison
    this.#seen = live.stateOffset
    this.#offset = live.offsets[0]!
    this.#waiting = snapshots.map((snapshot) => ({
      snapshot,
      at: live.parts === 1 ? snapshot.offset : null,
    }))
    this.next = this.#soonest()
  }

  #soonest(): number {
    return Math.min(...this.#waiting.map(({ at }) => at ?? Number.POSITIVE_INFINITY))
  }

  /** To be told after every outcome learned. */
  advanced(): void {
    const live = this.#live
    const offset = live.offsets[0]!
    if (live.parts === 1 || offset === this.#offset) return
    this.#offset = offset
    this.#seen++
    if (this.#seen % mergeEveryOf(live.definition) !== 0) return
    for (const waiting of this.#waiting)
      if (waiting.snapshot.parts[0]?.offset === offset) waiting.at = this.#seen
    this.next = this.#soonest()
  }

  /** Compares the snapshots of the present state: those wanted up to `limit`. */
  async compare(limit: number, save: () => SavedState): Promise<void> {
    const due = this.#waiting.filter(({ at }) => at !== null && at <= limit)
    this.#waiting = this.#waiting.filter((waiting) => !due.includes(waiting))
    this.next = this.#soonest()
    for (const { snapshot } of due) await this.#compare(snapshot, save())
  }

  /** What was wanted and never came. */
  end(): void {
    for (const { snapshot } of this.#waiting.splice(0))
      this.#comparison.differs('snapshots', `${nameOf(snapshot)}: no state ends at its offsets`)
  }

  async #compare(snapshot: Snapshot, { bytes, offsets }: SavedState): Promise<void> {
    const comparison = this.#comparison
    const name = nameOf(snapshot)
    if (snapshot.kernel !== NUMERIC_KERNEL || snapshot.format !== SNAPSHOT_FORMAT)
      return comparison.unchecked('snapshots', 'of another numeric kernel or format')
    const wanted = partsOfSnapshot(snapshot).map(({ offset }) => offset)
    if (this.#live.parts > 1 && wanted.join() !== offsets.join())
      return comparison.differs('snapshots', `${name}: its parts are at ${wanted}, the state's at ${offsets}`)
    const replayed = sha256(bytes)
    if (replayed !== snapshot.sha256)
      return comparison.differs(
        'snapshots',
        `${name}: the log gives a state with sha256 ${replayed}, it says ${snapshot.sha256}`,
      )
    try {
      const stored = await this.#store.get(snapshot.sha256)
      if (stored === null)
        comparison.note(`${name}: its record agrees, its bytes are not in ${this.#store.directory}`)
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'SNAPSHOT_CORRUPT') throw error
      return comparison.differs('snapshots', `${name}: ${error.message}`)
    }
    comparison.agrees('snapshots')
  }
}

const nameOf = (snapshot: Snapshot): string => {
  const parts = partsOfSnapshot(snapshot).map(({ partition, offset }) => `${partition}:${offset}`)
  return `snapshot ${KEYS.snapshot(snapshot)} at ${parts.join(' ')}`
}
