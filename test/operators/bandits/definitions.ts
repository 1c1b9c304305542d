/** Definitions and events of two small policies, for tests of what holds policies together. */
import {
  canonicalJson,
  definitionHash,
  type LinUcbDefinition,
  type PolicyDefinitionBody,
  stateHash,
} from '../../../operators/bandits/state/definition.ts'
import type { DecisionRequest, Outcome, PolicyDefinition } from '../../../schemas/generated/events.ts'
import { decisionAt } from '../streams/events.ts'

export const body = (of: Partial<LinUcbDefinition> = {}): PolicyDefinitionBody => ({
  algorithm: { kind: 'linUcb', variant: 'disjoint', alpha: 0.25, lambda: 1, ...of },
  features: { dense: 2 },
  explorationFloor: 0.1,
})

export const definitionOf = (
  policy: string,
  definition: PolicyDefinitionBody,
  of: Partial<PolicyDefinition> = {},
): PolicyDefinition => ({
  policy,
  version: 1,
  definition: canonicalJson(definition),
  hash: definitionHash(definition),
  stateHash: stateHash(definition),
  salt: '00112233',
  mode: 'live',
  effectiveFrom: 0,
  outcomesPartitions: 1,
  appliedAt: 0,
  ...of,
})

export const request = (requestId: string, of: Partial<DecisionRequest> = {}): DecisionRequest => ({
  requestId,
  policy: 'p',
  occurredAt: 1_000,
  context: [0.5, -1],
  arms: ['a', 'b', 'c'].map((id) => ({ id, features: null })),
  ...of,
})

export const outcome = (requestId: string, of: Partial<Outcome> = {}): Outcome => {
  const { decidedAt: _, ranking: __, ...decision } = decisionAt(requestId, 1_000)
  return { ...decision, closedAt: 2_000, reward: 1, rewardKind: 'observed', rewardOccurredAt: 1_500, ...of }
}
