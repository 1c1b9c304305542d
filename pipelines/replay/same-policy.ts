/**
 * The same policy over its own log: its outcomes are folded again, and on the way every snapshot is compared with the state at just its offsets, and
 * every decision made again at the state that it names. Both follow from the log alone, so a difference means that the log, a snapshot or the
 * program is not what it was.
 *
 * Outcomes are read twice: once ahead of the fold, for what they say of their decisions, and once to be learned. Cost: a fold and a decision an
 * outcome, and a fold more for every other version that shares the state or has one that begins no earlier.
 */
import { openModelStore } from '../../infra/models/store.ts'
import { type LivePolicy, PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { whereDecides } from '../../operators/bandits/state/versions.ts'
import { type ErrorCode, MillraceError } from '../../schemas/errors.ts'
import type { PolicyDefinition, Snapshot } from '../../schemas/generated/events.ts'
import { isOfState, partsOfSnapshot } from '../states/snapshot-log.ts'
import { Comparison } from './comparison.ts'
import { DecisionChecks } from './decision-checks.ts'
import { type OutcomeAt, outcomesOf, type PartRange, type Reading } from './outcomes.ts'
import { Requests } from './requests.ts'
import { SnapshotChecks, sha256 } from './snapshot-checks.ts'

/** Decisions that wait for their states at once. */
export const WINDOW = 1_000_000

export interface SamePolicyReplay {
  readonly comparison: Comparison
  /** Outcomes folded, from the beginning of the state or the snapshot it went on from. */
  readonly outcomes: number
  /** Outcomes not learned from, by code: every decider left them out as well. */
  readonly refused: ReadonlyMap<ErrorCode, number>
  /** Of the state at the end of the range. */
  readonly stateSha256: string
  readonly learned: number
}

export interface SamePolicyOptions {
  /** Where the fold begins. It is moved to the end of the range. */
  readonly table: PolicyTable
  readonly live: LivePolicy
  /** All versions of the policy. */
  readonly definitions: readonly PolicyDefinition[]
  readonly snapshots: readonly Snapshot[]
  readonly ranges: readonly PartRange[]
  /** Most decisions that wait for their states at once; one whose outcome lies further ahead is not checked. */
  readonly window?: number
  /** Told of the offsets passed. */
  readonly onPassed?: (passed: number) => void
}

/** @throws MillraceError what reading throws */
export const replaySamePolicy = async (
  reading: Reading,
  options: SamePolicyOptions,
): Promise<SamePolicyReplay> => {
  const { table, live, definitions, ranges, window = WINDOW, onPassed = () => {} } = options
  const comparison = new Comparison()
  const snapshots = await snapshotChecks(reading, options, comparison)
  const versions = [
    [live.version, table] as const,
    ...sharingVersions(table, live, definitions),
    ...otherStates(live, definitions),
  ]
  const ahead = outcomesOf(reading, live, ranges)
  const requests = new Requests(reading)
  const begun = live.stateOffset
  const known = new Set(definitions.map(({ version }) => version))
  const decisions = new DecisionChecks(ahead, versions, requests, comparison, { window, begun, known })
  const refused = new Map<ErrorCode, number>()
  let count = 0
  const whole = ranges.map(({ partition, to }, part) => ({ partition, from: live.offsets[part]!, to }))
  const save = () => table.save(live.name)
  /** Both kinds of check want the state just before an outcome is learned. */
  const check = async (limit: number): Promise<void> => {
    if (decisions.next <= limit) await decisions.check(limit)
    if (snapshots.next <= limit) await snapshots.compare(limit, save)
  }
  try {
    for await (const { outcomes, passed } of outcomesOf(reading, live, whole)) {
      for (const outcome of outcomes) {
        const limit = live.parts === 1 ? outcome.offset : live.stateOffset
        if (decisions.next <= limit || snapshots.next <= limit) await check(limit)
        count++
        const code = learn(versions, outcome)
        if (code !== null) refused.set(code, (refused.get(code) ?? 0) + 1)
        decisions.reach = live.stateOffset
        snapshots.advanced()
      }
      onPassed(passed)
    }
    await check(live.parts === 1 ? ranges[0]!.to : live.stateOffset)
  } finally {
    await decisions.close()
  }
  decisions.end(live.parts > 1)
  snapshots.end()
  return {
    comparison,
    outcomes: count,
    refused,
    stateSha256: sha256(save().bytes),
    learned: live.learned,
  }
}

/** Folds an outcome into the state of every version; gives the code with which the first, whose states are compared, refused it. */
const learn = (
  versions: readonly (readonly [number, PolicyTable])[],
  { offset, key, outcome, code }: OutcomeAt,
): ErrorCode | null => {
  if (outcome === null) return code!
  let refused: ErrorCode | null = null
  for (const [i, [, table]] of versions.entries()) {
    try {
      table.learn(outcome, offset, key)
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      if (i === 0) refused = error.code
    }
  }
  return refused
}

/** Tables of the other versions that share its state, which each is given as it is: they decided before it, or were demoted. */
const sharingVersions = (
  table: PolicyTable,
  { name, version, stateHash }: LivePolicy,
  definitions: readonly PolicyDefinition[],
): [number, PolicyTable][] => {
  const sharing = definitions.filter((other) => other.stateHash === stateHash && other.version !== version)
  const { bytes, offsets } = table.save(name)
  return sharing.map((definition) => {
    const upTo = new PolicyTable(whereDecides(definitions, definition))
    upTo.load(name, bytes, offsets)
    return [definition.version, upTo]
  })
}

/** Tables of versions with another state, as far as that begins no earlier than the fold does: they were promoted, and perhaps demoted again. */
const otherStates = (live: LivePolicy, definitions: readonly PolicyDefinition[]): [number, PolicyTable][] =>
  definitions
    .filter(({ stateHash }) => stateHash !== live.stateHash)
    .flatMap((definition): [number, PolicyTable][] => {
      const table = new PolicyTable(whereDecides(definitions, definition))
      const { keys, from } = table.get(live.name)!
      const covered = keys.join() === live.keys.join() && live.offsets.every((offset) => offset <= from)
      return covered ? [[definition.version, table]] : []
    })

/** The snapshots of the policy's state that lie in the range. */
const snapshotChecks = async (
  { config }: Reading,
  { live, definitions, snapshots, ranges }: SamePolicyOptions,
  comparison: Comparison,
): Promise<SnapshotChecks> => {
  const inRange = (snapshot: Snapshot): boolean => {
    const parts = partsOfSnapshot(snapshot)
    const fits = ({ partition, from, to }: PartRange, k: number): boolean =>
      parts[k]?.partition === partition && parts[k].offset >= from && parts[k].offset <= to
    return parts.length === ranges.length && ranges.every(fits)
  }
  // Nothing can be said of the snapshot that the fold itself began with, nor of those before it.
  const before = (snapshot: Snapshot): boolean =>
    live.learned > 0 && partsOfSnapshot(snapshot).every(({ offset }, k) => offset <= live.offsets[k]!)
  const own = snapshots.filter((snapshot) => isOfState(snapshot, live, definitions) && inRange(snapshot))
  for (const _ of own.filter(before))
    comparison.unchecked('snapshots', 'not after the one that the fold began with')
  const store = await openModelStore(config.models.directory)
  return new SnapshotChecks(
    live,
    own.filter((snapshot) => !before(snapshot)),
    store,
    comparison,
  )
}
