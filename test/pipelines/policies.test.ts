/** Definitions in the log against those in the configuration: what differs is refused, what is applied takes effect and says so. */
import { expect, test } from 'vitest'
import type { Config } from '../../infra/config/schema.ts'
import { definitionHash } from '../../operators/bandits/definition.ts'
import { applyDefinitions } from '../../pipelines/policies.ts'
import { describeOnClusters, failureCode, type Stage } from './harness.ts'
import { anyRequest, denseRequest, expectReplayed, ids, playRound } from './rounds.ts'

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

  test('with no policy at all, every request is refused and nothing hangs', TIMEOUT, async () => {
    const stage = await open({ overrides: { policies: [] } })
    const running = stage.start(['decide'])
    await stage.publish('decision-request', [anyRequest(stage, 1), denseRequest(stage, 2)])
    const letters = await stage.eventually('dead-letter', 2)
    expect(letters.map(({ event }) => event.code)).toEqual(['UNKNOWN_POLICY', 'UNKNOWN_POLICY'])
    await running.stop()
  })
})
