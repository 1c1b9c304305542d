/** The state that a decision was made at, folded again from the newest snapshot before it. */
import type { TopicOffsets } from '../../infra/kafka/port.ts'
import { type LivePolicy, PolicyTable, SHORT_HASH } from '../../operators/bandits/state/policy-table.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Decision, Outcome, PolicyDefinition } from '../../schemas/generated/events.ts'
import { outcomesOf, type PartRange, type Reading } from '../replay/outcomes.ts'
import { restore } from '../states/restore.ts'
import { partitionsOf } from '../states/snapshot-log.ts'

/** A table in which the version that decided is the live one, at the beginning of its state. */
export const tableOf = (
  { policy, policyVersion, policyHash }: Decision,
  definitions: readonly PolicyDefinition[],
  notes: string[],
): PolicyTable | null => {
  const own = definitions.find(
    ({ version, hash }) => version === policyVersion && hash.slice(0, SHORT_HASH) === policyHash,
  )
  if (own !== undefined)
    return new PolicyTable(
      definitions.map((each) => ({ ...each, mode: each === own ? ('live' as const) : ('shadow' as const) })),
    )
  notes.push(`the log does not define version ${policyVersion} (${policyHash}) of "${policy}"`)
  return null
}

/** What there is of the outcomes of each of a policy's parts. */
export const wholeOf = (live: LivePolicy, ends: readonly TopicOffsets[]): PartRange[] =>
  partitionsOf(live, ends.length).map((partition) => {
    const { earliest, latest } = ends.find((each) => each.partition === partition)!
    return { partition, from: earliest, to: latest }
  })

/** Folds the state up to that of the decision; false, with a note, where that cannot be. */
export const foldTo = async (
  reading: Reading,
  table: PolicyTable,
  live: LivePolicy,
  definitions: readonly PolicyDefinition[],
  ends: readonly TopicOffsets[],
  { stateOffset }: Decision,
  notes: string[],
): Promise<boolean> => {
  const whole = wholeOf(live, ends)
  const upTo = live.parts === 1 ? stateOffset : Number.POSITIVE_INFINITY
  // Snapshots of a split policy say the offsets of its parts, and not which state that is.
  if (live.parts === 1 && live.offsets[0]! < stateOffset)
    await restore(
      reading,
      table,
      definitions,
      ends.map((end) => ({ ...end, latest: Math.min(end.latest, Math.max(end.earliest, stateOffset)) })),
    )
  const gone = whole.some(({ from }, part) => live.offsets[part]! < from)
  if (gone && live.stateOffset < stateOffset) {
    notes.push(
      'the outcomes that its state had learned are gone, and no snapshot lies before it: no estimates',
    )
    return false
  }
  const ranges = whole.map(({ partition, to }, part) => {
    const from = live.offsets[part]!
    return { partition, from, to: Math.max(from, Math.min(to, upTo)) }
  })
  if (live.stateOffset < stateOffset) {
    fold: for await (const { outcomes } of outcomesOf(reading, live, ranges))
      for (const { outcome, offset, key } of outcomes) {
        if (live.stateOffset >= stateOffset) break fold
        if (outcome !== null) learnIfSound(table, outcome, offset, key)
      }
  }
  // The last records before a state may belong to others, or be refused: offsets then say less than the decision.
  if (live.parts === 1 || live.stateOffset === stateOffset) return true
  notes.push('the log does not come to its state: no estimates')
  return false
}

const learnIfSound = (table: PolicyTable, outcome: Outcome, offset: number, key: Buffer | null): void => {
  try {
    table.learn(outcome, offset, key)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
  }
}
