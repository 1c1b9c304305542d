/** One line of the Extreme Classification Repository's format (text-format.ts): numbers, or a refusal that names line and column. */
import { type ErrorCode, MillraceError } from '../../schemas/errors.ts'

export interface Sizes {
  readonly documents: number
  readonly features: number
  readonly labels: number
}

/** A document: labels rise; features rise, each with its value. Overwritten by the next line. */
export interface DocumentLine {
  labels: number[]
  features: number[]
  values: number[]
  /** Where each stands in the line, from 1. */
  readonly columns: number[]
}

/** One without anything. */
export const emptyLine = (): DocumentLine => ({ labels: [], features: [], values: [], columns: [] })

/** Beyond it a size is no int32. */
const MOST = 2 ** 31 - 2
const COMMA = 44
const COLON = 58
const SPACE = 32
const TAB = 9

/** A refusal at a place, counted from 1. */
export const malformed = (line: number, column: number, what: string): MillraceError =>
  refused('MALFORMED_FILE', line, column, what)

const refused = (code: ErrorCode, line: number, column: number, what: string): MillraceError =>
  new MillraceError(code, `line ${line}, column ${column}: ${what}`)

/** "N D L". @throws MillraceError MALFORMED_FILE */
export const headerLine = (line: string): Sizes => {
  const names = ['documents', 'features', 'labels'] as const
  const sizes = { documents: 0, features: 0, labels: 0 }
  let at = 0
  for (const name of names) {
    at = afterBlanks(line, at)
    const end = endOfField(line, at)
    const size = count(line, at, end)
    if (size < 0 || size > MOST)
      throw malformed(1, at + 1, `the number of ${name} is ${shown(line, at, end)}`)
    sizes[name] = size
    at = end
  }
  at = afterBlanks(line, at)
  if (at < line.length) throw malformed(1, at + 1, 'the header is "N D L" and no more')
  return sizes
}

/** "l1,l2 f:v f:v". @throws MillraceError MALFORMED_FILE, WRONG_DIMENSION, NON_FINITE_NUMBER */
export const documentLine = (line: string, number: number, sizes: Sizes, into: DocumentLine): void => {
  for (const list of [into.labels, into.features, into.values, into.columns]) list.length = 0
  let at = 0
  const first = endOfField(line, 0)
  const colon = line.indexOf(':')
  if (first > 0 && !(colon >= 0 && colon < first)) {
    readLabels(line, number, first, sizes.labels, into)
    at = first
  }
  readFeatures(line, number, at, sizes.features, into)
}

const readLabels = (line: string, number: number, end: number, most: number, into: DocumentLine): void => {
  const { labels, columns } = into
  let rising = true
  for (let at = 0; at <= end; ) {
    let next = at
    while (next < end && line.charCodeAt(next) !== COMMA) next++
    const label = id(line, number, at, next, most, 'label')
    if (labels.length > 0 && label <= labels[labels.length - 1]!) rising = false
    labels.push(label)
    columns.push(at + 1)
    at = next + 1
  }
  if (!rising) into.labels = sorted(labels, number, columns, 'label').map((i) => labels[i]!)
  columns.length = 0
}

const readFeatures = (
  line: string,
  number: number,
  start: number,
  most: number,
  into: DocumentLine,
): void => {
  const { features, values, columns } = into
  let rising = true
  for (let at = afterBlanks(line, start); at < line.length; ) {
    const end = endOfField(line, at)
    let colon = at
    while (colon < end && line.charCodeAt(colon) !== COLON) colon++
    if (colon === end) throw malformed(number, at + 1, `${shown(line, at, end)} is no "feature:value"`)
    const feature = id(line, number, at, colon, most, 'feature')
    if (features.length > 0 && feature <= features[features.length - 1]!) rising = false
    features.push(feature)
    values.push(decimal(line, number, colon + 1, end))
    columns.push(at + 1)
    at = afterBlanks(line, end)
  }
  if (rising) return
  const order = sorted(features, number, columns, 'feature')
  into.features = order.map((i) => features[i]!)
  into.values = order.map((i) => values[i]!)
}

/** The order in which ids rise. @throws MillraceError MALFORMED_FILE where one is there twice, at its second place */
const sorted = (
  ids: readonly number[],
  number: number,
  columns: readonly number[],
  what: string,
): number[] => {
  const order = ids.map((_, i) => i).sort((a, b) => ids[a]! - ids[b]! || a - b)
  for (let i = 1; i < order.length; i++) {
    const again = order[i]!
    if (ids[again] === ids[order[i - 1]!]) {
      throw malformed(number, columns[again]!, `${what} ${ids[again]} for the second time`)
    }
  }
  return order
}

/** A label or feature below `most`. */
const id = (line: string, number: number, at: number, end: number, most: number, what: string): number => {
  const value = count(line, at, end)
  if (value < 0) throw malformed(number, at + 1, `${shown(line, at, end)} is no ${what}`)
  if (value >= most) {
    throw refused(
      'WRONG_DIMENSION',
      number,
      at + 1,
      `${what} ${shown(line, at, end)}, the header has ${most}`,
    )
  }
  return value
}

/** Digits as an integer; −1 where they are none. */
const count = (line: string, at: number, end: number): number => {
  if (at === end) return -1
  let value = 0
  for (let i = at; i < end; i++) {
    const digit = line.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return -1
    value = 10 * value + digit
  }
  return value
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/
const NOT_FINITE = /^[+-]?(nan|inf|infinity)$/i
const POWERS = Array.from({ length: 16 }, (_, n) => 10 ** n)

/** A number as `Number` reads it. Up to 15 digits and a point are read here, exactly: an integer over a power of ten, both exact, rounds once. */
const decimal = (line: string, number: number, at: number, end: number): number => {
  let mantissa = 0
  let point = -1
  let digits = 0
  for (let i = at; i < end; i++) {
    const digit = line.charCodeAt(i) - 48
    if (digit >= 0 && digit <= 9) {
      mantissa = 10 * mantissa + digit
      digits++
    } else if (digit === -2 && point < 0) {
      point = i
    } else {
      digits = 0
      break
    }
  }
  if (digits > 0 && digits <= 15) return mantissa / POWERS[point < 0 ? 0 : end - 1 - point]!

  const text = line.slice(at, end)
  const value = DECIMAL.test(text) ? Number(text) : Number.NaN
  if (NOT_FINITE.test(text) || Math.abs(Math.fround(value)) === Number.POSITIVE_INFINITY) {
    throw refused('NON_FINITE_NUMBER', number, at + 1, `the value ${shown(line, at, end)}`)
  }
  if (Number.isNaN(value)) throw malformed(number, at + 1, `${shown(line, at, end)} is no number`)
  return value
}

const afterBlanks = (line: string, at: number): number => {
  let next = at
  while (next < line.length && isBlank(line.charCodeAt(next))) next++
  return next
}

const endOfField = (line: string, at: number): number => {
  let next = at
  while (next < line.length && !isBlank(line.charCodeAt(next))) next++
  return next
}

const isBlank = (unit: number): boolean => unit === SPACE || unit === TAB

/** What stands there, fit to be quoted. */
const shown = (line: string, at: number, end: number): string => {
  if (at === end) return 'nothing'
  return JSON.stringify(line.slice(at, Math.min(end, at + 40)))
}
