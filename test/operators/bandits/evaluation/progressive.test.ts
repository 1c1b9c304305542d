import { describe, expect, it } from 'vitest'
import { Decider } from '../../../../operators/bandits/decide.ts'
import { ProgressiveEvaluation } from '../../../../operators/bandits/evaluation/progressive.ts'
import type { LearningInput, Policy } from '../../../../operators/bandits/policy.ts'
import type { PolicyDefinitionBody } from '../../../../operators/bandits/state/definition.ts'
import { PolicyTable } from '../../../../operators/bandits/state/policy-table.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { MillraceError } from '../../../../schemas/errors.ts'
import type { DecisionRequest, Outcome } from '../../../../schemas/generated/events.ts'
import { body, definitionOf, outcome, request } from '../definitions.ts'

const entryOf = (definition: PolicyDefinitionBody) =>
  new PolicyTable([definitionOf('p', definition)]).get('p')!

type Step = readonly [DecisionRequest, Outcome]

const MEANS: Readonly<Record<string, number>> = { a: 0.2, b: 0.5, c: 0.8 }

/** Logged with even odds. */
const EVEN = { propensity: 0.5, probabilities: [0.5, 0.5] }

/** What a policy did, learning as it went, where the arms' mean rewards are .2, .5 and .8. */
const logOf = (definition: PolicyDefinitionBody, steps: number): Step[] => {
  const table = new PolicyTable([definitionOf('p', definition)])
  const decider = new Decider(table)
  const random = new Xoshiro128()
  random.seed(7, 1, 2, 3)
  return Array.from({ length: steps }, (_, i): Step => {
    const asked = request(`r${i}`, { context: [1, random.uniform() - 0.5] })
    const { ranking: _r, decidedAt: _d, ...decision } = decider.decide(asked, { partition: 0, offset: i }, 0)
    const reward = random.uniform() < MEANS[decision.arm]! ? 1 : 0
    const got = outcome(asked.requestId, { ...decision, reward })
    table.learn(got, i)
    return [asked, got]
  })
}

/** A policy that decides as another one does. */
const inFrontOf = (behind: Policy, of: Pick<Policy, 'learn'> & Partial<Policy>): Policy => ({
  kind: 'front',
  dimension: behind.dimension,
  propensityKind: 'exact',
  learned: 0,
  evicted: 0,
  decide: (input, uniform, output) => behind.decide(input, uniform, output),
  snapshot: () => behind.snapshot(),
  restore: () => {},
  ...of,
})

const evaluate = (definition: PolicyDefinitionBody, steps: readonly Step[]) => {
  const evaluation = new ProgressiveEvaluation(entryOf(definition))
  for (const [asked, got] of steps) evaluation.step(asked, got)
  return evaluation.report
}

