/**
 * Finds files that ship beside the code: from a source file the package root is two folders up, from `dist/` it is three. The
 * nearest `package.json` above this file names it either way.
 */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const findRoot = (from: string): string => {
  if (existsSync(join(from, 'package.json'))) return from
  const parent = dirname(from)
  if (parent === from) throw new Error('no package.json above this file')
  return findRoot(parent)
}

/** Absolute path of a file of this package, given its path below the package root. */
export const packagePath = (...segments: string[]): string =>
  join(findRoot(dirname(fileURLToPath(import.meta.url))), ...segments)
