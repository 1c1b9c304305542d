/** What a fit of TF-IDF is kept as, and the checks it must pass to be one again. */
import { codeOf, MillraceError } from '../../../schemas/errors.ts'
import { type TokenOptions, tokenOptions } from './tokens.ts'

interface Fitted {
  readonly format: 1
  /** Documents that were fitted on: N. */
  readonly documents: number
  readonly tokens: Required<TokenOptions>
  /** Documents that hold each term: df, 1 to N. */
  readonly frequencies: readonly number[]
}

/** Either a vocabulary, or positions of hashes. */
export type StoredTfIdf =
  | (Fitted & {
      /** Sorted, each once; a term's place is its feature. */
      readonly terms: readonly string[]
    })
  | (Fitted & {
      readonly hash: { readonly bits: number; readonly seed: number }
      /** Features that count, rising. */
      readonly positions: readonly number[]
    })

/** The parts of a fit, checked one by one. @throws MillraceError SNAPSHOT_CORRUPT */
export const storedTfIdf = (json: unknown): StoredTfIdf => {
  const given = record(json, 'tf-idf')
  if (given['format'] !== 1) throw corrupt(`format is ${String(given['format'])}, not 1`)
  const documents = count(given['documents'], 'documents', 1, Number.MAX_SAFE_INTEGER)
  const tokens = checkedTokens(given['tokens'])
  const frequencies = list(given['frequencies'], 'frequencies').map((value, i) =>
    count(value, `frequencies[${i}]`, 1, documents),
  )
  const fitted = { format: 1, documents, tokens, frequencies } as const
  const hashed = given['hash'] !== undefined
  only(given, [
    'format',
    'documents',
    'tokens',
    'frequencies',
    ...(hashed ? ['hash', 'positions'] : ['terms']),
  ])
  if (hashed) {
    const hash = record(given['hash'], 'hash')
    only(hash, ['bits', 'seed'])
    const bits = count(hash['bits'], 'hash.bits', 1, 24)
    const seed = count(hash['seed'], 'hash.seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    const positions = list(given['positions'], 'positions').map((value, i) =>
      count(value, `positions[${i}]`, 0, 2 ** bits - 1),
    )
    rising(positions, 'positions', frequencies.length)
    return { ...fitted, hash: { bits, seed }, positions }
  }
  const terms = list(given['terms'], 'terms').map((value, i) => {
    if (typeof value !== 'string' || value === '') throw corrupt(`terms[${i}] is no term`)
    return value
  })
  rising(terms, 'terms', frequencies.length)
  return { ...fitted, terms }
}

const checkedTokens = (json: unknown): Required<TokenOptions> => {
  const given = record(json, 'tokens')
  only(given, ['minimalLength', 'numbers', 'ngrams'])
  const { minimalLength, numbers, ngrams } = given
  if (minimalLength === undefined || numbers === undefined || ngrams === undefined) {
    throw corrupt('tokens lacks a setting')
  }
  try {
    return tokenOptions({ minimalLength, numbers, ngrams } as TokenOptions)
  } catch (error) {
    throw codeOf(error, 'SNAPSHOT_CORRUPT') === 'INVALID_CONFIG' ? corrupt((error as Error).message) : error
  }
}

const record = (value: unknown, name: string): Record<string, unknown> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw corrupt(`${name} is no object`)
  return value as Record<string, unknown>
}

const list = (value: unknown, name: string): unknown[] => {
  if (!Array.isArray(value)) throw corrupt(`${name} is no list`)
  // A list with holes would be passed over by `map`.
  return Array.from(value)
}

const count = (value: unknown, name: string, least: number, most: number): number => {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw corrupt(`${name} is ${String(value)}`)
  }
  return value
}

const only = (given: Record<string, unknown>, names: readonly string[]): void => {
  const unknown = Object.keys(given).find((name) => !names.includes(name))
  if (unknown !== undefined) throw corrupt(`it has "${unknown}"`)
}

/** Each above the one before, and as many as there are frequencies. */
const rising = (values: readonly (string | number)[], name: string, length: number): void => {
  if (values.length === 0 || values.length !== length) {
    throw corrupt(`${values.length} ${name} for ${length} frequencies`)
  }
  for (let i = 1; i < values.length; i++) {
    if (!(values[i]! > values[i - 1]!)) throw corrupt(`${name}[${i}] does not rise`)
  }
}

const corrupt = (what: string): MillraceError => new MillraceError('SNAPSHOT_CORRUPT', `tf-idf: ${what}`)
