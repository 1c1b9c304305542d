/**
 * Which of a policy's versions does what. Versions are numbered, never changed but for their mode, and only added: the newest whose mode is live decides,
 * those in shadow above it are challengers.
 */
import type { PolicyDefinition } from '../../../schemas/generated/events.ts'
import { canonicalJson, type PolicyDefinitionBody, statePart } from './definition.ts'
import { partsOf } from './split.ts'

/** How many hex digits of a definition's hash decisions, outcomes and snapshots carry. */
export const SHORT_HASH = 16

/** The newest live version of each policy, by name. */
export const liveDefinitions = (definitions: Iterable<PolicyDefinition>): Map<string, PolicyDefinition> => {
  const live = new Map<string, PolicyDefinition>()
  for (const definition of definitions) {
    const current = live.get(definition.policy)
    if (definition.mode === 'live' && (current === undefined || definition.version > current.version)) {
      live.set(definition.policy, definition)
    }
  }
  return live
}

/** The definitions as they stand where this version decides: it is live, and those of its policy above it are not. */
export const whereDecides = (
  definitions: Iterable<PolicyDefinition>,
  { policy, version }: Pick<PolicyDefinition, 'policy' | 'version'>,
): PolicyDefinition[] =>
  [...definitions].map((other) => {
    if (other.policy !== policy || other.version < version) return other
    return { ...other, mode: other.version === version ? 'live' : 'shadow' }
  })

/** Shadows that a policy's live version may be replaced by: those above it, by version. */
export const challengersOf = (
  definitions: Iterable<PolicyDefinition>,
  { policy, version }: PolicyDefinition,
): PolicyDefinition[] =>
  [...definitions]
    .filter((other) => other.policy === policy && other.mode === 'shadow' && other.version > version)
    .sort((a, b) => a.version - b.version)

/** The version that a demotion goes back to: the newest live one below the version that decides. */
export const formerOf = (
  definitions: Iterable<PolicyDefinition>,
  { policy, version }: PolicyDefinition,
): PolicyDefinition | undefined =>
  liveDefinitions([...definitions].filter((other) => other.policy === policy && other.version < version)).get(
    policy,
  )

/** Whether a version's state learns from the outcomes of another version: both see the same features, in the same parts. */
export const learnsFrom = (version: PolicyDefinitionBody, other: PolicyDefinitionBody): boolean =>
  featuresOf(version) === featuresOf(other) && partsOf(version) === partsOf(other)

/** What gives a vector its meaning, as text. */
export const featuresOf = (body: PolicyDefinitionBody): string =>
  canonicalJson((statePart(body) as { readonly features: unknown }).features)
