/**
 * Values that must not be seen: passwords, tokens, private keys. A `Secret` shows itself as `[redacted]` wherever it is printed,
 * logged, inspected or turned into JSON; only `reveal()` gives the text. One that came from a file is read again each time, so that
 * a rotated file is taken up without a restart.
 */
import { readFileSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { inspect } from 'node:util'
import { z } from 'zod'
import { MillraceError } from '../../schemas/errors.ts'

export const REDACTED = '[redacted]'

export class Secret {
  readonly #read: () => string

  constructor(read: string | (() => string)) {
    this.#read = typeof read === 'string' ? () => read : read
  }

  /** @throws MillraceError INVALID_CONFIG when it lies in a file that cannot be read any more. */
  reveal(): string {
    return this.#read()
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}

/** What the schema needs to know of its surroundings. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Folder that relative paths start from. */
  readonly folder: string
}

/** The schema of a path: made absolute from the configuration's folder. */
export const filePath = ({ folder }: Surroundings) =>
  z
    .string()
    .min(1, { error: 'must not be empty' })
    .transform((path) => (isAbsolute(path) ? path : resolve(folder, path)))

/** Text given as it is, as `{env: NAME}`, or as `{file: path}` (trailing line ends are cut). Its value is never part of an error. */
export const secretText = (surroundings: Surroundings) =>
  z
    .unknown()
    .transform((value, context) => {
      const refuse = (message: string, path: string[] = []): never => {
        context.addIssue({ code: 'custom', message, path })
        return z.NEVER
      }
      if (typeof value === 'string') return value === '' ? refuse('must not be empty') : new Secret(value)
      const form = 'must be text, {env: NAME} or {file: path}'
      if (typeof value !== 'object' || value === null) return refuse(form)
      const entries = Object.entries(value)
      const [key, given] = entries[0] ?? []
      if (entries.length !== 1 || typeof given !== 'string') return refuse(form)
      if (key === 'env') {
        const text = surroundings.env[given]
        if (text === undefined || text === '')
          return refuse(`environment variable ${given} is not set`, ['env'])
        return new Secret(text)
      }
      if (key !== 'file') return refuse(form)
      const path = isAbsolute(given) ? given : resolve(surroundings.folder, given)
      const secret = new Secret(() => readSecret(path))
      try {
        return secret.reveal() === '' ? refuse('the file is empty', ['file']) : secret
      } catch (error) {
        return refuse((error as Error).message, ['file'])
      }
    })
    .meta({ secret: true })

/** As `secretText`, for what need not be hidden (certificates). */
export const openText = (surroundings: Surroundings) =>
  secretText(surroundings).transform((secret) => secret.reveal())

const readSecret = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').replace(/[\r\n]+$/, '')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    throw new MillraceError('INVALID_CONFIG', `cannot read the file ${path} (${code})`)
  }
}

/** A copy of any plain value, every `Secret` in it replaced by `[redacted]`. */
export const redacted = (value: unknown): unknown => {
  if (value instanceof Secret) return REDACTED
  if (Array.isArray(value)) return value.map(redacted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, redacted(inner)]))
}
