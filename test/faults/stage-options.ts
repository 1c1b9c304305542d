/** What a row may say of its stage and its workers. */
import type { Tree } from './configuration.ts'
import type { Planned } from './world.ts'

export interface StageOptions {
  /** Requests in the world; with their rewards about twice as many events. Default 2,600, or 26,000 with `--long`. */
  readonly requests?: number
  /** One of so many requests is sent twice. */
  readonly twiceEvery?: number
  /** Brokers: the shared one (default), or 3 of the row's own. */
  readonly brokers?: 1 | 3
  /** Whether `record` runs and ClickHouse is judged (default true). */
  readonly recording?: boolean
  /** Names of policies, LinUCB over six numbers; `front` where absent. */
  readonly policies?: readonly string[]
  /** Settings on top of the stage's own, as blocks. */
  readonly config?: Tree
  /** Milliseconds of event time; 400 and 100 where absent. */
  readonly windowMs?: number
  readonly graceMs?: number
  /** A stage of one row that has several. */
  readonly name?: string
  /** What of the world is published; all of it where absent. */
  readonly only?: (planned: Planned) => boolean
  /** How the last windows close: by sentinels far ahead in event time (default), or by the clock, once all inputs are silent. */
  readonly ends?: 'sentinels' | 'clock'
  /** See `Evidence`. */
  readonly ledgersWhole?: boolean
}

export interface WorkerOptions {
  readonly jobs?: readonly string[]
  readonly config?: Tree
  /** Another build of millrace: see `Worker`. */
  readonly build?: string
}
