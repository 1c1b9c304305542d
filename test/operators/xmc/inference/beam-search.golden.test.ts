import { describe, expect, it } from 'vitest'
import { Comparison } from '../../../verify/case.ts'
import { compareMerged } from '../../../verify/inference.ts'
import { verifyFolder } from '../../../verify/verify.ts'
import { readJson, xmcGolden } from '../../../xmc-golden.ts'

const folder = xmcGolden('wordnet-a')

describe.skipIf(folder === undefined)('beam search against the reference', () => {
  it('finds the same labels in the same order, scores to 1e-5, for every beam, transform and layer', async () => {
    const results = await verifyFolder(folder!, ['inference'])
    expect(results.map(({ name, passed, details }) => [name, passed, details])).toEqual([
      ['inference', true, expect.stringMatching(/^scores=\S+ labels=0$/)],
    ])
  })

  it('merges copies as the reference does, to 1e-6', () => {
    const comparison = new Comparison({})
    compareMerged(comparison, readJson(folder!, 'overlap-raw.json'), readJson(folder!, 'overlap.json'))
    expect(comparison.reasons).toEqual([])
    expect(comparison.passed).toBe(true)
  })
})
