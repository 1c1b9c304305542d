/**
 * The way in: records become events. Each event comes from millrace's own topic, or, where `sources:` name it, from the user's topics
 * by their mappings. What cannot be read is refused with its code and keeps its place in the batch.
 */
import { catchError, concatMap, defer, EMPTY, from, type OperatorFunction, tap, throwError } from 'rxjs'
import type { Codec } from '../../infra/avro/codec.ts'
import type { Log } from '../../infra/telemetry/log.ts'
import type { Inbound, Refused, SourceBatch } from '../../operators/streams/batch.ts'
import { COMPACTED_TOPICS, TOPICS, type TopicName } from '../../schemas/catalogue.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { EventName, EventTypes } from '../../schemas/generated/events.ts'
import { Remote } from '../process/remote.ts'

/** How the records of one topic become events of one kind. */
export interface Input<E extends EventName = EventName> {
  readonly topic: string
  readonly event: E
  /** Where a refusal says that it happened. */
  readonly stage: 'decode' | 'map'
  /** Loads schemas that the values name and that are not known yet. @throws MillraceError REGISTRY_UNAVAILABLE */
  readonly prepare: (values: readonly (Buffer | null)[]) => Promise<void>
  /** @throws MillraceError for a value that is no such event. */
  readonly read: (value: Buffer) => EventTypes[E]
  /** Whether a record without a value is the end of its key, as on a compacted topic, and nothing to be refused. */
  readonly tombstones?: true
}

export type InputTopics = <E extends EventName>(event: E) => readonly Input<E>[]

/** Millrace's own topic of an event. */
export const ownInput = <E extends EventName>(codec: Codec, topic: string, event: E): Input<E> => ({
  topic,
  event,
  stage: 'decode',
  prepare: (values) => codec.ensureSchemas(values),
  read: (value) => codec.decode(event, value),
  ...(COMPACTED_TOPICS.has(TOPICS[event] as TopicName) ? { tombstones: true } : {}),
})

/**
 * Reads one batch by the input of its topic (an idle one has none, and no records). A registry that is away is waited for, since its
 * records are no dead letters; `signal` ends the wait with its reason.
 */
export const readBatch = async <E extends EventName>(
  batch: SourceBatch,
  inputs: readonly Input<E>[],
  log: Log,
  signal?: AbortSignal,
): Promise<Inbound<E>> => {
  const input = inputs.find(({ topic }) => topic === batch.topic) ?? inputs[0]!
  const registry = new Remote({ name: 'the schema registry', away: 'REGISTRY_UNAVAILABLE', log })
  await registry.reach(() => input.prepare(batch.records.map(({ value }) => value)), signal)
  const events = new Array<EventTypes[E] | null>(batch.records.length)
  const refused: Refused[] = []
  for (const [index, { value }] of batch.records.entries()) {
    try {
      events[index] = value === null ? withoutValue(input) : input.read(value)
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      events[index] = null
      refused.push({ index, stage: input.stage, code: error.code, message: error.message })
    }
  }
  return { batch, event: input.event, events, refused } as Inbound<E>
}

/** No event. @throws MillraceError INVALID_EVENT where a record must have a value */
const withoutValue = ({ tombstones }: Input): null => {
  if (tombstones) return null
  throw new MillraceError('INVALID_EVENT', 'the record has no value')
}

/** `readBatch` as an operator. When no more batches come, one that waits for the registry is given up. */
export const decode =
  <E extends EventName>(inputs: readonly Input<E>[], log: Log): OperatorFunction<SourceBatch, Inbound<E>> =>
  (source) =>
    defer(() => {
      const ended = new AbortController()
      return source.pipe(
        tap({ finalize: () => ended.abort() }),
        concatMap((batch) => from(readBatch(batch, inputs, log, ended.signal))),
        catchError((error: unknown) => (error === ended.signal.reason ? EMPTY : throwError(() => error))),
      )
    })
