/** The decision jobs together: what goes in comes out once, the same everywhere, and the log alone explains it. */
import { expect, test } from 'vitest'
import { partitionOf } from '../../infra/kafka/partitioner.ts'
import { describeOnClusters, WINDOW_MS } from './harness.ts'
import { anyRequest, denseRequest, expectReplayed, ids, isRewarded, playRound, rewardOf } from './rounds.ts'

const TIMEOUT = { timeout: 120_000 }

describeOnClusters('the decision jobs', (open) => {
  test('every request becomes one decision and one outcome, with the right reward', TIMEOUT, async () => {
    const stage = await open()
    stage.start(['decide', 'attribute'])
    const decisions = await playRound(stage, ids(0, 120))
    const outcomes = await stage.events('outcome')
    expect(decisions).toHaveLength(120)
    expect(outcomes).toHaveLength(120)
    const requests = await stage.events('decision-request')
    for (const { event: decision, key } of decisions) {
      expect(key).toBe(decision.requestId)
      const request = requests.find(({ event }) => event.requestId === decision.requestId)!
      expect([decision.requestPartition, decision.requestOffset]).toEqual([request.partition, request.offset])
      const [outcome, ...more] = outcomes.filter(({ event }) => event.requestId === decision.requestId)
      expect(more).toEqual([])
      const { decidedAt: _, ranking: __, ...carried } = decision
      const rewarded = isRewarded(decision.requestId)
      expect(outcome!.event).toEqual({
        ...carried,
        closedAt: decision.occurredAt + WINDOW_MS,
        reward: rewarded ? rewardOf(decision).value : 0,
        rewardKind: rewarded ? 'observed' : 'defaulted',
        rewardOccurredAt: rewarded ? rewardOf(decision).occurredAt : null,
      })
    }
    expect(await stage.events('dead-letter')).toEqual([])
  })

  test('the outcomes of a policy lie in one partition, under its name', TIMEOUT, async () => {
    const stage = await open()
    stage.start(['decide', 'attribute'])
    await playRound(stage, ids(0, 40))
    for (const { event, key, partition } of await stage.events('outcome')) {
      expect(key).toBe(event.policy)
      expect(partition).toBe(partitionOf(Buffer.from(event.policy), stage.config.topics.partitions))
    }
  })

  test('a decision can be made again from its request and its state offset', TIMEOUT, async () => {
    const stage = await open()
    stage.start(['decide', 'attribute'])
    for (const first of [0, 40, 80]) await playRound(stage, ids(first, 40))
    const offsets = (await stage.events('decision')).map(({ event }) => event.stateOffset)
    expect(new Set(offsets).size).toBeGreaterThan(2)
    await expectReplayed(stage)
  })

  test('a decider that comes back has the state it left with, and goes on', TIMEOUT, async () => {
    const stage = await open()
    stage.start(['attribute'])
    const first = stage.start(['decide'])
    await playRound(stage, ids(0, 40))
    await first.stop()
    const ends = await stage.table()
    // What came meanwhile waits.
    await stage.publish('decision-request', [denseRequest(stage, 1_000)])
    stage.start(['decide'], await stage.process())
    await stage.eventually('decision', 41)
    const [waited] = (await stage.events('decision')).filter(({ event }) => event.requestId === 'r-001000')
    expect(waited!.event.stateOffset).toBe(ends.get('dense')!.stateOffset)
    await expectReplayed(stage)
  })

  test('two deciders share the partitions and hold the same states', TIMEOUT, async () => {
    const stage = await open()
    stage.start(['attribute'])
    const processes = [
      stage.start(['decide'], await stage.process()),
      stage.start(['decide'], await stage.process()),
    ]
    let next = 0
    const partitions = () =>
      processes.map(({ progress }) => new Set(progress.slice(-8).map(({ partition }) => partition)))
    await stage.until('both to decide', async () => {
      await stage.publish(
        'decision-request',
        ids(next, 16).map((id) => anyRequest(stage, id)),
      )
      next += 16
      await stage.eventually('decision', next)
      return partitions().every(({ size }) => size === 2)
    })
    await playRound(stage, ids(10_000, 60))
    await playRound(stage, ids(20_000, 60))
    await expectReplayed(stage)
    const [one, other] = partitions()
    expect([...one!].filter((partition) => other!.has(partition))).toEqual([])
    expect(await stage.count(stage.topic('decision'))).toBe(next + 120)
  })
})
