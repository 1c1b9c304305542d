/**
 * A log as the decision jobs would leave it, written at once: requests, and the outcomes of their decisions, each made at the state that had learned all
 * outcomes but those of the newest decisions. Being written without transactions, records take consecutive offsets.
 */
import { partitionOf } from '../../infra/kafka/partitioner.ts'
import type { OutputRecord } from '../../infra/kafka/port.ts'
import { Decider } from '../../operators/bandits/decide.ts'
import { PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { partKey, partOf } from '../../operators/bandits/state/split.ts'
import type { Decision, DecisionRequest, Outcome } from '../../schemas/generated/events.ts'
import type { Stage } from './harness.ts'
import { denseRequest } from './rounds.ts'

/** Decisions whose outcomes have not come when the next is made. */
const LAG = 7
/** Event time of the first request; each is a second after the one before. */
export const BEGINNING = Date.UTC(2026, 0, 1)
export const STEP_MS = 1_000

export interface WrittenLog {
  readonly table: PolicyTable
  readonly requests: readonly DecisionRequest[]
  readonly outcomes: readonly Outcome[]
}

/** Each arm is right for a third of the contexts. */
const rewardOf = ({ context }: DecisionRequest, arm: string): number => {
  const [x = 0, y = 0] = context as number[]
  return arm === 'a' ? x : arm === 'b' ? y : -0.5 * x - 0.25 * y
}

/** @param alter what is written of an outcome in place of what was learned from when the decisions after it were made */
export const writeLog = async (
  stage: Stage,
  count: number,
  alter: (outcome: Outcome, i: number) => Outcome = (outcome) => outcome,
): Promise<WrittenLog> => {
  const { codec, broker } = stage.runtime
  await codec.prepare(['decision-request', 'outcome'])
  const table = new PolicyTable(await stage.definitions())
  const decider = new Decider(table)
  const { parts } = table.get('dense')!
  const { partitions } = stage.config.topics
  const ends = new Map(
    (await broker.admin.offsets(stage.topic('outcome'))).map(({ partition, latest }) => [partition, latest]),
  )
  const requests: DecisionRequest[] = []
  const outcomes: Outcome[] = []
  const records: OutputRecord[] = []
  const waiting: { readonly request: DecisionRequest; readonly decision: Decision }[] = []
  const close = (): void => {
    const { request, decision } = waiting.shift()!
    const { decidedAt: _, ranking: __, ...carried } = decision
    const outcome: Outcome = {
      ...carried,
      closedAt: decision.occurredAt + 60_000,
      reward: rewardOf(request, decision.arm),
      rewardKind: 'observed',
      rewardOccurredAt: decision.occurredAt + 1,
    }
    const key = Buffer.from(partKey('dense', partOf(outcome.requestId, parts), parts))
    const partition = partitionOf(key, partitions)
    const offset = ends.get(partition)!
    ends.set(partition, offset + 1)
    table.learn(outcome, offset)
    const written = alter(outcome, outcomes.length)
    records.push({ topic: stage.topic('outcome'), key, partition, value: codec.encode('outcome', written) })
    outcomes.push(written)
  }
  for (let i = 0; i < count; i++) {
    const request = denseRequest(stage, i, { occurredAt: BEGINNING + i * STEP_MS })
    const position = { partition: i % partitions, offset: Math.floor(i / partitions) }
    requests.push(request)
    records.push({
      topic: stage.topic('decision-request'),
      key: Buffer.from(request.requestId),
      partition: position.partition,
      value: codec.encode('decision-request', request),
    })
    waiting.push({ request, decision: decider.decide(request, position, 0) })
    if (waiting.length > LAG) close()
  }
  while (waiting.length > 0) close()
  const writer = await broker.writer()
  try {
    for (let at = 0; at < records.length; at += 2_000) await writer.send(records.slice(at, at + 2_000))
  } finally {
    await writer.close()
  }
  return { table, requests, outcomes }
}
