/**
 * The fold of `outcomes` into the policies' states, in one process: begun from snapshots where there are some, followed to the end that was
 * there, and on. Every process that follows holds the same states.
 */
import { filter, ignoreElements, type Observable, Subject, tap } from 'rxjs'
import type { TopicOffsets } from '../../infra/kafka/port.ts'
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
  /** The states of live versions, and beside them those of former ones and challengers. */
  readonly table: PolicyTable
  /** What the table was last brought up to. */
  definitions: readonly PolicyDefinition[]
  /** Partitions of `outcomes`. */
  readonly partitions: number
  /** Next offset to be folded, by partition; partitions of no policy are not followed. */
  readonly positions: Map<number, number>
  /** Emits after every batch. */
  readonly advanced: Subject<void>
  /** Emits when an outcome names a version that is not known here: definitions have been written meanwhile. */
  readonly stale: Subject<void>
  /** Whether the fold waits for what `stale` asked for. */
  waits: boolean
  /** Versions that the log was asked for, as `policy/hash`: one that it does not define is not asked for again. */
  readonly asked: Set<string>
}

/**
 * The policies of the log, restored as far as snapshots go, and where their outcomes end for now.
 * @throws MillraceError POLICY_DIFFERS, PARTITION_MISMATCH, MISSING_TOPIC
 */
export const openStates = async (runtime: Runtime): Promise<{ states: States; ends: Offsets }> => {
  // Before the definitions: whatever version made an outcome below these ends is then among them.
  const outcomes = await runtime.broker.admin.offsets(topicOf(runtime.config, 'outcome'))
  const definitions = await agreedDefinitions(runtime)
  const table = new PolicyTable(definitions, { shadows: true })
  const states: States = {
    table,
    definitions,
    partitions: outcomes.length,
    positions: new Map(),
    advanced: new Subject(),
    stale: new Subject(),
    waits: false,
    asked: new Set(),
  }
  await putBack(runtime, states, [...table.held()], outcomes)
  const { positions } = states
  const followed = outcomes.filter(({ partition }) => positions.has(partition))
  const ends = new Map(followed.map(({ partition, latest }) => [partition, latest]))
  return { states, ends }
}

/**
 * Restores these states as far as snapshots go, and takes the positions back to where they are. One that does not decide, and can no longer be folded, is let
 * go with a warning: nothing depends on it until it is to decide.
 */
export const putBack = async (
  runtime: Runtime,
  { table, definitions, partitions, positions }: States,
  behind: readonly LivePolicy[],
  outcomes: readonly TopicOffsets[],
): Promise<void> => {
  const from = new Map(positions)
  const goBack = () => {
    for (const live of behind)
      for (const [part, partition] of partitionsOf(live, partitions).entries())
        positions.set(partition, Math.min(live.offsets[part]!, positions.get(partition) ?? Number.MAX_VALUE))
  }
  // At once, lest a snapshot be taken of a state that has not come to where all are said to be.
  goBack()
  const fresh = behind.filter(({ learned }) => learned === 0)
  for (const { policy, policyVersion, offset } of await restore(runtime, table, definitions, outcomes, fresh))
    if (isLive(table, definitions, policy, policyVersion))
      runtime.metrics.policy(policy).snapshotOffset(offset)
  const gone = behind.filter((live) => isGone(live, outcomes) && table.get(live.name) !== live)
  for (const live of gone) {
    const { name, version } = live
    table.release(live)
    runtime.log.warn(
      { policy: name, version, code: 'OFFSET_OUT_OF_RANGE' },
      'the outcomes that this version learns from are gone: it cannot be promoted or gone back to',
    )
  }
  positions.clear()
  for (const [partition, position] of from) positions.set(partition, position)
  behind = behind.filter((live) => !gone.includes(live))
  goBack()
}

const isGone = (live: LivePolicy, outcomes: readonly TopicOffsets[]): boolean =>
  partitionsOf(live, outcomes.length).some(
    (at, part) => live.offsets[part]! < (outcomes.find(({ partition }) => partition === at)?.earliest ?? 0),
  )

/** Whether a version's state is that of the version that decides. */
const isLive = (
  table: PolicyTable,
  definitions: readonly PolicyDefinition[],
  policy: string,
  version: number,
): boolean =>
  definitions.find((other) => other.policy === policy && other.version === version)?.stateHash ===
  table.get(policy)?.stateHash

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
      tap(requireSchemas),
      filter((inbound) => !isStale(states, inbound)),
      tap(({ batch }) => {
        current = batch
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

/** Whether an outcome names a version for which the log is to be asked first; whoever follows the policies does, and begins here again. */
const isStale = (states: States, { events }: Inbound<'outcome'>): boolean => {
  const { table, asked, stale } = states
  let found = false
  for (const outcome of events) {
    if (outcome == null || table.knows(outcome)) continue
    const version = `${outcome.policy}/${outcome.policyHash}`
    found ||= !asked.has(version)
    asked.add(version)
  }
  if (!found || !stale.observed) return false
  states.waits = true
  stale.next()
  return true
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
  const { bytes, offsets } = states.table.save(live.name, live.stateHash)
  return { bytes, offsets: live.parts === 1 ? followed(states, live) : offsets }
}
