/**
 * The scalars of the configuration: durations in milliseconds, sizes in bytes, numbers and switches that may also be text, because
 * interpolated values and environment variables always are.
 */
import { z } from 'zod'

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/
const MILLISECONDS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const SIZE = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)$/
const BYTES = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 } as const
const NUMBER = /^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i

/** Milliseconds of `250ms`, `10s`, `30m`, `1h`, `7d` (a bare `0` too); undefined where it is none of these or no whole millisecond. */
export const parseDuration = (text: string): number | undefined => parseQuantity(text, DURATION, MILLISECONDS)

/** Bytes of `100B`, `512KiB`, `1MiB`, `2GiB`; undefined where it is none of these or no whole byte. */
export const parseSize = (text: string): number | undefined => parseQuantity(text, SIZE, BYTES)

const parseQuantity = (
  text: string,
  pattern: RegExp,
  units: Readonly<Record<string, number>>,
): number | undefined => {
  if (text === '0') return 0
  const match = pattern.exec(text)
  if (match === null) return undefined
  const quantity = Number(match[1]) * (units[match[2] as string] as number)
  return Number.isSafeInteger(quantity) ? quantity : undefined
}

const quantity = (
  parse: (text: string) => number | undefined,
  example: string,
  least: number,
  greatest: number,
) =>
  z.union([z.string(), z.number()], { error: `must be ${example}` }).transform((value, context) => {
    const parsed = parse(String(value))
    if (parsed !== undefined && parsed >= least && parsed <= greatest) return parsed
    const message =
      parsed === undefined
        ? `must be ${example}, with its unit`
        : parsed < least
          ? `is too small: at least ${least}`
          : `is too large: at most ${greatest}`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })

/** A duration such as `30m`, in milliseconds; from `least` milliseconds up to a year, which stays below every timer's ceiling in use. */
export const duration = (least = 0, greatest = 365 * MILLISECONDS.d) =>
  quantity(parseDuration, 'a duration such as 250ms, 10s, 30m, 1h or 7d', least, greatest)

/** A size such as `512KiB`, in bytes. */
export const size = (least = 1, greatest = 2 ** 30) =>
  quantity(parseSize, 'a size such as 100B, 512KiB or 1MiB', least, greatest)

const numberOf = (value: unknown): unknown =>
  typeof value === 'string' && NUMBER.test(value) ? Number(value) : value

/** A finite number, or its text. */
export const number = (least = -Number.MAX_VALUE, greatest = Number.MAX_VALUE) =>
  z.preprocess(numberOf, z.number().min(least).max(greatest))

/** A finite number above 0, or its text. */
export const positive = () => z.preprocess(numberOf, z.number().positive())

/** A whole number from `least` to `greatest`, or its text. */
export const integer = (least: number, greatest: number) =>
  z.preprocess(numberOf, z.int().min(least).max(greatest))

/** `true` or `false`, or its text. */
export const flag = () =>
  z.preprocess((value) => (value === 'true' ? true : value === 'false' ? false : value), z.boolean())

/** Text with at least one character that is not white space. */
export const text = () => z.string().refine((value) => value.trim() !== '', { error: 'must not be empty' })

/** A name that is safe in topics, groups, metric labels and file names. */
export const name = () =>
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, {
    error: 'must begin with a letter or digit and hold only letters, digits, ".", "_" and "-", 100 at most',
  })

/** One of a few words. */
export const choice = <const T extends readonly [string, ...string[]]>(words: T) => z.enum(words)
