/**
 * The way in: records become events. Each event comes from millrace's own topic, or, where `sources:` name it, from the user's topics
 * by their mappings. What cannot be read is refused with its code and keeps its place in the batch.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { concatMap, type OperatorFunction } from 'rxjs'
import type { Codec } from '../infra/avro/codec.ts'
import type { Log } from '../infra/telemetry/log.ts'
import type { Inbound, Refused, SourceBatch } from '../operators/streams/batch.ts'
import { MillraceError } from '../schemas/errors.ts'
import type { EventName, EventTypes } from '../schemas/generated/events.ts'

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
}

export type InputTopics = <E extends EventName>(event: E) => readonly Input<E>[]

/** Millrace's own topic of an event. */
export const ownInput = <E extends EventName>(codec: Codec, topic: string, event: E): Input<E> => ({
  topic,
  event,
  stage: 'decode',
  prepare: (values) => codec.ensureSchemas(values),
  read: (value) => codec.decode(event, value),
})

/** Reads one batch by the input of its topic (an idle one has none, and no records); a registry that is away is waited for, since its records are no dead letters. */
export const readBatch = async <E extends EventName>(
  batch: SourceBatch,
  inputs: readonly Input<E>[],
  log: Log,
): Promise<Inbound<E>> => {
  const input = inputs.find(({ topic }) => topic === batch.topic) ?? inputs[0]!
  await patiently(() => input.prepare(batch.records.map(({ value }) => value)), log)
  const events = new Array<EventTypes[E] | null>(batch.records.length)
  const refused: Refused[] = []
  for (const [index, { value }] of batch.records.entries()) {
    try {
      if (value === null) throw new MillraceError('INVALID_EVENT', 'the record has no value')
      events[index] = input.read(value)
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      events[index] = null
      refused.push({ index, stage: input.stage, code: error.code, message: error.message })
    }
  }
  return { batch, event: input.event, events, refused } as Inbound<E>
}

/** `readBatch` as an operator. */
export const decode = <E extends EventName>(
  inputs: readonly Input<E>[],
  log: Log,
): OperatorFunction<SourceBatch, Inbound<E>> => concatMap((batch) => readBatch(batch, inputs, log))

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

const patiently = async (work: () => Promise<void>, log: Log): Promise<void> => {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'REGISTRY_UNAVAILABLE') throw error
      log.warn({ error }, 'the schema registry is away: trying again')
      await sleep(pause)
    }
  }
}
