/**
 * `decide`: requests in, decisions out. Reads the policies' states and changes none; draws from a generator seeded by the policy's salt
 * and the request's id, so that the same request at the same state gives the same decision.
 */
import { map, type OperatorFunction } from 'rxjs'
import { codeOf, MillraceError } from '../../schemas/errors.ts'
import type { Decision, DecisionRequest } from '../../schemas/generated/events.ts'
import type { Inbound, Outbound, Outgoing, Refused } from '../streams/batch.ts'
import { decisionOutput } from './decision-output.ts'
import type { DecisionOutput } from './policy.ts'
import type { PolicyTable } from './state/policy-table.ts'

/** Where a request lies in its topic, so that a decision can point back at it. */
export interface RequestPosition {
  readonly partition: number
  readonly offset: number
}

/** Decides one request at a time; its buffers grow to the largest request and are reused. */
export class Decider {
  private readonly table: PolicyTable
  private readonly maxArms: number
  private output: DecisionOutput = decisionOutput(16)

  /** @param maxArms most arms of one request. */
  constructor(table: PolicyTable, maxArms = Number.POSITIVE_INFINITY) {
    this.table = table
    this.maxArms = maxArms
  }

  /**
   * @param now milliseconds since the epoch.
   * @throws MillraceError UNKNOWN_POLICY, EMPTY_ARMS, DUPLICATE_ARM, WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_EVENT
   */
  decide(request: DecisionRequest, position: RequestPosition, now: number): Decision {
    const entry = this.table.get(request.policy)
    if (entry === undefined)
      throw new MillraceError('UNKNOWN_POLICY', `no policy is named "${request.policy}"`)
    if (request.arms.length > this.maxArms) {
      throw new MillraceError(
        'INVALID_EVENT',
        `arms: ${request.arms.length}, at most ${this.maxArms} are allowed`,
      )
    }
    const input = entry.featurizer(request)
    const { arms, vectors } = input
    const count = arms.length
    if (this.output.probabilities.length < count) this.output = decisionOutput(2 * count)
    entry.random.reseed(request.requestId)
    const output = this.output
    entry.policy.decide(input, entry.random.uniform, output)

    const dimension = entry.policy.dimension
    const probabilities = new Array<number>(count)
    const ranking = new Array<number>(count)
    for (let i = 0; i < count; i++) {
      probabilities[i] = output.probabilities[i]!
      ranking[i] = output.ranking[i]!
    }
    const vector = new Array<number>(dimension)
    const start = output.arm * dimension
    for (let i = 0; i < dimension; i++) vector[i] = vectors[start + i]!
    return {
      requestId: request.requestId,
      policy: entry.name,
      policyVersion: entry.version,
      policyHash: entry.hash,
      occurredAt: request.occurredAt,
      decidedAt: now,
      arm: arms[output.arm]!,
      propensity: probabilities[output.arm]!,
      propensityKind: entry.policy.propensityKind,
      arms,
      probabilities,
      ranking,
      vector,
      hyperParameters: output.hyperParameters,
      stateOffset: entry.stateOffset,
      requestPartition: position.partition,
      requestOffset: position.offset,
    }
  }
}

/** Turns batches of requests into their decisions; a request that cannot be decided is refused with its code. */
export const decide =
  (
    table: PolicyTable,
    now: () => number,
    maxArms?: number,
  ): OperatorFunction<Inbound<'decision-request'>, Outbound> =>
  (source) => {
    const decider = new Decider(table, maxArms)
    return source.pipe(
      map(({ batch, events, refused }): Outbound => {
        const outputs: Outgoing[] = []
        const refusals: Refused[] = [...refused]
        const time = now()
        for (let index = 0; index < events.length; index++) {
          const request = events[index]
          if (request == null) continue
          try {
            const { offset } = batch.records[index]!
            const value = decider.decide(request, { partition: batch.partition, offset }, time)
            outputs.push({ event: 'decision', value, index })
          } catch (error) {
            if (!(error instanceof MillraceError)) throw error
            refusals.push({
              index,
              stage: 'decide',
              code: codeOf(error, 'INVALID_EVENT'),
              message: error.message,
            })
          }
        }
        return { batch, outputs, refused: refusals }
      }),
    )
  }
