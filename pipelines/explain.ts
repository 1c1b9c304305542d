/**
 * explain: one decision from the log alone. The decision and its request are read back, its outcome where there is one, and the state that it was made at
 * is folded again (from the newest snapshot before it), so that the policy can say what it made of each arm then. Nothing is written anywhere.
 *
 * Cost: a reading of one partition of `decisions` and one of `outcomes`, and the fold from the snapshot to the decision's state.
 */
import { partitionOf } from '../infra/kafka/partitioner.ts'
import type { TopicOffsets } from '../infra/kafka/port.ts'
import { Decider } from '../operators/bandits/decide.ts'
import type { LivePolicy, PolicyTable } from '../operators/bandits/state/policy-table.ts'
import { type ErrorCode, MillraceError } from '../schemas/errors.ts'
import type { Decision, DecisionRequest, Outcome } from '../schemas/generated/events.ts'
import { isServed, throughDecisions } from './delivery/served-requests.ts'
import { foldTo, tableOf, wholeOf } from './explain/decided-state.ts'
import { topicOf } from './process/runtime.ts'
import { fingerprintOf } from './replay/decided.ts'
import { outcomesOf, pull, type Reading } from './replay/outcomes.ts'
import { Requests } from './replay/requests.ts'
import { readDefinitions } from './states/policies.ts'

/** One arm as the decision saw it. */
export interface ExplainedArm {
  readonly arm: string
  readonly probability: number
  /** 1: the best. */
  readonly rank: number
  /** The arm's vector as the policy sees it. */
  readonly vector: readonly number[] | null
  /** What the policy made of it at the decision's state; null where it has no estimates, or the state cannot be had. */
  readonly estimate: number | null
  readonly width: number | null
}

export interface Explanation {
  readonly decision: Decision
  readonly place: { readonly partition: number; readonly offset: number }
  /** Decisions of the same request that came later: the join passes over them. */
  readonly repeated: number
  readonly request: DecisionRequest | null
  readonly arms: readonly ExplainedArm[]
  /** Null where none has come yet, or none ever will. */
  readonly outcome: Outcome | null
  /** Whether the decision, made again at its state, is the same to the last bit; null where it could not be made again. */
  readonly same: boolean | null
  /** Why something of this is missing. */
  readonly notes: readonly string[]
}

/** @throws MillraceError UNKNOWN_REQUEST; MISSING_TOPIC, KAFKA_UNAVAILABLE, STORE_UNAVAILABLE */
export const explain = async (reading: Reading, requestId: string): Promise<Explanation> => {
  const notes: string[] = []
  const { decision, partition, offset, repeated } = await findDecision(reading, requestId)
  const place = isServed(decision.requestPartition)
    ? { requestId, requestPartition: throughDecisions(partition), requestOffset: offset }
    : decision
  const [found] = await new Requests(reading).at([place])
  const request = requestIn(found!, requestId, notes)
  const definitions = (await readDefinitions(reading)).filter(({ policy }) => policy === decision.policy)
  const table = tableOf(decision, definitions, notes)
  const live = table?.get(decision.policy)
  const ends = await reading.broker.admin.offsets(topicOf(reading.config, 'outcome'))
  const outcome = live === undefined ? null : await findOutcome(reading, live, ends, decision)
  const reached =
    table != null &&
    live !== undefined &&
    (await foldTo(reading, table, live, definitions, ends, decision, notes))
  return {
    decision,
    place: { partition, offset },
    repeated,
    request,
    arms: armsOf(decision, request, live, reached),
    outcome,
    same: reached && request !== null ? madeAgain(table!, decision, request) : null,
    notes,
  }
}

interface FoundDecision {
  readonly decision: Decision
  readonly partition: number
  readonly offset: number
  readonly repeated: number
}

/** The first decision of a request, which is the one that counts. @throws MillraceError UNKNOWN_REQUEST */
const findDecision = async (reading: Reading, requestId: string): Promise<FoundDecision> => {
  const { broker, codec, config } = reading
  const topic = topicOf(config, 'decision')
  const offsets = await broker.admin.offsets(topic)
  const key = Buffer.from(requestId)
  const partition = partitionOf(key, offsets.length)
  const { earliest, latest } = offsets.find((each) => each.partition === partition)!
  let found: Omit<FoundDecision, 'repeated'> | null = null
  let repeated = 0
  if (earliest < latest) {
    const range = { topic, from: new Map([[partition, earliest]]), to: new Map([[partition, latest]]) }
    for await (const { records } of pull(broker, range)) {
      const own = records.filter((record) => record.value !== null && record.key?.equals(key))
      await codec.ensureSchemas(own.map(({ value }) => value))
      for (const { value, offset } of own) {
        if (found === null) found = { decision: codec.decode('decision', value!), partition, offset }
        else repeated++
      }
    }
  }
  if (found !== null) return { ...found, repeated }
  throw new MillraceError(
    'UNKNOWN_REQUEST',
    `${topic}/${partition} holds no decision of request "${requestId}": it was not decided, or served unlogged, or refused (see the dead letters), or the topic no longer holds it`,
  )
}

const requestIn = (
  found: DecisionRequest | ErrorCode,
  requestId: string,
  notes: string[],
): DecisionRequest | null => {
  if (typeof found !== 'string' && found.requestId === requestId) return found
  notes.push(
    typeof found === 'string'
      ? `the request cannot be had: ${found === 'OFFSET_OUT_OF_RANGE' ? 'it is gone' : found}`
      : `where the request was there is now "${found.requestId}"`,
  )
  return null
}

/** No outcome lies before the state of its decision. */
const findOutcome = async (
  reading: Reading,
  live: LivePolicy,
  ends: readonly TopicOffsets[],
  { requestId, stateOffset }: Decision,
): Promise<Outcome | null> => {
  const ranges = wholeOf(live, ends).map(({ partition, from, to }) => ({
    partition,
    from: live.parts === 1 ? Math.min(Math.max(from, stateOffset), to) : from,
    to,
  }))
  for await (const { outcomes } of outcomesOf(reading, live, ranges))
    for (const { outcome } of outcomes) if (outcome?.requestId === requestId) return outcome
  return null
}

const armsOf = (
  decision: Decision,
  request: DecisionRequest | null,
  live: LivePolicy | undefined,
  reached: boolean,
): ExplainedArm[] => {
  const { arms, probabilities, ranking, arm: taken, vector: takenVector } = decision
  const input = request === null || live === undefined ? null : live.featurizer(request)
  const estimates = reached && input !== null ? live?.policy.explain?.(input) : undefined
  const dimension = live?.policy.dimension ?? 0
  return arms.map((arm, i) => ({
    arm,
    probability: probabilities[i]!,
    rank: ranking.indexOf(i) + 1,
    vector:
      input !== null
        ? [...input.vectors.subarray(i * dimension, (i + 1) * dimension)]
        : arm === taken
          ? takenVector
          : null,
    estimate: estimates?.estimates[i] ?? null,
    width: estimates?.widths[i] ?? null,
  }))
}

const madeAgain = (table: PolicyTable, decision: Decision, request: DecisionRequest): boolean => {
  const position = { partition: decision.requestPartition, offset: decision.requestOffset }
  try {
    const again = new Decider(table).decide(request, position, decision.decidedAt)
    return fingerprintOf(again) === fingerprintOf(decision)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    return false
  }
}
