/**
 * The fold of `outcomes` into the policies' states, in one process: begun from snapshots where there are some, followed to the end that was
 * there, and on. Every process that follows holds the same states.
 */
import { ignoreElements, type Observable, Subject, tap } from 'rxjs'
import { learn } from '../../operators/bandits/learn.ts'
import type { SavedState } from '../../operators/bandits/state/fold.ts'
import { type LivePolicy, PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import type { Inbound } from '../../operators/streams/batch.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { PolicyDefinition } from '../../schemas/generated/events.ts'
import { decode, ownInput } from '../delivery/inputs.ts'
import { type Runtime, topicOf } from '../process/runtime.ts'
import { follow } from './follow.ts'
import { agreedDefinitions } from './policies.ts'
import { restore } from './restore.ts'
import { partitionsOf } from './snapshot-log.ts'

type Offsets = ReadonlyMap<number, number>

/** The states of the policies and how far the fold has come. Between two turns of the event loop both say the same. */
export interface States {
  readonly table: PolicyTable
  readonly definitions: readonly PolicyDefinition[]
  /** Partitions of `outcomes`. */
  readonly partitions: number
  /** Next offset to be folded, by partition; partitions of no policy are not followed. */
  readonly positions: Map<number, number>
  /** Emits after every batch. */
  readonly advanced: Subject<void>
}

/**
 * The policies of the log, restored as far as snapshots go, and where their outcomes end for now.
 * @throws MillraceError POLICY_DIFFERS, PARTITION_MISMATCH, MISSING_TOPIC
 */
export const openStates = async (runtime: Runtime): Promise<{ states: States; ends: Offsets }> => {
  const definitions = await agreedDefinitions(runtime)
  const table = new PolicyTable(definitions)
  const outcomes = await runtime.broker.admin.offsets(topicOf(runtime.config, 'outcome'))
  for (const { policy, offset } of await restore(runtime, table, definitions, outcomes))
    runtime.metrics.policy(policy).snapshotOffset(offset)
  const positions = new Map<number, number>()
  for (const live of table) {
    for (const [part, partition] of partitionsOf(live, outcomes.length).entries())
      positions.set(partition, Math.min(live.offsets[part]!, positions.get(partition) ?? Number.MAX_VALUE))
  }
  const followed = outcomes.filter(({ partition }) => positions.has(partition))
  const ends = new Map(followed.map(({ partition, latest }) => [partition, latest]))
  const states = { table, definitions, partitions: outcomes.length, positions, advanced: new Subject<void>() }
  return { states, ends }
}

/**
 * Folds outcomes from where the states are, up to `to` or for ever. What cannot be learned from is passed over, by every process alike; but where
 * only this one lacks a schema it stops, since its states would differ.
 * @throws MillraceError UNKNOWN_SCHEMA; OFFSET_OUT_OF_RANGE where outcomes that are needed are gone
 */
export const learnFrom = (runtime: Runtime, states: States, to?: Offsets): Observable<never> => {
  const { broker, codec, config, log } = runtime
  const { table, positions, advanced } = states
  const topic = topicOf(config, 'outcome')
  const inputs = [ownInput(codec, topic, 'outcome')]
  const metrics = runtime.metrics.job('learn')
  let current: Inbound<'outcome'>['batch'] | undefined
  const range = { topic, from: new Map(positions), ...(to === undefined ? {} : { to }) }
  return follow(broker, range, (batches) =>
    batches.pipe(
      decode(inputs, log),
      tap((inbound) => {
        requireSchemas(inbound)
        current = inbound.batch
      }),
      learn(table),
    ),
  ).pipe(
    tap(({ learned, refused }) => {
      // Decoding waits, but from there on all is one turn.
      if (current !== undefined) positions.set(current.partition, current.nextOffset)
      metrics.received(learned + refused.length)
      for (const { code, message } of refused) {
        metrics.deadLetter(code)
        log.warn({ code }, `an outcome was not learned from: ${message}`)
      }
      for (const { name, stateOffset } of table) runtime.metrics.policy(name).stateOffset(stateOffset)
      advanced.next()
    }),
    ignoreElements(),
  )
}

const requireSchemas = ({ batch, refused }: Inbound<'outcome'>): void => {
  const unknown = refused.find(({ code }) => code === 'UNKNOWN_SCHEMA')
  if (unknown === undefined) return
  const where = `${batch.topic}/${batch.partition} at offset ${batch.records[unknown.index]?.offset}`
  throw new MillraceError(
    'UNKNOWN_SCHEMA',
    `${where}: ${unknown.message}. Passing over it would make this process's states differ from others': upgrade millrace, or see that the schema registry has it`,
  )
}

/** The next offsets to be followed of each of a policy's parts. */
export const followed = ({ partitions, positions }: States, live: LivePolicy): number[] =>
  partitionsOf(live, partitions).map((partition, part) =>
    Math.max(positions.get(partition) ?? 0, live.offsets[part]!),
  )

/**
 * A policy's state with the offsets up to which it is learned. They are those of the fold where the policy is not split: what was followed since its last
 * outcome belongs to others, and need not be read again for its sake.
 */
export const saveState = (states: States, live: LivePolicy): SavedState => {
  const { bytes, offsets } = states.table.save(live.name)
  return { bytes, offsets: live.parts === 1 ? followed(states, live) : offsets }
}
