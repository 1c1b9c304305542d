import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { ERROR_CODES } from '../../schemas/errors.ts'

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')

/** Code → text, in the order of the page. */
const sections = page
  .split(/^### /m)
  .slice(1)
  .map((section) => {
    const [heading = '', ...lines] = section.split(/^## /m)[0]?.split('\n') ?? []
    return [heading, lines.join(' ').trim()] as const
  })

it('docs/errors.md has a section for each code, in the order of the list, and no other', () => {
  expect(sections.map(([code]) => code)).toEqual([...ERROR_CODES])
})

it('docs/errors.md says something of each', () => {
  for (const [code, text] of sections) expect(text.length, code).toBeGreaterThan(20)
})
