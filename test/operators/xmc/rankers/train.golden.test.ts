/** Training against the reference's: objectives and weights of binary problems, the model at default settings, and the optimum. */
import { expect, it } from 'vitest'
import { verifyFolder } from '../../../verify/verify.ts'
import { xmcGolden } from '../../../xmc-golden.ts'

const folder = xmcGolden('wordnet-a')

it.skipIf(folder === undefined).each(['binary', 'train-default', 'train-tight'])('%s', async (kind) => {
  const results = await verifyFolder(folder!, [kind])
  expect(results.map(({ name, passed, details }) => ({ name, passed, details }))).toEqual([
    { name: kind, passed: true, details: expect.any(String) },
  ])
})
