/** A topic of the user's that an event is also written to, in the user's shape. */
import type { OutputRecord } from '../../infra/kafka/port.ts'
import type { EventName } from '../../schemas/generated/events.ts'

export interface Sink {
  readonly topic: string
  readonly event: EventName
  /** @throws MillraceError MAPPING_FAILED where the event does not fit the user's schema. */
  readonly record: (value: unknown, key: string) => OutputRecord
}
