/**
 * The kinds of value an event's field can have, and how each is read from JSON's or Avro's values. Big integers of Avro are taken
 * while they are exact as numbers; numbers are finite.
 */
import type { Kind, Reading, Refuse } from './mapping-field.ts'

const NUMERIC = /^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i
/** With its offset: without one, a time would depend on the machine that reads it. */
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/
/** The last millisecond a Date can hold. */
const LAST_TIME = 8.64e15

export type Features = readonly number[] | Readonly<Record<string, number>>

/** Text; with `as: string` also a whole number that is exact. */
export const textKind: Kind<string> = {
  conversions: ['string'],
  read: (value, { as }, refuse) => {
    if (typeof value === 'string') return value
    if (as !== 'string') return refuse('text (a number is taken with as: string)', value)
    if (typeof value === 'bigint' || typeof value === 'boolean' || Number.isSafeInteger(value))
      return String(value)
    return refuse('text or an exact whole number', value)
  },
}

/** A finite number; with `as: number` also numeric text, and true or false as 1 or 0. */
export const numberKind: Kind<number> = {
  conversions: ['number'],
  read: (value, { as }, refuse) => {
    const number = as === 'number' ? converted(value) : value
    if (typeof number === 'number' && Number.isFinite(number)) return number
    if (typeof number === 'bigint' && Number.isSafeInteger(Number(number))) return Number(number)
    return refuse(
      as === 'number' ? 'a finite number or its text' : 'a finite number (text is taken with as: number)',
      value,
    )
  },
}

const converted = (value: unknown): unknown => {
  if (typeof value === 'boolean') return value ? 1 : 0
  return typeof value === 'string' && NUMERIC.test(value) ? Number(value) : value
}

/** A time in the declared unit, as whole milliseconds since the epoch. */
export const timeKind: Kind<number> = {
  units: ['s', 'ms', 'us', 'iso'],
  conversions: ['number'],
  read: (value, reading, refuse) => {
    const milliseconds = reading.unit === 'iso' ? isoTime(value) : epochTime(value, reading, refuse)
    return Number.isFinite(milliseconds) && Math.abs(milliseconds) <= LAST_TIME
      ? milliseconds
      : refuse(
          reading.unit === 'iso' ? 'an ISO 8601 time with its offset' : `a time in ${reading.unit ?? 'ms'}`,
          value,
        )
  },
}

const isoTime = (value: unknown): number =>
  value instanceof Date
    ? value.getTime()
    : typeof value === 'string' && ISO.test(value)
      ? Date.parse(value)
      : Number.NaN

const epochTime = (value: unknown, reading: Reading, refuse: Refuse): number => {
  if (value instanceof Date) return value.getTime()
  // Microseconds since the epoch are exact as a number until the year 2255, and as big integers always.
  if (typeof value === 'bigint' && reading.unit === 'us') return Number(value / 1000n)
  const number = numberKind.read(value, reading, refuse)
  if (reading.unit === 's') return Math.round(number * 1000)
  return Math.floor(reading.unit === 'us' ? number / 1000 : number)
}

/** The value of a categorical feature: text, a whole number, true or false. */
export const categoryKind: Kind<string> = {
  conversions: ['category'],
  read: (value, _reading, refuse) => {
    const simple = typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint'
    return simple || Number.isSafeInteger(value)
      ? String(value)
      : refuse('a category: text, a whole number, true or false', value)
  },
}

/** A vector, or named numbers; nothing nested. */
export const featuresKind: Kind<Features> = {
  conversions: ['number'],
  read: (value, reading, refuse) => {
    if (Array.isArray(value) || value instanceof Float64Array || value instanceof Float32Array) {
      const numbers = new Array<number>(value.length)
      for (let index = 0; index < value.length; index++)
        numbers[index] = element(value[index], index, reading, refuse)
      return numbers
    }
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value))
      return refuse('a list of numbers or a block of named ones', value)
    const named: Record<string, number> = {}
    for (const name of Object.keys(value))
      setFeature(
        named,
        name,
        element((value as Record<string, unknown>)[name], name, reading, refuse),
        refuse,
      )
    return named
  },
}

const element = (value: unknown, key: string | number, reading: Reading, refuse: Refuse): number =>
  numberKind.read(value, reading, (wanted, found) => refuse(`${wanted} at ${JSON.stringify(key)}`, found))

/** Sets a named feature. `__proto__` is no name: setting it would change the object's prototype. */
export const setFeature = (
  named: Record<string, number>,
  name: string,
  value: number,
  refuse: Refuse,
): void => {
  if (name === '__proto__') refuse('named otherwise', name)
  named[name] = value
}
