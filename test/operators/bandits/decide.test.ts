import fc from 'fast-check'
import { firstValueFrom, of } from 'rxjs'
import { expect, test } from 'vitest'
import { Decider, decide } from '../../../operators/bandits/decide.ts'
import { learn } from '../../../operators/bandits/learn.ts'
import { PolicyTable } from '../../../operators/bandits/state/policy-table.ts'
import type { Inbound, Refused } from '../../../operators/streams/batch.ts'
import type { DecisionRequest, Outcome } from '../../../schemas/generated/events.ts'
import { body, definitionOf, outcome, request } from './definitions.ts'

const AT = { partition: 1, offset: 7 }
const table = (outcomes = 0) => {
  const made = new PolicyTable([definitionOf('p', body())])
  for (let i = 0; i < outcomes; i++)
    made.learn(outcome(`o${i}`, { arm: 'abc'[i % 3]!, vector: [Math.sin(i), 1], reward: i % 2 }), i)
  return made
}
const arms = (count: number) => Array.from({ length: count }, (_, i) => ({ id: `arm${i}`, features: null }))

const batchOf = <E extends 'decision-request' | 'outcome'>(
  event: E,
  events: readonly (DecisionRequest | Outcome | null)[],
  refused: readonly Refused[] = [],
): Inbound<E> =>
  ({
    batch: {
      topic: 't',
      partition: 2,
      records: events.map((_, i) => ({ key: null, value: null, offset: 100 + i, timestamp: 0 })),
      nextOffset: 100 + events.length,
    },
    event,
    events,
    refused,
  }) as unknown as Inbound<E>

test('a decision carries its request, its policy and all that learning needs', () => {
  const state = table(9)
  const decision = new Decider(state).decide(request('r1'), AT, 5_000)
  expect(decision).toMatchObject({
    requestId: 'r1',
    policy: 'p',
    policyVersion: 1,
    policyHash: definitionOf('p', body()).hash.slice(0, 16),
    occurredAt: 1_000,
    decidedAt: 5_000,
    arms: ['a', 'b', 'c'],
    vector: [0.5, -1],
    propensityKind: 'exact',
    stateOffset: 9,
    requestPartition: 1,
    requestOffset: 7,
  })
  expect(decision.hyperParameters).toContainEqual({ name: 'alpha', value: 0.25, probability: 1 })
})

test('the pmf sums to 1 above its floor, the propensity is that of the arm, the ranking names every arm', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.string(), fc.nat(20), (count, id, outcomes) => {
      const decision = new Decider(table(outcomes)).decide(request(id, { arms: arms(count) }), AT, 0)
      const { arm, arms: ids, probabilities, propensity, ranking } = decision
      expect(probabilities).toHaveLength(count)
      expect(Math.abs(probabilities.reduce((sum, p) => sum + p) - 1)).toBeLessThan(1e-9)
      expect(Math.min(...probabilities)).toBeGreaterThanOrEqual(0.1 / count - 1e-12)
      expect(propensity).toBe(probabilities[ids.indexOf(arm)])
      expect([...ranking].sort((a, b) => a - b)).toEqual(ids.map((_, i) => i))
    }),
  )
})

test('the same request at the same state is decided the same, whatever was decided in between', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 80 }), { maxLength: 10 }), (sizes) => {
      const fresh = new Decider(table(12)).decide(request('r'), AT, 0)
      const used = new Decider(table(12))
      for (const [i, size] of sizes.entries()) used.decide(request(`x${i}`, { arms: arms(size) }), AT, 0)
      expect(used.decide(request('r'), AT, 0)).toEqual(fresh)
    }),
  )
})

test('requests draw apart: over many of them each arm of equal merit is taken about as often as its probability says', () => {
  const decider = new Decider(table())
  const taken = new Map<string, number>()
  let expected = 0
  for (let i = 0; i < 3_000; i++) {
    const { arm, probabilities } = decider.decide(request(`r${i}`), AT, 0)
    taken.set(arm, (taken.get(arm) ?? 0) + 1)
    expected += probabilities[0]!
  }
  expect(Math.abs((taken.get('a') ?? 0) - expected)).toBeLessThan(4 * Math.sqrt(expected))
})

test('deciding changes no state', () => {
  const state = table(5)
  const before = Buffer.from(state.get('p')!.policy.snapshot())
  const decider = new Decider(state)
  for (let i = 0; i < 50; i++) decider.decide(request(`r${i}`, { arms: arms(1 + (i % 20)) }), AT, 0)
  expect(Buffer.from(state.get('p')!.policy.snapshot()).equals(before)).toBe(true)
})

test('an operator refuses single requests by their place, and keeps what was refused before', async () => {
  const before = { index: 0, stage: 'decode', code: 'MALFORMED_AVRO', message: 'x' } as const
  const requests = [
    null,
    request('r1'),
    request('r2', { arms: [] }),
    request('r3', { policy: 'nobody' }),
    request('r4', { context: [1, Number.NaN] }),
    request('r5', { context: [1] }),
    request('r6', { arms: [...arms(1), ...arms(1)] }),
    request('r7'),
  ]
  const out = await firstValueFrom(
    of(batchOf('decision-request', requests, [before])).pipe(decide(table(), () => 42)),
  )
  expect(out.outputs.map(({ index, value }) => [index, (value as { requestId: string }).requestId])).toEqual([
    [1, 'r1'],
    [7, 'r7'],
  ])
  expect(out.outputs[0]!.value).toMatchObject({ decidedAt: 42, requestPartition: 2, requestOffset: 101 })
  expect(out.refused.map(({ index, stage, code }) => [index, stage, code])).toEqual([
    [0, 'decode', 'MALFORMED_AVRO'],
    [2, 'decide', 'EMPTY_ARMS'],
    [3, 'decide', 'UNKNOWN_POLICY'],
    [4, 'decide', 'NON_FINITE_NUMBER'],
    [5, 'decide', 'WRONG_DIMENSION'],
    [6, 'decide', 'DUPLICATE_ARM'],
  ])
})

test('learning passes over what it refuses and says so', async () => {
  const state = table()
  const outcomes = [outcome('o1'), null, outcome('o2', { reward: Number.NaN }), outcome('o3')]
  const before = { index: 1, stage: 'decode', code: 'MALFORMED_AVRO', message: 'x' } as const
  const { learned, refused } = await firstValueFrom(
    of(batchOf('outcome', outcomes, [before])).pipe(learn(state)),
  )
  expect(learned).toBe(2)
  expect(refused.map(({ index, code }) => [index, code])).toEqual([
    [1, 'MALFORMED_AVRO'],
    [2, 'NON_FINITE_NUMBER'],
  ])
  const only = table()
  only.learn(outcome('o1'), 100)
  only.learn(outcome('o3'), 103)
  expect(state.get('p')!.policy.snapshot()).toEqual(only.get('p')!.policy.snapshot())
  expect(state.get('p')!.stateOffset).toBe(104)
})
