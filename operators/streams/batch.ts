/**
 * What flows between a pipeline's operators: the events of one batch, in step with the records that they came from, so that whatever is
 * refused on the way can be written to `dead-letters` with its raw bytes, and everything leaves in the batch's one transaction.
 */
import type { ErrorCode } from '../../schemas/errors.ts'
import type { EventName, EventTypes } from '../../schemas/generated/events.ts'

/** The part of a consumed record that operators may look at. */
export interface SourceRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly offset: number
  readonly timestamp: number
}

export interface SourceBatch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly SourceRecord[]
  readonly nextOffset: number
  readonly idle?: true
  /** Inputs of the task known to have had nothing for a while, by topic. */
  readonly silent?: readonly string[]
}

/** A record that was refused, by its place in the batch. */
export interface Refused {
  readonly index: number
  readonly stage: string
  readonly code: ErrorCode
  readonly message: string
}

/** A decoded batch of one kind of event: `events[i]` came from `batch.records[i]`, null where that was refused. */
export type Inbound<E extends EventName> = {
  [N in E]: {
    readonly batch: SourceBatch
    readonly event: N
    readonly events: readonly (EventTypes[N] | null)[]
    readonly refused: readonly Refused[]
  }
}[E]

/** An event on its way out. */
export type Outgoing = {
  [E in EventName]: {
    readonly event: E
    readonly value: EventTypes[E]
    /** The record's key where it is not the event's own (a part of a split policy). */
    readonly key?: string
    /** Place in the batch of the record that it came from; absent where that came in an earlier batch. */
    readonly index?: number
  }
}[EventName]

/** What a batch became. */
export interface Outbound {
  readonly batch: SourceBatch
  readonly outputs: readonly Outgoing[]
  readonly refused: readonly Refused[]
  /** Positions to commit, with the state that rides with them; that of the batch alone where absent. */
  readonly positions?: ReadonlyMap<string, { readonly offset: number; readonly metadata?: string }>
}
