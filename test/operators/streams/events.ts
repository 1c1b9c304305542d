import type { Decision, Reward } from '../../../schemas/generated/events.ts'

/** A decision between two arms, made at `occurredAt`. */
export const decisionAt = (requestId: string, occurredAt: number): Decision => ({
  requestId,
  policy: 'p',
  policyVersion: 1,
  policyHash: '0011223344556677',
  occurredAt,
  decidedAt: occurredAt + 1,
  arm: 'a',
  propensity: 0.995,
  propensityKind: 'exact',
  arms: ['a', 'b'],
  probabilities: [0.995, 0.005],
  ranking: [0, 1],
  vector: [1, 2],
  hyperParameters: [{ name: 'alpha', value: 0.25, probability: 1 }],
  stateOffset: 0,
  requestPartition: 0,
  requestOffset: 0,
})

export const rewardAt = (requestId: string, occurredAt: number, value = 1, rewardId = ''): Reward => ({
  requestId,
  rewardId,
  value,
  occurredAt,
})
