/** The policy to be evaluated, without experience. */
import type { PolicyConfig } from '../../infra/config/policy.ts'
import {
  canonicalJson,
  definitionHash,
  type PolicyDefinitionBody,
  stateHash,
} from '../../operators/bandits/state/definition.ts'
import { type LivePolicy, PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { PolicyDefinition } from '../../schemas/generated/events.ts'

/** Draws of a policy evaluated on a log whose own salt is not at hand: always the same. */
const SALT = 'evaluate'

/** A definition as a live version without experience, that draws as `of` does where it is given. */
export const openTarget = (
  name: string,
  definition: PolicyDefinitionBody,
  of: Partial<PolicyDefinition> = {},
): LivePolicy => {
  const table = new PolicyTable([
    {
      policy: name,
      version: 1,
      salt: SALT,
      mode: 'live',
      outcomesPartitions: 0,
      appliedAt: 0,
      ...of,
      definition: canonicalJson(definition),
      hash: definitionHash(definition),
      stateHash: stateHash(definition),
      effectiveFrom: 0,
    },
  ])
  return table.get(name)!
}

/** The one policy that is meant. @throws MillraceError INVALID_CONFIG where none is, or several could be */
export const chooseTarget = (policies: readonly PolicyConfig[], name: string | undefined): PolicyConfig => {
  const found = name === undefined ? policies : policies.filter((policy) => policy.name === name)
  const [one, ...more] = found
  if (one !== undefined && more.length === 0) return one
  const names = policies.map((policy) => `"${policy.name}"`).join(', ')
  throw new MillraceError(
    'INVALID_CONFIG',
    one === undefined
      ? `--policy: it defines ${names || 'no policy'}${name === undefined ? '' : `, and not "${name}"`}`
      : `--policy: it defines ${names}: name one with --policy-name`,
  )
}
