/**
 * What an outcome says of the decision that it came from, kept small while the decision waits for the fold to come to its state. Memory: about 300
 * bytes a decision.
 */
import { createHash } from 'node:crypto'
import type { Decision, Outcome } from '../../schemas/generated/events.ts'
import type { OutcomeAt } from './outcomes.ts'
import type { RequestPlace } from './requests.ts'

export interface Decided extends RequestPlace {
  readonly part: number
  /** Offset of the outcome. */
  readonly offset: number
  readonly version: number
  readonly stateOffset: number
  readonly arm: string
  readonly propensity: number
  readonly fingerprint: string
}

export const decidedIn = ({ part, offset }: OutcomeAt, outcome: Outcome): Decided => ({
  requestId: outcome.requestId,
  requestPartition: outcome.requestPartition,
  requestOffset: outcome.requestOffset,
  part,
  offset,
  version: outcome.policyVersion,
  stateOffset: outcome.stateOffset,
  arm: outcome.arm,
  propensity: outcome.propensity,
  fingerprint: fingerprintOf(outcome),
})

/** All of a decision that its outcome carries on, to the last bit: 96 bits of its SHA-256. */
export const fingerprintOf = (decided: Decision | Outcome): string => {
  const { requestId, policy, policyVersion, policyHash, occurredAt, arm, arms, propensityKind } = decided
  const { propensity, probabilities, vector, hyperParameters } = decided
  const names = hyperParameters.map(({ name }) => name)
  const texts = [requestId, policy, policyVersion, policyHash, occurredAt, arm, arms, propensityKind, names]
  const numbers = new Float64Array(1 + probabilities.length + vector.length + 2 * hyperParameters.length)
  numbers[0] = propensity
  numbers.set(probabilities, 1)
  numbers.set(vector, 1 + probabilities.length)
  let at = 1 + probabilities.length + vector.length
  for (const { value, probability } of hyperParameters) {
    numbers[at++] = value
    numbers[at++] = probability
  }
  return createHash('sha256')
    .update(JSON.stringify(texts))
    .update(new Uint8Array(numbers.buffer))
    .digest('base64url')
    .slice(0, 16)
}
