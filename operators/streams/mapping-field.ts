/**
 * One field of a mapping: from its declaration to a function that reads it from a message. A declaration is a path (`$.a.b`), a path
 * with its reading (`{path, unit, as, default}`) or a constant (`{value}`). Types are never guessed: text that looks like a number is
 * refused unless `as: number` says so, a number in the place of text unless `as: string` does.
 */
import { MillraceError } from '../../schemas/errors.ts'
import { type MappingPath, parsePath, readPath } from './mapping-path.ts'

/** Something wrong with a declaration; `path` leads to it from where the declaration stands. */
export interface MappingProblem {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** Where a declaration stands, and where to say what is wrong with it. */
export interface Place {
  readonly path: readonly (string | number)[]
  readonly problems: MappingProblem[]
}

export type Reader<T> = (message: unknown) => T

export type Refuse = (wanted: string, found: unknown) => never
export type Unit = 's' | 'ms' | 'us' | 'iso'
export type Conversion = 'number' | 'string' | 'category'

/** What a declaration says about the reading of its value. */
export interface Reading {
  readonly unit?: Unit
  readonly as?: Conversion
}

/** A kind of value: what may be declared about it, and how one is read. `refuse` throws, naming field and path. */
export interface Kind<T> {
  readonly units?: readonly Unit[]
  readonly conversions?: readonly Conversion[]
  readonly read: (value: unknown, reading: Reading, refuse: Refuse) => T
}

export const at = ({ path, problems }: Place, ...steps: (string | number)[]): Place => ({
  path: [...path, ...steps],
  problems,
})

export const complain = ({ path, problems }: Place, message: string): void => {
  problems.push({ path, message })
}

export const isBlock = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A value in a few words, for messages. */
export const found = (value: unknown): string => {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'string')
    return `text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`
  if (typeof value === 'object') return ArrayBuffer.isView(value) ? 'bytes' : 'an object'
  return `${typeof value} ${String(value)}`
}

/** A refusal of a message's value. */
export const mappingFailed = (field: string, path: string, wanted: string, value: unknown): MillraceError =>
  new MillraceError('MAPPING_FAILED', `${field} (${path}): must be ${wanted}, found ${found(value)}`)

/** The field as messages name it: `arms.features`, `context.names.age`. */
export const fieldName = ({ path }: Place): string => path.join('.')

const FORM = 'must be a path such as $.a.b, {path: …} or {value: …}'

/** Refuses keys of a declaration that mean nothing there. */
export const onlyKeys = (
  block: Readonly<Record<string, unknown>>,
  known: readonly string[],
  place: Place,
): void => {
  for (const key of Object.keys(block))
    if (!known.includes(key)) complain(at(place, key), `unknown key: known are ${known.join(', ')}`)
}

/** The steps of a declared path, or a complaint and none. */
export const declaredPath = (declared: unknown, place: Place): MappingPath => {
  const path = typeof declared === 'string' ? parsePath(declared) : undefined
  if (path === undefined)
    complain(place, "must be a path: $ and then .name, ['any key'] or [0], such as $.user.ids[0]")
  return path ?? []
}

/** One of the words allowed here; where there are none, the key itself means nothing. */
const word = <T extends string>(given: unknown, words: readonly T[] = [], place: Place): T | undefined => {
  if (given === undefined) return undefined
  const meant = words.find((known) => known === given)
  if (meant === undefined)
    complain(
      place,
      words.length === 0 ? 'means nothing for this field' : `must be one of ${words.join(', ')}`,
    )
  return meant
}

/** Compiles a declaration of one value. Complaints go to the place; the reader is then not to be used. */
export const compileField = <T>(declared: unknown, kind: Kind<T>, place: Place): Reader<T> => {
  const block = typeof declared === 'string' ? { path: declared } : declared
  if (!isBlock(block) || (block['path'] === undefined) === !Object.hasOwn(block, 'value')) {
    complain(place, FORM)
    return () => undefined as T
  }
  const name = fieldName(place)
  if (Object.hasOwn(block, 'value')) {
    onlyKeys(block, ['value'], place)
    const constant = atCompileTime(block['value'], kind, at(place, 'value'))
    return () => constant as T
  }
  onlyKeys(block, ['path', 'unit', 'as', 'default'], place)
  const path = declaredPath(block['path'], typeof declared === 'string' ? place : at(place, 'path'))
  const as = word(block['as'], kind.conversions, at(place, 'as'))
  const unit = word(block['unit'], kind.units, at(place, 'unit'))
  const reading: Reading = {
    ...(unit === undefined ? {} : { unit }),
    ...(as === undefined ? {} : { as }),
  }
  const hasDefault = Object.hasOwn(block, 'default')
  // A default may be null, which then stands for the field's own "none".
  const fallback =
    hasDefault && block['default'] !== null
      ? atCompileTime(block['default'], kind, at(place, 'default'))
      : (block['default'] as T | undefined)
  const refuse: Refuse = (wanted, value) => {
    throw mappingFailed(name, String(block['path']), wanted, value)
  }
  return (message) => {
    const value = readPath(message, path)
    if (hasDefault && (value === undefined || value === null)) return fallback as T
    return kind.read(value, reading, refuse)
  }
}

/** A constant is read like a message's value, but once. */
const atCompileTime = <T>(constant: unknown, kind: Kind<T>, place: Place): T | undefined => {
  try {
    return kind.read(constant, typeof constant === 'string' ? { unit: 'iso' } : {}, (wanted) => {
      throw new MillraceError('INVALID_CONFIG', `must be ${wanted}`)
    })
  } catch (error) {
    complain(place, (error as Error).message)
    return undefined
  }
}
