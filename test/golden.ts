/**
 * Where reference vectors lie. They are computed outside this project, by other implementations; the copy under `test/golden` lets
 * a plain checkout run the tests, and a fuller collection takes its place where there is one.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOTS = [
  process.env['MILLRACE_GOLDEN'],
  fileURLToPath(new URL('../../shared/golden', import.meta.url)),
  fileURLToPath(new URL('./golden', import.meta.url)),
]

/**
 * The folder of a set of vectors (`kafka`, `bandits`, …): under MILLRACE_GOLDEN if set, else beside the checkout, else the copy.
 * @throws Error where none has the set: a test without its vectors must not pass.
 */
export const goldenPath = (set: string): string => {
  const folders = ROOTS.filter((root) => root !== undefined && root !== '').map((root) => `${root}/${set}`)
  const found = folders.find((folder) => existsSync(`${folder}/index.json`))
  if (found === undefined) throw new Error(`no reference vectors '${set}' in ${folders.join(', ')}`)
  return found
}
