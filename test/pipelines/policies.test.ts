/** Definitions in the log against those in the configuration: what differs is refused, what is applied takes effect and says so. */
import { expect, test } from 'vitest'
import type { Config } from '../../infra/config/schema.ts'
import { definitionHash } from '../../operators/bandits/state/definition.ts'
import { applyDefinitions } from '../../pipelines/states/policies.ts'
import { describeOnClusters, failureCode, POLICIES, type Stage } from './harness.ts'
import { anyRequest, denseRequest, expectReplayed, ids, playRound, sharedRequest } from './rounds.ts'

const TIMEOUT = { timeout: 120_000 }

/** The stage's configuration with another algorithm setting for `dense`. */
const changed = ({ config }: Stage, settings: Record<string, unknown>): Config => ({
  ...config,
  policies: config.policies.map((policy) =>
    policy.name !== 'dense'
      ? policy
      : {
          ...policy,
          definition: { ...policy.definition, algorithm: { ...policy.definition.algorithm, ...settings } },
        },
  ),
})

const bytes = async (stage: Stage, name: string) =>
  Buffer.from((await stage.table()).get(name)!.policy.snapshot()).toString('base64')

describeOnClusters('policies', (open) => {
  test('decide refuses to start where the log lacks a policy, or has another one', TIMEOUT, async () => {
    const stage = await open({ applied: false })
    expect(failureCode(await stage.start(['decide']).failed())).toBe('POLICY_DIFFERS')
    await applyDefinitions(stage.runtime)
    const other = await stage.process({ config: changed(stage, { alpha: 0.5 }) })
    const failure = await stage.start(['decide'], other).failed()
    expect(failureCode(failure)).toBe('POLICY_DIFFERS')
    expect(String(failure)).toMatch(/"dense".*millrace policies apply/)
    expect(await stage.count(stage.topic('decision'))).toBe(0)
  })

  test('applying again changes nothing', TIMEOUT, async () => {
    const stage = await open()
    const before = await stage.definitions()
    expect(await applyDefinitions(stage.runtime)).toEqual([])
    expect(await stage.definitions()).toEqual(before)
  })

  test('another α keeps the state: decisions go on from it under version 2', TIMEOUT, async () => {
    const stage = await open()
    stage.start(['attribute'])
    const first = stage.start(['decide'])
    await playRound(stage, ids(0, 60))
    await first.stop()
    const state = await bytes(stage, 'dense')
    const config = changed(stage, { alpha: 2 })
    const second = await stage.process({ config })
    const applied = await applyDefinitions(second)
    expect(applied).toMatchObject([{ policy: 'dense', version: 2, mode: 'live' }])
    expect(await bytes(stage, 'dense')).toBe(state)
    stage.start(['decide'], second)
    const decisions = await playRound(stage, ids(60, 60))
    const { definition } = config.policies.find(({ name }) => name === 'dense')!
    for (const { event } of decisions.filter(({ event }) => event.policy === 'dense')) {
      expect(event).toMatchObject({ policyVersion: 2, policyHash: definitionHash(definition).slice(0, 16) })
      expect(event.hyperParameters).toContainEqual({ name: 'alpha', value: 2, probability: 1 })
      expect(event.stateOffset).toBeGreaterThan(0)
    }
    for (const { event } of decisions.filter(({ event }) => event.policy === 'shared'))
      expect(event.policyVersion).toBe(1)
    await expectReplayed(stage)
  })

  test('another λ starts in shadow: the version before it goes on deciding', TIMEOUT, async () => {
    const stage = await open()
    stage.start(['attribute'])
    const first = stage.start(['decide'])
    await playRound(stage, ids(0, 40))
    await first.stop()
    const state = await bytes(stage, 'dense')
    const second = await stage.process({ config: changed(stage, { lambda: 5 }) })
    expect(await applyDefinitions(second)).toMatchObject([{ policy: 'dense', version: 2, mode: 'shadow' }])
    expect(await bytes(stage, 'dense')).toBe(state)
    stage.start(['decide'], second)
    const decisions = await playRound(stage, ids(40, 40))
    for (const { event } of decisions) expect(event.policyVersion).toBe(1)
    await expectReplayed(stage)
    // Back to what is live: a version of its own, on the same state.
    expect(await applyDefinitions(stage.runtime)).toMatchObject([
      { policy: 'dense', version: 3, mode: 'live' },
    ])
  })

  test(
    'where outcomes has other partitions than a policy was applied to, nothing starts and nothing is applied',
    TIMEOUT,
    async () => {
      const stage = await open()
      const [dense, shared] = await stage.definitions()
      await stage.publish('policy-definition', [{ ...dense!, outcomesPartitions: 3 }])
      const failure = await stage.start(['decide']).failed()
      expect(failureCode(failure)).toBe('PARTITION_MISMATCH')
      expect(String(failure)).toMatch(
        /outcomes has 4 partitions: "dense" was applied when it had 3\b.*another name/,
      )
      const other = await stage.process({ config: changed(stage, { alpha: 2 }) })
      const refused = await applyDefinitions(other).catch((error: unknown) => error)
      expect(failureCode(refused)).toBe('PARTITION_MISMATCH')
      expect(await stage.definitions()).toHaveLength(2)
      // A policy that is configured no longer holds nobody up, and decides no more.
      const config = {
        ...stage.config,
        policies: stage.config.policies.filter(({ name }) => name === 'shared'),
      }
      const without = stage.start(['decide'], await stage.process({ config }))
      await stage.publish('decision-request', [denseRequest(stage, 1), sharedRequest(stage, 2)])
      const [letter] = await stage.eventually('dead-letter', 1)
      expect(letter!.event.code).toBe('UNKNOWN_POLICY')
      await stage.eventually('decision', 1)
      await without.stop()
      // Definitions of before say nothing, and are taken as they are.
      await stage.publish('policy-definition', [
        { ...dense!, outcomesPartitions: 0 },
        { ...shared!, outcomesPartitions: 0 },
      ])
      stage.start(['decide'], await stage.process())
      await stage.publish('decision-request', [denseRequest(stage, 3)])
      await stage.eventually('decision', 2)
    },
  )

  test(
    'a split policy begins at the beginning of its parts, another at the present end',
    TIMEOUT,
    async () => {
      const [dense, shared] = POLICIES
      const stage = await open({
        applied: false,
        overrides: { policies: [{ ...dense, partitions: 2 }, shared] },
      })
      for (const policy of ['dense', 'dense#0', 'dense#1', 'shared'])
        await stage.send([
          { topic: stage.topic('outcome'), key: Buffer.from(policy), value: Buffer.from('x') },
        ])
      const applied = await applyDefinitions(stage.runtime)
      expect(applied).toMatchObject([
        { policy: 'dense', effectiveFrom: 0, outcomesPartitions: 4 },
        { policy: 'shared', outcomesPartitions: 4 },
      ])
      expect(applied[1]!.effectiveFrom).toBeGreaterThan(0)
    },
  )

  test('with no policy at all, every request is refused and nothing hangs', TIMEOUT, async () => {
    const stage = await open({ overrides: { policies: [] } })
    const running = stage.start(['decide'])
    await stage.publish('decision-request', [anyRequest(stage, 1), denseRequest(stage, 2)])
    const letters = await stage.eventually('dead-letter', 2)
    expect(letters.map(({ event }) => event.code)).toEqual(['UNKNOWN_POLICY', 'UNKNOWN_POLICY'])
    await running.stop()
  })
})
