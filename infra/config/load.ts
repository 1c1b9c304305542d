/**
 * The configuration as one checked value. In rising order of precedence: defaults, the YAML file, environment variables, the
 * command line. Everything wrong is reported in one error.
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { MillraceError } from '../../schemas/errors.ts'
import { readDocument } from './document.ts'
import { fromEnvironment } from './environment.ts'
import { invalidConfig, type Problem, pathText, problemsOf } from './problem.ts'
import { type Config, configSchema } from './schema.ts'
import { redacted } from './secret.ts'

type Tree = Readonly<Record<string, unknown>>

export interface LoadOptions {
  /** The YAML file; defaults, environment and overrides alone where absent. */
  readonly file?: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** What the command line sets, by dotted key: `{'kafka.adapter': 'memory', 'http.port': 0}`. Undefined sets nothing. */
  readonly overrides?: Readonly<Record<string, unknown>>
  /** Further checks of the merged tree, before the schema's defaults: `mappingProblems`, for one. They must bear any tree. */
  readonly checks?: readonly ((root: Tree) => readonly Problem[])[]
}

/**
 * Loads, merges and checks the configuration.
 * @throws MillraceError INVALID_CONFIG whose message lists every problem as `path: what (got value), line n`.
 */
export const loadConfig = ({ file, env, overrides = {}, checks = [] }: LoadOptions): Config => {
  const read = readDocument(file === undefined ? '' : readFile(file), env)
  const templates = new Map(read.templates)
  const lines = new Map(read.lines)
  const problems: Problem[] = [...read.problems]
  const root = asTree(read.value, problems)
  const settings = [
    ...fromEnvironment(env),
    ...Object.entries(overrides).map(([key, value]) => ({ key, value, variable: undefined })),
  ]
  for (const { key, value, variable } of settings) {
    if (value === undefined) continue
    const path = key.split('.')
    if (!assign(root, path, value)) continue
    for (const known of [lines, templates]) forget(known, pathText(path))
    if (variable === undefined) continue
    const parts: (string | number)[][] = Array.isArray(value) ? value.map((_, index) => [...path, index]) : []
    for (const part of [path, ...parts]) templates.set(pathText(part), `\${${variable}}`)
  }
  const origins = { lines, templates, ...(file === undefined ? {} : { file }) }
  const folder = file === undefined ? process.cwd() : dirname(resolve(file))
  const schema = configSchema({ env, folder })
  const result = schema.safeParse(root)
  if (!result.success) problems.push(...problemsOf(result.error.issues, schema, root))
  for (const check of [registryNeeded, ...checks]) problems.push(...check(root))
  if (problems.length > 0 || !result.success) throw invalidConfig(problems, root, origins)
  return result.data
}

/** The effective configuration as plain values, secrets replaced by `[redacted]`. */
export const redactedConfig = (config: Config): Readonly<Record<string, unknown>> =>
  redacted(config) as Record<string, unknown>

/** Confluent's framing without a registry: what no single key can say. */
const registryNeeded = ({ sources, sinks, schemaRegistry }: Tree): Problem[] =>
  Object.entries({ sources, sinks }).flatMap(([key, entries]) =>
    (Array.isArray(entries) ? entries : []).flatMap((entry, index) =>
      isTree(entry) && entry['format'] === 'confluent-avro' && schemaRegistry === undefined
        ? [{ path: [key, index, 'format'], message: 'confluent-avro needs schemaRegistry.url' }]
        : [],
    ),
  )

const readFile = (file: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const why = code === 'ENOENT' ? 'there is no such file' : (code ?? 'it cannot be read')
    throw new MillraceError('INVALID_CONFIG', `cannot read the configuration ${file}: ${why}`)
  }
}

const isTree = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const asTree = (value: unknown, problems: Problem[]): Record<string, unknown> => {
  if (isTree(value)) return value
  if (value !== null) problems.push({ path: [], message: 'must be a block of keys' })
  return {}
}

/** Sets a value at a path, making the blocks on the way; false where something else than a block is in the way (the schema says so). */
const assign = (root: Record<string, unknown>, path: readonly string[], value: unknown): boolean => {
  let block = root
  for (const key of path.slice(0, -1)) {
    if (!Object.hasOwn(block, key)) block[key] = {}
    const inner = block[key]
    if (!isTree(inner)) return false
    block = inner
  }
  block[path.at(-1) as string] = value
  return true
}

const forget = (known: Map<string, unknown>, path: string): void => {
  for (const key of known.keys())
    if (key === path || key.startsWith(`${path}.`) || key.startsWith(`${path}[`)) known.delete(key)
}
