/**
 * The answers of the service, from memory: a request is decided at the states that are there, and its decision goes to the queue with the request.
 * Where nothing more can be logged the default arm is served, said to be so, and logged nowhere: what is not known must not be learned from.
 */
import { randomUUID } from 'node:crypto'
import type { ActivateBody, RankAnswer, RankBody, RewardBody, Service } from '../../infra/http/service.ts'
import type { OutputRecord } from '../../infra/kafka/port.ts'
import { Decider } from '../../operators/bandits/decide.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Decision, DecisionRequest } from '../../schemas/generated/events.ts'
import { REQUEST_HEADER, WITH_DECISION } from '../delivery/served-requests.ts'
import { type Runtime, topicOf } from '../process/runtime.ts'
import type { States } from '../states/learn.ts'
import type { WriteQueue } from './write-queue.ts'

/** What a record may have beside key, value and headers. */
const RECORD_OVERHEAD = 200

type Input = 'reward' | 'activation'

export class Answers implements Service {
  readonly #runtime: Runtime
  readonly #queue: WriteQueue
  readonly #decider: Decider
  readonly #limits: ReadonlyMap<string, number>
  readonly #decisions: string

  /** @param limits the largest record of each topic that is written to, in bytes */
  constructor(runtime: Runtime, states: States, queue: WriteQueue, limits: ReadonlyMap<string, number>) {
    this.#runtime = runtime
    this.#queue = queue
    this.#limits = limits
    this.#decider = new Decider(states.table, runtime.config.limits.arms)
    this.#decisions = topicOf(runtime.config, 'decision')
  }

  /**
   * @throws MillraceError UNKNOWN_POLICY, DUPLICATE_ARM, WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_EVENT, MESSAGE_TOO_LARGE, MAPPING_FAILED;
   * NOT_ACKNOWLEDGED where it was asked to wait, and the write was not confirmed in time
   */
  rank(body: RankBody): RankAnswer | Promise<RankAnswer> {
    const request = requestOf(body, this.#runtime.now())
    const decision = this.#decider.decide(request, WITH_DECISION, request.occurredAt)
    const { closed } = this.#queue
    if (closed === 'ended') throw ending()
    if (closed !== null) {
      this.#runtime.metrics.service.unlogged(closed)
      return this.#unlogged(decision)
    }
    const records = this.#recordsOf(decision, request)
    const answer = answerOf(decision)
    if (body.ack !== true) {
      this.#queue.push(records)
      return answer
    }
    return this.#written(records).then(() => answer)
  }

  /** @throws MillraceError QUEUE_FULL, NOT_ACKNOWLEDGED; INVALID_CONFIG where the join reads rewards elsewhere */
  reward({ requestId, value, rewardId = '', occurredAt = this.#runtime.now(), ack }: RewardBody) {
    const event = { requestId, rewardId, value, occurredAt }
    return this.#append('reward', requestId, this.#runtime.codec.encode('reward', event), ack)
  }

  /** @throws MillraceError QUEUE_FULL, NOT_ACKNOWLEDGED; INVALID_CONFIG where the join reads activations elsewhere */
  activate({ requestId, occurredAt = this.#runtime.now(), ack }: ActivateBody) {
    const event = { requestId, occurredAt }
    return this.#append('activation', requestId, this.#runtime.codec.encode('activation', event), ack)
  }

  #append(event: Input, requestId: string, value: Buffer, ack: boolean | undefined): void | Promise<void> {
    const { config } = this.#runtime
    const mapped = config.sources.find((source) => source.event === event)
    if (mapped !== undefined)
      throw new MillraceError(
        'INVALID_CONFIG',
        `sources: events ${event} come from ${mapped.topic}: write there`,
      )
    const { closed } = this.#queue
    if (closed === 'ended') throw ending()
    if (closed !== null) {
      const why = closed === 'full' ? 'too much waits to be written' : 'what waits cannot be written now'
      throw new MillraceError('QUEUE_FULL', `nothing was taken: ${why}. Send it again`)
    }
    const records = [{ topic: topicOf(config, event), key: Buffer.from(requestId), value }]
    if (ack === true) return this.#written(records)
    this.#queue.push(records)
  }

  /** The decision's record with its request, and those of the user's topics that are mapped from it. @throws MillraceError */
  #recordsOf(decision: Decision, request: DecisionRequest): OutputRecord[] {
    const { codec, sinks } = this.#runtime
    const key = KEYS.decision(decision)
    const records: OutputRecord[] = [
      {
        topic: this.#decisions,
        key: Buffer.from(key),
        value: codec.encode('decision', decision),
        headers: { [REQUEST_HEADER]: codec.encode('decision-request', request) },
      },
    ]
    for (const sink of sinks) if (sink.event === 'decision') records.push(sink.record(decision, key))
    for (const record of records) this.#requireFit(record)
    return records
  }

  #requireFit({ topic, key, value, headers }: OutputRecord): void {
    const bytes =
      (key?.length ?? 0) + (value?.length ?? 0) + (headers?.[REQUEST_HEADER]?.length ?? 0) + RECORD_OVERHEAD
    const limit = this.#limits.get(topic) ?? Number.POSITIVE_INFINITY
    if (bytes > limit)
      throw new MillraceError('MESSAGE_TOO_LARGE', `the decision takes ${bytes} bytes, its topic ${limit}`)
  }

  #written(records: readonly OutputRecord[]): Promise<void> {
    const { patience } = this.#runtime.config.serve
    return new Promise((resolve, reject) => {
      const late = () =>
        reject(
          new MillraceError('NOT_ACKNOWLEDGED', 'the write was not confirmed in time: it may come, or not'),
        )
      const timer = setTimeout(late, patience)
      this.#queue.push(records, (written) => {
        clearTimeout(timer)
        if (written) resolve()
        else late()
      })
    })
  }

  #unlogged(decision: Decision): RankAnswer {
    const { requestId, policy, policyVersion, arms } = decision
    const wanted = this.#runtime.config.serve.defaultArms[policy]
    const arm = wanted !== undefined && arms.includes(wanted) ? wanted : arms[0]!
    const others = arms.filter((other) => other !== arm)
    const ranking = [arm, ...others].map((each, i) => ({ arm: each, probability: i === 0 ? 1 : 0 }))
    return { requestId, policy, policyVersion, arm, propensity: 1, ranking, unlogged: true }
  }
}

const ending = () => new MillraceError('NOT_READY', 'the process is ending')

const requestOf = (
  { requestId = randomUUID(), policy, context = null, arms }: RankBody,
  now: number,
): DecisionRequest => ({
  requestId,
  policy,
  occurredAt: now,
  context,
  arms: arms.map(({ id, features = null }) => ({ id, features })),
})

const answerOf = (decision: Decision): RankAnswer => {
  const { requestId, policy, policyVersion, arm, arms, propensity, probabilities } = decision
  const ranking = decision.ranking.map((i) => ({ arm: arms[i]!, probability: probabilities[i]! }))
  return { requestId, policy, policyVersion, arm, propensity, ranking }
}
