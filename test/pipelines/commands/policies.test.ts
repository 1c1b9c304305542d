import { describe, expect, it } from 'vitest'
import { ensureTopics } from '../../../pipelines/checks/topics.ts'
import { agreedDefinitions, applyDefinitions, readDefinitions } from '../../../pipelines/states/policies.ts'
import { codeOf } from '../../../schemas/errors.ts'
import { configOf, policy, type Surroundings, surroundings } from './cluster.ts'

const opened = async (...policies: object[]): Promise<Surroundings> => {
  const here = surroundings({ policies })
  await ensureTopics(here, true)
  return here
}

const configured = (here: Surroundings, ...policies: object[]): Surroundings => ({
  ...here,
  config: configOf({ policies }),
})

describe('policies apply', () => {
  it('writes a first version, live, and nothing the second time', async () => {
    const here = await opened(policy(0.25))
    const applied = await applyDefinitions(here)
    expect(applied.map(({ policy, version, mode }) => [policy, version, mode])).toEqual([
      ['homepage', 1, 'live'],
    ])
    expect(await applyDefinitions(here)).toEqual([])
    expect(await readDefinitions(here)).toEqual(applied)
  })

  it('puts a change of exploration live, and a change of the state’s meaning into shadow', async () => {
    const here = await opened(policy(0.25))
    await applyDefinitions(here)
    const [explored] = await applyDefinitions(configured(here, policy(0.5)))
    expect(explored).toMatchObject({ version: 2, mode: 'live' })
    const [other] = await applyDefinitions(configured(here, policy(0.5, 2)))
    expect(other).toMatchObject({ version: 3, mode: 'shadow' })
    expect(await applyDefinitions(configured(here, policy(0.5, 2)))).toEqual([])
  })
})

describe('a process whose configuration differs from the log', () => {
  it.each([
    ['is missing there', [], [policy(0.25)], '"homepage" is missing in the log'],
    ['is another there', [policy(0.25)], [policy(0.5)], '"homepage" is defined differently in the log'],
  ])('is refused when a policy %s, and told what to do', async (_, logged, wanted, message) => {
    const here = await opened(...logged)
    await applyDefinitions(here)
    const error = await agreedDefinitions(configured(here, ...wanted)).catch((error: unknown) => error)
    expect(codeOf(error, 'INVALID_EVENT')).toBe('POLICY_DIFFERS')
    expect(String(error)).toContain(message)
    expect(String(error)).toContain('millrace policies apply')
  })
})
