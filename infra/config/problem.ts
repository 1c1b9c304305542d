/**
 * Everything wrong with a configuration, told at once: where, what, what was found, and what was perhaps meant. Values that are
 * secret, or may be, are never shown: those at secretive keys, and those that came from the environment.
 */
import { closest, distance } from 'fastest-levenshtein'
import type { z } from 'zod'
import { MillraceError } from '../../schemas/errors.ts'

export type Path = readonly (string | number)[]

export interface Problem {
  readonly path: Path
  readonly message: string
  /** Leave out the value: it may be a misplaced secret. */
  readonly hidden?: true
}

/** What is known of where a configuration's values came from. */
export interface Origins {
  /** The file, where there is one. */
  readonly file?: string
  /** Line of each key and value, by `pathText`. */
  readonly lines: ReadonlyMap<string, number>
  /** Text before interpolation, or the variable's name in `${…}`, by `pathText`: shown instead of the value. */
  readonly templates: ReadonlyMap<string, string>
}

/** `['policies', 0, 'name']` as `policies[0].name`. */
export const pathText = (path: Path): string =>
  path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    const plain = /^[A-Za-z_][\w-]*$/.test(key)
    return plain ? (text === '' ? key : `${text}.${key}`) : `${text}[${JSON.stringify(key)}]`
  }, '')

/** ` (did you mean "x"?)` for the nearest of the known words, where one is near. */
export const suggestion = (given: string, known: readonly string[]): string => {
  if (known.length === 0) return ''
  const plain = (word: string) => word.toLowerCase().replace(/[-_]/g, '')
  const nearest = closest(
    plain(given),
    known.map((word) => plain(word)),
  )
  const meant = known.find((word) => plain(word) === nearest) as string
  const near = distance(plain(given), nearest) <= Math.max(2, Math.floor(meant.length / 3))
  return near ? `did you mean "${meant}"?` : `known: ${known.join(', ')}`
}

const SECRETIVE = /pass|secret|token|credential|sasl|^tls$/i

const shown = (path: Path, root: unknown, origins: Origins): string => {
  if (path.length === 0 || path.some((key) => typeof key === 'string' && SECRETIVE.test(key))) return ''
  const template = origins.templates.get(pathText(path))
  if (template !== undefined) return ` (got ${cut(template)})`
  const value = valueAt(root, path)
  if (value === undefined || (path.at(-1) === 'url' && /[@?]/.test(String(value)))) return ''
  if (Array.isArray(value)) return ` (got a list of ${value.length})`
  if (typeof value === 'object' && value !== null) return ' (got a block of keys)'
  return ` (got ${cut(typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value))})`
}

const cut = (text: string): string => (text.length > 80 ? `${text.slice(0, 77)}…` : text)

const valueAt = (root: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<string | number, unknown>)[key]
        : undefined,
    root,
  )

/** zod's issues in the configuration's own words, one problem an issue and one an unknown key. */
export const problemsOf = (
  issues: readonly z.core.$ZodIssue[],
  schema: z.ZodType,
  root: unknown,
): Problem[] =>
  issues.flatMap((issue) => {
    const path = issue.path as Path
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: `unknown key: ${suggestion(key, knownKeys(schema, path, root))}`,
        hidden: true as const,
      }))
    return [{ path, message: wording(issue, valueAt(root, path)) }]
  })

const NAMES: Readonly<Record<string, string>> = {
  object: 'a block of keys',
  record: 'a block of keys',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
}

const wording = (issue: z.core.$ZodIssue, value: unknown): string => {
  switch (issue.code) {
    case 'invalid_type':
      if (value === undefined) return 'is required'
      if (typeof value === 'number' && !Number.isFinite(value)) return 'must be a finite number'
      return `must be ${NAMES[issue.expected] ?? issue.expected}`
    case 'too_small':
      if (issue.origin === 'array') return `must have at least ${entries(issue.minimum)}`
      return `must be ${issue.inclusive === false ? 'above' : 'at least'} ${issue.minimum}`
    case 'too_big':
      if (issue.origin === 'array') return `must have at most ${entries(issue.maximum)}`
      return `must be ${issue.inclusive === false ? 'below' : 'at most'} ${issue.maximum}`
    case 'invalid_value':
      return oneOf(issue.values.map(String), value)
    case 'invalid_union':
      return 'options' in issue && Array.isArray(issue.options)
        ? oneOf(issue.options.map(String), value)
        : issue.message
    default:
      return issue.message
  }
}

