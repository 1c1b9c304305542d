/** What the stage plays: requests, the rewards of their decisions, and the check that a log explains every decision in it. */
import { expect } from 'vitest'
import { Decider } from '../../operators/bandits/decide.ts'
import { PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { whereDecides } from '../../operators/bandits/state/versions.ts'
import type { Decision, DecisionRequest, Reward } from '../../schemas/generated/events.ts'
import { type Found, learnIfSound, type Stage, WINDOW_MS } from './harness.ts'

/** A request for `dense`, its context made from a number; `occurredAt` follows the number. */
export const denseRequest = (
  stage: Stage,
  id: number,
  of: Partial<DecisionRequest> = {},
): DecisionRequest => ({
  requestId: `r-${String(id).padStart(6, '0')}`,
  policy: 'dense',
  occurredAt: stage.time + id,
  context: [Math.sin(id), Math.cos(id), (id % 7) / 7],
  arms: ['a', 'b', 'c'].map((name) => ({ id: name, features: null })),
  ...of,
})

/** A request for `shared`. */
export const sharedRequest = (stage: Stage, id: number): DecisionRequest =>
  denseRequest(stage, id, {
    policy: 'shared',
    context: [Math.sin(id), 1],
    arms: ['x', 'y'].map((name, i) => ({ id: name, features: { price: i + (id % 3), margin: 0.5 } })),
  })

/** The reward of a decision: within its window, of a value that its id and arm give. */
export const rewardOf = ({
  requestId,
  arm,
  occurredAt,
}: {
  readonly requestId: string
  readonly arm: string
  readonly occurredAt: number
}): Reward => ({
  requestId,
  rewardId: '',
  value: ((Number(requestId.slice(2)) % 5) + (arm.charCodeAt(0) % 3)) / 4,
  occurredAt: occurredAt + 100,
})

/** A request of either policy, by its number. */
export const anyRequest = (stage: Stage, id: number): DecisionRequest =>
  id % 3 === 0 ? sharedRequest(stage, id) : denseRequest(stage, id)

/** Numbers from `first` on. */
export const ids = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => first + i)

const numberOf = (requestId: string): number => Number(requestId.slice(2))

/** Whether the rounds reward a decision: three of four. */
export const isRewarded = (requestId: string): boolean => numberOf(requestId) % 4 !== 0

/**
 * One round: requests, their decisions, rewards for three of four, and the close of every window. `decide` and `attribute` must run. Gives
 * the decisions of the round.
 */
export const playRound = async (stage: Stage, numbers: readonly number[]): Promise<Found<'decision'>[]> => {
  const names = new Set(numbers.map((id) => anyRequest(stage, id).requestId))
  const before = await stage.count(stage.topic('outcome'))
  await stage.publish(
    'decision-request',
    numbers.map((id) => anyRequest(stage, id)),
  )
  let decisions: Found<'decision'>[] = []
  await stage.until('the decisions of a round', async () => {
    decisions = (await stage.events('decision')).filter(({ event }) => names.has(event.requestId))
    return decisions.length >= names.size
  })
  const rewards = decisions
    .filter(({ event }) => isRewarded(event.requestId))
    .map(({ event }) => rewardOf(event))
  await stage.publish('reward', rewards)
  await stage.until('the rewards to be taken in', async () => (await behind(stage)) === 0)
  stage.pass(10 * WINDOW_MS)
  await stage.until(
    'the outcomes of a round',
    async () => (await stage.count(stage.topic('outcome'))) >= before + names.size,
  )
  return decisions
}

/** Records of its inputs that `attribute` has not committed yet. */
const behind = async (stage: Stage): Promise<number> => {
  const { admin } = stage.runtime.broker
  const topics = [stage.topic('decision'), stage.topic('reward')]
  const committed = await admin.committed(stage.config.app, 'attribute', topics)
  let count = 0
  for (const topic of topics) {
    const records = await stage.records(topic)
    for (const { partition, offset } of records)
      if (offset >= (committed.get(topic)?.get(partition)?.offset ?? 0)) count++
  }
  return count
}

/** Every decision of the log, made again from its request and the outcomes below its state offset, is the same decision. */
export const expectReplayed = async (stage: Stage): Promise<void> => {
  const definitions = await stage.definitions()
  const outcomes = await stage.events('outcome')
  const requests = await stage.events('decision-request')
  const decisions = (await stage.events('decision')).sort((a, b) => a.event.stateOffset - b.event.stateOffset)
  expect(decisions.length).toBeGreaterThan(0)
  const groups = new Map<string, Decision[]>()
  for (const { event } of decisions) {
    const group = `${event.policy}/${event.policyVersion}`
    groups.set(group, [...(groups.get(group) ?? []), event])
  }
  for (const group of groups.values()) {
    const { policy, policyVersion } = group[0]!
    const table = new PolicyTable(whereDecides(definitions, { policy, version: policyVersion }))
    const decider = new Decider(table)
    const own = outcomes.filter(({ event }) => event.policy === policy)
    let next = 0
    for (const decision of group) {
      for (; next < own.length && own[next]!.offset < decision.stateOffset; next++)
        learnIfSound(table, own[next]!)
      const request = requests.find(
        ({ partition, offset }) =>
          partition === decision.requestPartition && offset === decision.requestOffset,
      )!
      const again = decider.decide(request.event, request, decision.decidedAt)
      expect(again).toEqual(decision)
    }
  }
}
