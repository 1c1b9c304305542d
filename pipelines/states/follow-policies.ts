/**
 * Following outcomes and definitions together. A version that is written while a process runs is taken up at once: the fold of outcomes pauses, the states that are
 * wanted now are made or let go, and it goes on, from where the new ones are. Which version decides changes between two decisions; whoever decides need not
 * stop.
 */
import {
  concat,
  defer,
  distinctUntilChanged,
  from,
  ignoreElements,
  map,
  merge,
  type Observable,
  startWith,
  switchMap,
} from 'rxjs'
import { liveDefinitions } from '../../operators/bandits/state/policy-table.ts'
import type { PolicyDefinition } from '../../schemas/generated/events.ts'
import { type Runtime, topicOf } from '../process/runtime.ts'
import { follow } from './follow.ts'
import { learnFrom, putBack, type States } from './learn.ts'
import { type PolicyLog, readDefinitions, unmovedDefinitions } from './policies.ts'

/** The definitions of the log: those there are now, and all of them again whenever they differ after a record was written or `again` has emitted. */
export const followDefinitions = (
  log: PolicyLog,
  again?: Observable<unknown>,
): Observable<readonly PolicyDefinition[]> =>
  defer(() => log.broker.admin.offsets(topicOf(log.config, 'policy-definition'))).pipe(
    switchMap((offsets) => {
      const topic = topicOf(log.config, 'policy-definition')
      const begin = new Map(offsets.map(({ partition, latest }) => [partition, latest]))
      const written = follow(log.broker, { topic, from: begin }, (batches) => batches.pipe(map(() => null)))
      return (again === undefined ? written : merge(written, again)).pipe(startWith(null))
    }),
    switchMap(() => from(readDefinitions(log))),
  )

/** `learnFrom` for ever, over the definitions as they change. @throws MillraceError as `learnFrom`, PARTITION_MISMATCH, INVALID_CONFIG */
export const learnOn = (runtime: Runtime, states: States): Observable<never> =>
  followDefinitions(runtime, states.stale).pipe(
    map((definitions) => unmovedDefinitions(runtime, definitions, states.partitions)),
    // After `stale` the fold has to be begun again, whatever was found.
    distinctUntilChanged((before, now) => same(before, now) && !states.waits),
    switchMap((definitions) =>
      concat(
        defer(() => takeUp(runtime, states, definitions)).pipe(ignoreElements()),
        defer(() => learnFrom(runtime, states)),
      ),
    ),
  )

/** Brings the states up to these definitions. */
const takeUp = async (
  runtime: Runtime,
  states: States,
  definitions: readonly PolicyDefinition[],
): Promise<void> => {
  states.waits = false
  if (same(states.definitions, definitions)) return
  const outcomes = await runtime.broker.admin.offsets(topicOf(runtime.config, 'outcome'))
  const before = liveDefinitions(states.definitions)
  const behind = states.table.update(definitions)
  states.definitions = definitions
  await putBack(runtime, states, behind, outcomes)
  for (const { name, version } of states.table) {
    const former = before.get(name)?.version
    if (former !== version) runtime.log.info({ policy: name, version, former }, 'another version decides')
  }
}

/** Whether two readings of the log say the same: a version's definition never changes, its mode may. */
export const same = (a: readonly PolicyDefinition[], b: readonly PolicyDefinition[]): boolean =>
  a.length === b.length &&
  a.every((one, i) => {
    const { policy, version, hash, mode, effectiveFrom, appliedAt } = b[i]!
    return (
      one.policy === policy &&
      one.version === version &&
      one.hash === hash &&
      one.mode === mode &&
      one.effectiveFrom === effectiveFrom &&
      one.appliedAt === appliedAt
    )
  })
