/** A decision explained from the log alone: what was known, what was made of it, what came of it. */
import { expect, test } from 'vitest'
import { PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { linesOf } from '../../pipelines/commands/explain.ts'
import { explain } from '../../pipelines/explain.ts'
import { describeOnClusters, learnIfSound, POLICIES, type Stage, WINDOW_MS } from './harness.ts'
import { denseRequest, ids, playRound } from './rounds.ts'
import { open as openPort } from './serve/client.ts'

const TIMEOUT = { timeout: 120_000 }

/** The policies as they were at a state of one of them. */
const tableAt = async (stage: Stage, policy: string, stateOffset: number): Promise<PolicyTable> => {
  const table = new PolicyTable(await stage.definitions())
  for (const outcome of await stage.events('outcome'))
    if (outcome.event.policy === policy && outcome.offset < stateOffset) learnIfSound(table, outcome)
  return table
}

const expectExplained = async (stage: Stage, requestId: string): Promise<void> => {
  const decision = (await stage.events('decision')).find(({ event }) => event.requestId === requestId)!
  const explained = await explain(stage.runtime, requestId)
  expect(explained).toMatchObject({ decision: decision.event, same: true, notes: [], repeated: 0 })
  expect(explained.place).toEqual({ partition: decision.partition, offset: decision.offset })
  expect(explained.request?.requestId).toBe(requestId)
  const { policy, stateOffset, arms, probabilities, ranking, arm, vector } = decision.event
  const live = (await tableAt(stage, policy, stateOffset)).get(policy)!
  const { estimates, widths } = live.policy.explain!(live.featurizer(explained.request!))
  expect(explained.arms.map((each) => [each.arm, each.probability, each.estimate, each.width])).toEqual(
    arms.map((each, i) => [each, probabilities[i], estimates[i], widths[i]]),
  )
  expect(explained.arms.map(({ rank }) => rank)).toEqual(arms.map((_, i) => ranking.indexOf(i) + 1))
  expect(explained.arms.find((each) => each.arm === arm)!.vector).toEqual(vector)
}

describeOnClusters('millrace explain', (open) => {
  test('shows what a state long past made of the arms, and what came of the decision', TIMEOUT, async () => {
    const stage = await open({ overrides: { 'snapshots.every': 10 } })
    const running = stage.start(['decide', 'attribute'])
    for (const first of [0, 40, 80]) await playRound(stage, ids(first, 40))
    await running.stop()
    const outcomes = new Map((await stage.events('outcome')).map(({ event }) => [event.requestId, event]))
    for (const id of ['r-000001', 'r-000003', 'r-000085', 'r-000087', 'r-000119']) {
      await expectExplained(stage, id)
      expect((await explain(stage.runtime, id)).outcome).toEqual(outcomes.get(id))
    }
    const states = (await stage.events('decision')).map(({ event }) => event.stateOffset)
    expect(Math.max(...states)).toBeGreaterThan(30)
  })

  test('folds the parts of a split policy to the generation that decided', TIMEOUT, async () => {
    const policies = POLICIES.map((policy) =>
      policy.name === 'dense' ? { ...policy, partitions: 2, mergeEvery: 5 } : policy,
    )
    const stage = await open({ overrides: { policies } })
    const running = stage.start(['decide', 'attribute'])
    for (const first of [0, 40, 80]) await playRound(stage, ids(first, 40))
    await running.stop()
    const explained = await explain(stage.runtime, 'r-000085')
    expect(explained.decision.stateOffset).toBeGreaterThan(5)
    expect(explained).toMatchObject({ same: true, notes: [] })
    expect(explained.outcome?.requestId).toBe('r-000085')
    expect(explained.arms.some(({ estimate }) => estimate !== 0 && estimate !== null)).toBe(true)
  })

  test('explains what was answered over HTTP, before and after its outcome', TIMEOUT, async () => {
    const stage = await open()
    stage.start(['serve', 'attribute'])
    const client = await openPort(stage.runtime)
    try {
      await stage.until('it answers', () => stage.runtime.endpoint.service !== null)
      const { occurredAt: _, ...body } = denseRequest(stage, 1)
      for (const again of [1, 2]) await client.rank({ ...body, requestId: `again-${again}`, ack: true })
      await client.rank({ ...body, requestId: 'again-1', ack: true })
      const before = await explain(stage.runtime, 'again-1')
      expect(before).toMatchObject({ outcome: null, same: true, repeated: 1, notes: [] })
      expect(before.request?.context).toEqual(body.context)
      await client.post('/v1/reward', { requestId: 'again-2', value: 7, ack: true })
      stage.pass(WINDOW_MS + 1_000)
      await stage.eventually('outcome', 2)
      expect((await explain(stage.runtime, 'again-2')).outcome).toMatchObject({
        reward: 7,
        rewardKind: 'observed',
      })
      await expectExplained(stage, 'again-2')
    } finally {
      await client.close()
    }
  })
})

describeOnClusters(
  'millrace explain where the log does not tell all',
  (open) => {
    test('says that nothing was decided', TIMEOUT, async () => {
      const stage = await open()
      await expect(explain(stage.runtime, 'nobody')).rejects.toMatchObject({ code: 'UNKNOWN_REQUEST' })
    })

    test('shows without estimates what outcomes that are gone had taught', TIMEOUT, async () => {
      const stage = await open()
      const running = stage.start(['decide', 'attribute'])
      for (const first of [0, 40]) await playRound(stage, ids(first, 40))
      await running.stop()
      const [last] = (await stage.events('outcome')).filter(({ event }) => event.policy === 'dense').slice(-1)
      stage.deleteRecords('outcome', last!.partition, last!.offset)
      const explained = await explain(stage.runtime, 'r-000070')
      expect(explained).toMatchObject({ same: null, notes: [expect.stringMatching(/gone/)] })
      expect(explained.arms.every(({ estimate, vector }) => estimate === null && vector !== null)).toBe(true)
    })

    test('prints a line for each arm, best first, and whether it could be made again', TIMEOUT, async () => {
      const stage = await open()
      const running = stage.start(['decide', 'attribute'])
      await playRound(stage, ids(0, 8))
      await running.stop()
      const explained = await explain(stage.runtime, 'r-000001')
      const lines = linesOf(explained)
      expect(lines[0]).toMatch(/^request r-000001: policy dense version 1 \([0-9a-f]{16}\)$/)
      expect(lines).toContain('hyper-parameters: alpha 0.25 (probability 1)')
      expect(lines.filter((line) => /^[123] {5}/.test(line))).toHaveLength(3)
      expect(lines.find((line) => line.startsWith('outcome: reward '))).toBeDefined()
      expect(lines.at(-1)).toBe('made again from the log: the same, to the last bit')
    })
  },
  ['memory'],
)
