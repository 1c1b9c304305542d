/**
 * Promotion and demotion: a version's record is written again with another mode. Nothing else changes, so no state does, and a promotion followed by a
 * demotion leaves everything as it was. Processes that run take it up at once (follow-policies.ts).
 */
import type { PolicyDefinitionBody } from '../../operators/bandits/state/definition.ts'
import { liveDefinitions } from '../../operators/bandits/state/policy-table.ts'
import { challengersOf, formerOf, learnsFrom } from '../../operators/bandits/state/versions.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { PolicyDefinition } from '../../schemas/generated/events.ts'
import { type Runtime, topicOf } from '../process/runtime.ts'
import { type PolicyLog, readDefinitions, unmovedDefinitions, writeDefinitions } from './policies.ts'

export interface Change {
  /** The version that decides now, and the one that did. */
  readonly live: PolicyDefinition
  readonly former: PolicyDefinition
}

export interface PromoteOptions {
  /** The challenger; the only one where absent. */
  readonly version?: number
  /** Whether one is taken that has learned nothing, or not lately, because it sees other features or is split otherwise. */
  readonly cold?: boolean
}

/**
 * Makes a challenger the version that decides.
 * @throws MillraceError UNKNOWN_POLICY; INVALID_CONFIG where there is no such challenger; COLD_STATE; PARTITION_MISMATCH. Nothing is then written
 */
export const promote = async (
  runtime: PolicyLog & Pick<Runtime, 'now'>,
  policy: string,
  { version, cold = false }: PromoteOptions = {},
): Promise<Change> => {
  const { own, live: former } = await versionsOf(runtime, policy)
  const challenger = chosen(challengersOf(own, former), former, version)
  if (!cold && !learnsFrom(bodyOf(challenger), bodyOf(former))) {
    throw new MillraceError(
      'COLD_STATE',
      `"${policy}" version ${challenger.version} sees other features than version ${former.version}, or is split otherwise: its state learns from its own decisions alone and would begin without any. --cold promotes it all the same`,
    )
  }
  const live: PolicyDefinition = { ...challenger, mode: 'live', appliedAt: runtime.now() }
  const outcomes = await runtime.broker.admin.offsets(topicOf(runtime.config, 'outcome'))
  unmovedDefinitions(runtime, [...own, live], outcomes.length)
  await writeDefinitions(runtime, [live])
  return { live, former }
}

/**
 * Gives a policy back to the version that decided before.
 * @throws MillraceError UNKNOWN_POLICY; INVALID_CONFIG where there is none. Nothing is then written
 */
export const demote = async (runtime: PolicyLog & Pick<Runtime, 'now'>, policy: string): Promise<Change> => {
  const { own, live } = await versionsOf(runtime, policy)
  const before = formerOf(own, live)
  if (before === undefined)
    throw new MillraceError(
      'INVALID_CONFIG',
      `"${policy}" has no live version below version ${live.version}: there is nothing to go back to`,
    )
  await writeDefinitions(runtime, [{ ...live, mode: 'shadow', appliedAt: runtime.now() }])
  return { live: before, former: live }
}

/** @throws MillraceError UNKNOWN_POLICY */
const versionsOf = async (
  runtime: PolicyLog,
  policy: string,
): Promise<{ own: PolicyDefinition[]; live: PolicyDefinition }> => {
  const definitions = await readDefinitions(runtime)
  const live = liveDefinitions(definitions).get(policy)
  if (live !== undefined) return { own: definitions.filter((each) => each.policy === policy), live }
  const names = [...new Set(definitions.map((each) => each.policy))]
  throw new MillraceError(
    'UNKNOWN_POLICY',
    `the log defines no policy "${policy}"${names.length === 0 ? ' and no other' : `: there are ${names.join(', ')}`}`,
  )
}

/** @throws MillraceError INVALID_CONFIG */
const chosen = (
  challengers: readonly PolicyDefinition[],
  live: PolicyDefinition,
  version: number | undefined,
): PolicyDefinition => {
  const known = challengers.map((each) => each.version)
  const found = version === undefined ? challengers[0] : challengers.find((each) => each.version === version)
  if (found !== undefined && (version !== undefined || challengers.length === 1)) return found
  const there = known.length === 0 ? 'there is none' : `there are ${known.join(', ')}`
  throw new MillraceError(
    'INVALID_CONFIG',
    `challengers of "${live.policy}" are its versions in shadow above version ${live.version}, which decides: ${there}${version === undefined ? (known.length > 1 ? '. Name one with --version' : '') : `, and not ${version}`}`,
  )
}

const bodyOf = ({ definition }: PolicyDefinition): PolicyDefinitionBody =>
  JSON.parse(definition) as PolicyDefinitionBody
