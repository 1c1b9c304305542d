/**
 * replay: a policy's log read again, with the same policy or another one. The same policy must come to the same bytes and the same decisions; another
 * one is evaluated on what the log holds. Nothing is written anywhere: a replay reads topics and the model store, opens no task and no
 * writer, and registers no schema.
 *
 * Policies are replayed one after the other. The fold begins where the state does, or, where `outcomes` no longer reaches back so far, at the oldest
 * snapshot that it can go on from.
 */

import type { PolicyConfig } from '../infra/config/policy.ts'
import type { TopicOffsets } from '../infra/kafka/port.ts'
import type { EvaluationOptions } from '../operators/bandits/evaluation/evaluation.ts'
import { definitionHash } from '../operators/bandits/state/definition.ts'
import { type LivePolicy, liveDefinitions, PolicyTable } from '../operators/bandits/state/policy-table.ts'
import { MillraceError } from '../schemas/errors.ts'
import type { PolicyDefinition, Snapshot } from '../schemas/generated/events.ts'
import { topicOf } from './process/runtime.ts'
import { type OtherPolicyReplay, replayOtherPolicy } from './replay/other-policy.ts'
import type { PartRange, Reading } from './replay/outcomes.ts'
import { type Bounds, namesOffsets, requireBounds, resolveRange } from './replay/range.ts'
import { replaySamePolicy, type SamePolicyReplay } from './replay/same-policy.ts'
import { readDefinitions } from './states/policies.ts'
import { restore } from './states/restore.ts'
import {
  isOfState,
  partitionsOf,
  partsOfSnapshot,
  reach,
  readSnapshots,
  whyUnusable,
} from './states/snapshot-log.ts'

export interface ReplayProgress {
  readonly policy: string
  /** Offsets passed, of so many. */
  readonly passed: number
  readonly total: number
}

export interface ReplayOptions extends Bounds {
  /** Names of the policies; those configured where absent, and where none is, all of the log. */
  readonly policies?: readonly string[]
  /** Other definitions, by the names of the logged policies that they take the place of; policies without one are left out. */
  readonly others?: readonly PolicyConfig[]
  /** Evaluates the other definitions, with these options, also where one is what the log defines; else that is replayed as the same. */
  readonly evaluation?: EvaluationOptions
  /** Decisions that may wait for their states at once (default 1,000,000). */
  readonly window?: number
  readonly onProgress?: (progress: ReplayProgress) => void
}

export interface PolicyReplay {
  readonly policy: string
  /** The newest live version. */
  readonly version: number
  /** Of each of its parts. */
  readonly ranges: readonly PartRange[]
  /** The snapshot that the fold went on from; null where it began with the state. */
  readonly begun: Snapshot | null
  /** One of the two. */
  readonly same: SamePolicyReplay | null
  readonly other: OtherPolicyReplay | null
}

/**
 * @throws MillraceError INVALID_CONFIG, UNKNOWN_POLICY, PARTITION_MISMATCH before anything is replayed; OFFSET_OUT_OF_RANGE where outcomes are gone
 * and no snapshot bridges the gap; MISSING_TOPIC, KAFKA_UNAVAILABLE, STORE_UNAVAILABLE
 */
export const replay = async (reading: Reading, options: ReplayOptions): Promise<PolicyReplay[]> => {
  requireBounds(options)
  const definitions = await readDefinitions(reading)
  const names = namesOf(reading, definitions, options)
  if (names.length > 1 && namesOffsets(options)) {
    throw new MillraceError(
      'INVALID_CONFIG',
      `--from, --to: offsets are those of one policy's partition, and these are ${names.length}: name one with --policy-name, or give times`,
    )
  }
  const ends = await reading.broker.admin.offsets(topicOf(reading.config, 'outcome'))
  const replayed: PolicyReplay[] = []
  for (const name of names) {
    const own = definitions.filter(({ policy }) => policy === name)
    replayed.push(await replayPolicy(reading, own, ends, options))
  }
  return replayed
}

/** @throws MillraceError UNKNOWN_POLICY, INVALID_CONFIG */
const namesOf = (
  { config }: Reading,
  definitions: readonly PolicyDefinition[],
  { policies, others }: ReplayOptions,
): string[] => {
  const known = [...liveDefinitions(definitions).keys()]
  const configured = config.policies.map(({ name }) => name)
  const names = policies ?? (configured.length > 0 ? configured : known)
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    throw new MillraceError(
      'UNKNOWN_POLICY',
      `the log defines no policy "${unknown.join('", "')}"${known.length === 0 ? ' and no other' : `: there are ${known.join(', ')}`}`,
    )
  }
  if (others === undefined) return [...names]
  const replaced = names.filter((name) => others.some((other) => other.name === name))
  if (replaced.length > 0) return replaced
  const given = others.map(({ name }) => `"${name}"`).join(', ')
  throw new MillraceError(
    'INVALID_CONFIG',
    `--policy: it defines ${given || 'no policy'}, and none of these is replayed: ${names.join(', ')}`,
  )
}

