/** Event time where clocks may be wrong: the record's own time bounds what its producer says. */
interface Timed {
  readonly event: { readonly occurredAt: number }
  /** The record's own time, in milliseconds since the epoch; -1 where it has none. */
  readonly timestamp: number
}

/** When a record happened, as far as it can be believed: at most `skewMs` later than its record's own time. */
export const eventTimeOf = ({ event, timestamp }: Timed, skewMs: number): number =>
  timestamp < 0 ? event.occurredAt : Math.min(event.occurredAt, timestamp + skewMs)

/**
 * How far a record moves event time on: not beyond its record's own time. One wrong clock must not make all that follows in its topic seem
 * late.
 */
export const reachedBy = (record: Timed): number => eventTimeOf(record, 0)
