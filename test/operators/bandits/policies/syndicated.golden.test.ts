import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { goldenPath } from '../../../golden.ts'
import { verifyFolder } from '../../../verify/verify.ts'

const folder = goldenPath('bandits')

it.each([
  ['exp3', 'exp3.json'],
  ['tl-syndicated-linucb', 'tuning.json'],
  ['robust-bandit', 'robust.json'],
])('%s agrees with the reference', { timeout: 60_000 }, async (kind, file) => {
  if (!existsSync(`${folder}/${file}`)) {
    // Too large for the copy in this repository; the whole set has it.
    console.warn(`SKIPPED: ${kind} is not held against the reference, for ${folder} has no ${file}`)
    return
  }
  const results = await verifyFolder(folder, [kind])
  expect(results.map(({ name, details, passed }) => [name, passed ? '' : details])).toEqual([[kind, '']])
})