describe('progressive evaluation', () => {
  it('of the very policy that wrote the log weighs every outcome 1, and finds the log’s own reward', () => {
    const definition = { ...body(), explorationFloor: 0.3 }
    const report = evaluate(definition, logOf(definition, 400))
    expect(report).toMatchObject({ steps: 400, maxWeight: 1, weightSum: 400, effectiveSampleSize: 400 })
    expect(report.ips).toEqual(report.logged)
    expect(report.refused.size + report.unlearned.size).toBe(0)
  })

  it('finds what a better policy would have earned, within its error, on the log of a uniform one', () => {
    const steps = logOf({ ...body(), explorationFloor: 1 }, 4_000)
    const report = evaluate({ ...body(), explorationFloor: 0.1 }, steps)
    // 90% on the best arm and the floor of all three, less what learning costs.
    const best = 0.9 * 0.8 + 0.1 * 0.5
    expect(report.enough).toBe(true)
    for (const { value, standardError } of [report.ips, report.snips]) {
      expect(Math.abs(value - best)).toBeLessThan(4 * standardError + 0.02)
    }
    expect(report.snips.value - report.logged.value).toBeGreaterThan(0.15)
    expect(Math.abs(report.weightSum / report.steps - 1)).toBeLessThan(0.1)
  })

  it('judges an outcome before learning it, through the features of the policy evaluated', () => {
    const other: PolicyDefinitionBody = { ...body(), features: { context: { dense: 2 }, bias: true } }
    const entry = entryOf(other)
    const evaluation = new ProgressiveEvaluation(entry)
    // Without experience all arms score the same, and the first takes all but the floor of .1.
    evaluation.step(request('r1'), outcome('r1', { ...EVEN, arm: 'b', reward: 2 }))
    expect(evaluation.report.weightSum).toBeCloseTo(0.1 / 3 / 0.5, 12)
    expect(entry.learned).toBe(1)
    const twin = entryOf(other)
    const vector = Float64Array.of(0.5, -1, 1)
    twin.policy.learn({ arm: 'b', vector, reward: 2, propensity: 0.5 })
    expect(entry.policy.snapshot()).toEqual(twin.policy.snapshot())
    evaluation.step(request('r2'), outcome('r2', { ...EVEN, arm: 'b' }))
    expect(evaluation.report.maxWeight).toBeCloseTo((0.9 + 0.1 / 3) / 0.5, 12)
  })

  it.each<[string, string, Partial<DecisionRequest>, Partial<Outcome>]>([
    ['an arm that the request has not', 'UNKNOWN_ARM', {}, { arm: 'z' }],
    ['propensity 0', 'INVALID_PROPENSITY', {}, { propensity: 0 }],
    ['propensity above 1', 'INVALID_PROPENSITY', {}, { propensity: 1.5 }],
    ['propensity NaN', 'INVALID_PROPENSITY', {}, { propensity: Number.NaN }],
    ['probabilities off by 1e-3', 'INVALID_PROPENSITY', {}, { probabilities: [0.995, 0.006] }],
    ['a propensity that is not that of the arm', 'INVALID_PROPENSITY', {}, { propensity: 0.5 }],
    ['no probabilities', 'INVALID_PROPENSITY', {}, { probabilities: [] }],
    ['a probability below 0', 'INVALID_PROPENSITY', {}, { propensity: 1, probabilities: [1.1, -0.1] }],
    ['a reward that is not finite', 'NON_FINITE_NUMBER', {}, { reward: Number.NaN }],
    ['the request of another', 'INVALID_EVENT', { requestId: 'r2' }, {}],
    ['features that do not fit', 'WRONG_DIMENSION', { context: [1] }, {}],
  ])('counts %s under its code, and neither weighs nor learns it', (_, code, asked, got) => {
    const entry = entryOf(body())
    const evaluation = new ProgressiveEvaluation(entry)
    const before = entry.policy.snapshot()
    evaluation.step(request('r1', asked), outcome('r1', got))
    expect([...evaluation.report.refused]).toEqual([[code, 1]])
    expect(evaluation.report).toMatchObject({ steps: 0, weightSum: 0, enough: false })
    expect(entry.policy.snapshot()).toEqual(before)
  })

  it('counts what never got here, and what it could weigh and not learn', () => {
    const entry = entryOf(body())
    const learn = ({ arm }: LearningInput) => {
      if (arm === 'b') throw new MillraceError('UNKNOWN_ARM', 'it is full')
    }
    const evaluation = new ProgressiveEvaluation({ ...entry, policy: inFrontOf(entry.policy, { learn }) })
    evaluation.refuse('OFFSET_OUT_OF_RANGE')
    evaluation.refuse('OFFSET_OUT_OF_RANGE')
    evaluation.step(request('r1'), outcome('r1', { ...EVEN, arm: 'a' }))
    evaluation.step(request('r2'), outcome('r2', { ...EVEN, arm: 'b' }))
    const { steps, refused, unlearned } = evaluation.report
    expect(steps).toBe(2)
    expect([...refused]).toEqual([['OFFSET_OUT_OF_RANGE', 2]])
    expect([...unlearned]).toEqual([['UNKNOWN_ARM', 1]])
  })

  it('says how much of the policy’s mass the log never takes', () => {
    const evaluation = new ProgressiveEvaluation(entryOf({ ...body(), explorationFloor: 0.3 }))
    // The request has a third arm that the log does not know, and the policy gives it its share of the floor.
    evaluation.step(request('r1'), outcome('r1', EVEN))
    const { support } = evaluation.report
    expect(support).toMatchObject({ steps: 1, unknown: 0, supported: false })
    expect(support.missing).toBeCloseTo(0.1, 12)
  })

  it('tells a policy that asks for it that outcomes are those of another', () => {
    const entry = entryOf(body())
    const seen: unknown[] = []
    const policy = inFrontOf(entry.policy, {
      learn: () => expect.unreachable(),
      observe: ({ arms }, got) => seen.push([...arms, got]),
    })
    const evaluation = new ProgressiveEvaluation({ ...entry, policy })
    evaluation.step(request('r1'), outcome('r1', EVEN))
    const vector = Float64Array.of(0.5, -1)
    expect(seen).toEqual([['a', 'b', 'c', { arm: 'a', vector, reward: 1, propensity: 0.5 }]])
    expect(entry.learned).toBe(0)
  })

  it('estimates doubly robustly, with a model that has never seen what it predicts', () => {
    const steps = logOf({ ...body(), explorationFloor: 1 }, 4_000)
    const { dm, dr, sndr, switchDr, ips, snips } = evaluate({ ...body(), explorationFloor: 0.1 }, steps)
    const best = 0.9 * 0.8 + 0.1 * 0.5
    for (const { value, standardError } of [dr, sndr, switchDr])
      expect(Math.abs(value - best)).toBeLessThan(4 * standardError + 0.02)
    expect(Math.abs(dm.value - best)).toBeLessThan(0.1)
    // Of the same log DR knows more than IPS, and no less than SNIPS.
    expect(dr.standardError).toBeLessThan(ips.standardError)
    expect(dr.standardError).toBeLessThan(1.02 * snips.standardError)
    const first = evaluate(body(), steps.slice(0, 1))
    expect(first.dm.value).toBe(0)
    expect(first.dr.value).toBe(first.ips.value)
  })
})
