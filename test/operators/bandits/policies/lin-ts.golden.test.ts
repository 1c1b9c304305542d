import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { goldenPath } from '../../../golden.ts'
import { verifyFolder } from '../../../verify/verify.ts'

const folder = goldenPath('bandits')

describe('LinTS against the reference', () => {
  it('pulls the same arms given the same normals, θ to 1e-9, regret to 1e-8', async () => {
    const results = await verifyFolder(folder, ['lints'])
    expect(results.map(({ name, passed, details }) => [name, passed, details])).toEqual([
      ['lints', true, expect.stringMatching(/arms=0 theta=.*regret=/)],
    ])
  })

  it('is held to a file that is there', () => {
    expect(existsSync(`${folder}/lints.json`)).toBe(true)
    const { runs } = JSON.parse(readFileSync(`${folder}/lints.json`, 'utf8')) as { runs: object }
    expect(Object.keys(runs)).toEqual(
      expect.arrayContaining(['fixed', 'theory-centred', 'fixed-lambda0.1-centred']),
    )
  })
})