const replayPolicy = async (
  reading: Reading,
  definitions: readonly PolicyDefinition[],
  ends: readonly TopicOffsets[],
  options: ReplayOptions,
): Promise<PolicyReplay> => {
  const table = new PolicyTable(definitions)
  const live = [...table][0]!
  requireUnmoved(reading, live, definitions, ends)
  const { name, version } = live
  const ranges = await resolveRange(reading, live, ends, options)
  const definition = liveDefinitions(definitions).get(name)!
  const other = options.others?.find((each) => each.name === name)?.definition
  const told = (total: number) => (passed: number) =>
    options.onProgress?.({ policy: name, passed: Math.min(passed, total), total })
  const { evaluation } = options
  if (other !== undefined && (evaluation !== undefined || definitionHash(other) !== definition.hash)) {
    const onPassed = told(sum(ranges.map(({ from, to }) => to - from)))
    const asked = { live, definition, other, ranges, onPassed, evaluation: evaluation ?? {} }
    const replayed = await replayOtherPolicy(reading, asked)
    return { policy: name, version, ranges, begun: null, same: null, other: replayed }
  }
  const snapshots = await readSnapshots(reading)
  const begun = await begin(reading, table, live, definitions, { ends, ranges, snapshots })
  const onPassed = told(sum(ranges.map(({ to }, part) => Math.max(0, to - live.offsets[part]!))))
  const same = await replaySamePolicy(reading, {
    table,
    live,
    definitions,
    snapshots,
    ranges,
    onPassed,
    ...(options.window === undefined ? {} : { window: options.window }),
  })
  return { policy: name, version, ranges, begun, same, other: null }
}

/**
 * Leaves the policy where its state began if all outcomes since then are there; else puts it to the oldest snapshot that can be gone on from.
 * @returns that snapshot
 * @throws MillraceError OFFSET_OUT_OF_RANGE where there is none
 */
const begin = async (
  reading: Reading,
  table: PolicyTable,
  live: LivePolicy,
  definitions: readonly PolicyDefinition[],
  log: {
    readonly ends: readonly TopicOffsets[]
    readonly ranges: readonly PartRange[]
    readonly snapshots: readonly Snapshot[]
  },
): Promise<Snapshot | null> => {
  const earliest = (partition: number) => log.ends.find((end) => end.partition === partition)!.earliest
  if (log.ranges.every(({ partition }, part) => earliest(partition) <= live.offsets[part]!)) return null
  const upTo = (
    parts: readonly { readonly partition: number; readonly offset?: number; readonly to?: number }[],
  ) =>
    log.ends.map((end) => {
      const here = parts.filter(({ partition }) => partition === end.partition)
      const latest = Math.max(end.earliest, ...here.map(({ offset, to }) => offset ?? to ?? end.latest))
      return here.length === 0 ? end : { ...end, latest }
    })
  const within = upTo(log.ranges)
  const usable = log.snapshots
    .filter((each) => isOfState(each, live, definitions) && whyUnusable(each, live, within) === null)
    .sort((a, b) => reach(a) - reach(b))
  for (const snapshot of usable) {
    const [restored] = await restore(reading, table, definitions, upTo(partsOfSnapshot(snapshot)))
    if (restored !== undefined) return restored
  }
  const gone = log.ranges.map(({ partition }) => `${partition}:${earliest(partition)}`).join(', ')
  throw new MillraceError(
    'OFFSET_OUT_OF_RANGE',
    `the outcomes of "${live.name}" begin at ${gone}, its state at ${live.offsets}, and no snapshot up to the end of the range lies in between that can be gone on from`,
  )
}

/** @throws MillraceError PARTITION_MISMATCH where the policy's outcomes would now lie in another partition than they do */
const requireUnmoved = (
  { config }: Reading,
  { name, keys, stateHash }: LivePolicy,
  definitions: readonly PolicyDefinition[],
  ends: readonly TopicOffsets[],
): void => {
  const places = (partitions: number) => partitionsOf({ keys }, partitions).join()
  const moved = definitions.find(
    (other) =>
      other.stateHash === stateHash &&
      other.outcomesPartitions > 0 &&
      places(other.outcomesPartitions) !== places(ends.length),
  )
  if (moved === undefined) return
  throw new MillraceError(
    'PARTITION_MISMATCH',
    `${topicOf(config, 'outcome')} has ${ends.length} partitions, and had ${moved.outcomesPartitions} when "${name}" was applied: its outcomes are not where they were`,
  )
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)
