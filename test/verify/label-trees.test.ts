/** The reference's label embedding, clustering and overlapping clusters, where its vectors are at hand: they are too large to be kept with the code. */
import { describe, expect, it } from 'vitest'
import { xmcGolden } from '../xmc-golden.ts'
import { resultLine, verifyFolder } from './verify.ts'

const folder = xmcGolden('wordnet-a')

describe.skipIf(folder === undefined)('the reference', () => {
  it.each(['pifa', 'clustering', 'overlap'])('%s is met', { timeout: 60_000 }, async (kind) => {
    const results = await verifyFolder(folder!, [kind])
    expect(results.map(resultLine).join('\n')).toMatch(new RegExp(`^PASS wordnet-a/${kind} [^\n]*$`))
  })
})
