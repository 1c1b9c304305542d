/** What the pages point at is there: files, headings, and the tests that docs/delivery.md names. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { pages, root } from './pages.ts'

const read = (path: string) => readFileSync(join(root, path), 'utf8')

/** A heading as GitHub names it in addresses. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-')

it.each(pages)('the links of %s lead somewhere', (page) => {
  const broken = [...read(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].flatMap(
    ([link, path, anchor]) => {
      const target = path === '' ? page : join(dirname(page), path as string)
      if (!existsSync(join(root, target))) return [link]
      if (anchor === undefined) return []
      const headings = [...read(target).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading))
      return headings.includes(anchor) ? [] : [link]
    },
  )
  expect(broken).toEqual([])
})

it('the tests that docs/delivery.md names are there', () => {
  let file = ''
  const named = [...read('docs/delivery.md').matchAll(/`(test\/[\w./-]+\.ts)`|“([^”]+)”/g)]
  const missing = named.flatMap(([, path, title]) => {
    if (path !== undefined) {
      file = path
      return existsSync(join(root, path)) ? [] : [path]
    }
    const wanted = (title as string).replaceAll(/\s+/g, ' ')
    return existsSync(join(root, file)) && read(file).includes(wanted) ? [] : [`${file}: ${wanted}`]
  })
  expect(named.length).toBeGreaterThan(20)
  expect(missing).toEqual([])
})
