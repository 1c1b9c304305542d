/** What the oracle judges by. */
import type { JoinRules } from './naive-join.ts'
import type { Read, TopicLog } from './topic-log.ts'

export interface Evidence {
  /** All of the row's topics, read to their ends. */
  readonly log: Pick<TopicLog, 'records'>
  readonly prefix: string
  readonly join: JoinRules
  /** Where snapshots lie. */
  readonly models: string
  /** Whether ledgers say all that ever was (default true): not after a release that wrote none. */
  readonly ledgersWhole?: boolean
}

/** An event and where it lies. */
export interface Placed<E> {
  readonly event: E
  readonly record: Read
}
