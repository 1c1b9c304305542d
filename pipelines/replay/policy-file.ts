/** The file behind `--policy`: one policy in the shape of an entry of `policies:`, or a whole configuration, of which that list alone is looked at. */
import { readFileSync } from 'node:fs'
import { readDocument } from '../../infra/config/document.ts'
import { loadConfig } from '../../infra/config/load.ts'
import type { PolicyConfig } from '../../infra/config/policy.ts'
import { invalidConfig } from '../../infra/config/problem.ts'
import { MillraceError } from '../../schemas/errors.ts'

/** @throws MillraceError INVALID_CONFIG that lists every problem */
export const readPolicyFile = (
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): readonly PolicyConfig[] => {
  const { value, problems, ...origins } = readDocument(textOf(file), env)
  const whole = isBlock(value) && 'policies' in value
  const entries = whole ? value['policies'] : [value]
  // What else a configuration holds may want an environment that is not here.
  const concerned = problems.filter(({ path }) => !whole || path.length === 0 || path[0] === 'policies')
  if (concerned.length > 0) throw invalidConfig(concerned, value, { ...origins, file })
  return loadConfig({ env: {}, overrides: { policies: entries } }).policies
}

const isBlock = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const textOf = (file: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const { code = 'it cannot be read' } = error as NodeJS.ErrnoException
    throw new MillraceError(
      'INVALID_CONFIG',
      `--policy: cannot read ${file}: ${code === 'ENOENT' ? 'there is no such file' : code}`,
    )
  }
}
