/** Events for benchmarks: ten arms, twenty dense features, the same each time. */
import type { Decision, DecisionRequest, Outcome } from '../../schemas/generated/events.ts'

export const DIMENSION = 20
const ARMS = Array.from({ length: 10 }, (_, i) => `arm-${i}`)
const ARMS_OF_A_REQUEST = ARMS.map((id) => ({ id, features: null }))

const vectorAt = (i: number): number[] => Array.from({ length: DIMENSION }, (_, f) => Math.sin(i * 31 + f))

/** The `i`-th request; `start` is the event time of the first, and they are a millisecond apart. */
export const requestAt = (i: number, start: number): DecisionRequest => ({
  requestId: `request-${i}`,
  policy: 'p',
  occurredAt: start + i,
  context: vectorAt(i),
  arms: ARMS_OF_A_REQUEST,
})

export const decisionAt = (i: number, start: number): Decision => ({
  requestId: `request-${i}`,
  policy: 'p',
  policyVersion: 1,
  policyHash: '0123456789abcdef',
  occurredAt: start + i,
  decidedAt: start + i + 5,
  arm: ARMS[i % ARMS.length]!,
  propensity: 0.991,
  propensityKind: 'exact',
  arms: ARMS,
  probabilities: ARMS.map((_, arm) => (arm === i % ARMS.length ? 0.991 : 0.001)),
  ranking: ARMS.map((_, arm) => (arm + i) % ARMS.length),
  vector: vectorAt(i),
  hyperParameters: [{ name: 'alpha', value: 0.25, probability: 1 }],
  stateOffset: i,
  requestPartition: i % 4,
  requestOffset: i,
})

export const outcomeAt = (i: number, start: number): Outcome => {
  const { decidedAt: _decidedAt, ranking: _ranking, ...decision } = decisionAt(i, start)
  const { occurredAt } = decision
  return {
    ...decision,
    closedAt: occurredAt,
    reward: i % 3 === 0 ? 1 : 0,
    rewardKind: 'observed',
    rewardOccurredAt: occurredAt,
  }
}
