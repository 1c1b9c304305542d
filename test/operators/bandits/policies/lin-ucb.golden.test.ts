import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { goldenPath } from '../../../golden.ts'
import { isRecord } from '../../../verify/case.ts'
import { linearEnvironment, replayLinUcb } from '../../../verify/linucb.ts'
import { verifyFolder } from '../../../verify/verify.ts'

const folder = goldenPath('bandits')
const load = (name: string): Record<string, unknown> => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8'))

describe('LinUCB against the reference', () => {
  const environment = linearEnvironment(load('inputs-linear.json'))
  const runs = load('linucb.json')['runs'] as Record<string, Record<string, unknown>>

  for (const [name, expected] of Object.entries(runs)) {
    it(`pulls the same arms, run ${name}`, () => {
      const config = expected['config']
      if (!isRecord(config)) throw new Error('the run has no settings')
      const replay = replayLinUcb(environment, config)
      expect([...replay.arms]).toEqual(expected['arms'])
      ;(expected['theta'] as number[]).forEach((weight, i) => {
        expect(Math.abs(replay.theta[i]! - weight)).toBeLessThan(1e-9)
      })
      ;(expected['regret'] as number[]).forEach((regret, t) => {
        expect(Math.abs(replay.regret[t]! - regret)).toBeLessThan(1e-8)
      })
    })
  }

  it('passes verification', async () => {
    const kinds = ['linucb', ...(existsSync(`${folder}/theory-alpha.json`) ? ['theory-alpha'] : [])]
    const results = await verifyFolder(folder, kinds)
    expect(results.map(({ name, passed }) => [name, passed])).toEqual(kinds.map((kind) => [kind, true]))
  })
})
