/** A simulation from its file, from the command line, or from both: what the command line says holds. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type ReadDocument, readDocument } from '../../infra/config/document.ts'
import { invalidConfig, type Problem, problemsOf } from '../../infra/config/problem.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { simulationSchema } from './schema.ts'
import type { Simulation } from './simulation.ts'

export interface SimulationSource {
  /** YAML. */
  readonly file?: string
  /** Keys that hold instead of the file's, by name. */
  readonly overrides?: Readonly<Record<string, unknown>>
  readonly env: Readonly<Record<string, string | undefined>>
}

/** @throws MillraceError INVALID_CONFIG that lists every problem */
export const readSimulation = ({ file, overrides = {}, env }: SimulationSource): Simulation => {
  const read: ReadDocument = readDocument(file === undefined ? '' : textOf(file), env)
  const problems: Problem[] = [...read.problems]
  const root: Record<string, unknown> = {}
  if (typeof read.value === 'object' && read.value !== null && !Array.isArray(read.value))
    Object.assign(root, read.value)
  else if (read.value !== null) problems.push({ path: [], message: 'must be a block of keys' })
  for (const [key, value] of Object.entries(overrides)) if (value !== undefined) root[key] = value
  for (const key of ['policies', 'environments', 'attacks'])
    if (key in root) root[key] = writtenOut(key, root[key])
  const schema = simulationSchema(file === undefined ? process.cwd() : dirname(resolve(file)))
  const result = schema.safeParse(root)
  if (!result.success) problems.push(...problemsOf(result.error.issues, schema, root))
  if (problems.length === 0 && result.success) return result.data
  throw invalidConfig(problems, root, { ...read, ...(file === undefined ? {} : { file }) })
}

/** A bare word stands for an entry of that kind and name. */
const writtenOut = (key: string, entries: unknown): unknown => {
  if (!Array.isArray(entries)) return entries
  return entries.map((entry: unknown) => {
    if (typeof entry !== 'string') return entry
    return key === 'policies' ? { name: entry, algorithm: { kind: entry } } : { kind: entry }
  })
}

const textOf = (file: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const { code = 'it cannot be read' } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : code
    throw new MillraceError('INVALID_CONFIG', `cannot read the simulation ${file}: ${why}`)
  }
}