const entries = (count: number | bigint): string => (count === 1 ? '1 entry' : `${count} entries`)

const oneOf = (words: readonly string[], value: unknown): string => {
  if (value === undefined) return `is required: one of ${words.join(', ')}`
  const hint = typeof value === 'string' ? suggestion(value, words) : ''
  return `must be one of ${words.join(', ')}${hint.startsWith('did') ? `; ${hint}` : ''}`
}

/** What zod keeps of a schema, as far as its keys are looked for. */
interface Definition {
  readonly type: string
  readonly innerType?: z.ZodType
  readonly in?: z.ZodType
  readonly out?: z.ZodType
  readonly element?: z.ZodType
  readonly options?: readonly z.ZodType[]
  readonly discriminator?: string
  readonly shape?: Readonly<Record<string, z.ZodType>>
}

export const definition = (schema: z.ZodType): Definition => schema.def as unknown as Definition

/** The keys the schema knows at a path; for a union, those of the branch that the value's discriminator names. */
const knownKeys = (schema: z.ZodType, path: Path, value: unknown): string[] => {
  const { type, innerType, in: input, out, element, options, discriminator, shape } = definition(schema)
  if (innerType !== undefined) return knownKeys(innerType, path, value)
  if (type === 'pipe') {
    const inner = input !== undefined && definition(input).type !== 'transform' ? input : out
    return inner === undefined ? [] : knownKeys(inner, path, value)
  }
  if (options !== undefined) {
    const named = options.filter((option) => {
      const literal = discriminator === undefined ? undefined : definition(option).shape?.[discriminator]
      return literal === undefined || literal.safeParse(valueAt(value, [discriminator as string])).success
    })
    return named.flatMap((option) => knownKeys(option, path, value))
  }
  const [key, ...rest] = path
  if (element !== undefined && typeof key === 'number') return knownKeys(element, rest, valueAt(value, [key]))
  if (shape === undefined) return []
  if (key === undefined) return Object.keys(shape)
  const inner = Object.hasOwn(shape, key) ? shape[key as string] : undefined
  return inner === undefined ? [] : knownKeys(inner, rest, valueAt(value, [key]))
}

/** The one error that says everything: a line a problem, in the order of the file, one problem a path. */
export const invalidConfig = (
  problems: readonly Problem[],
  root: unknown,
  origins: Origins,
): MillraceError => {
  const seen = new Set<string>()
  const rows = problems
    .filter(({ path }) => {
      const text = pathText(path)
      if (seen.has(text)) return false
      seen.add(text)
      return true
    })
    .map(({ path, message, hidden }) => {
      const text = pathText(path)
      const line = lineOf(path, origins)
      const where = line === undefined ? '' : `, line ${line}`
      return {
        line: line ?? 0,
        row: `  ${text === '' ? 'configuration' : text}: ${message}${hidden ? '' : shown(path, root, origins)}${where}`,
      }
    })
    .sort((a, b) => a.line - b.line)
  const count = rows.length === 1 ? '1 problem' : `${rows.length} problems`
  const file = origins.file === undefined ? '' : ` in ${origins.file}`
  return new MillraceError(
    'INVALID_CONFIG',
    `${count} with the configuration${file}:\n${rows.map(({ row }) => row).join('\n')}`,
  )
}

/** The line of a path, or of the block that should hold it. */
const lineOf = (path: Path, { lines }: Origins): number | undefined => {
  for (let length = path.length; length > 0; length--) {
    const line = lines.get(pathText(path.slice(0, length)))
    if (line !== undefined) return line
  }
  return undefined
}
