/** Data sets as environments need them: examples with their classes, and logs of decisions. */
import type { Examples, LoggedRounds } from '../../operators/bandits/environments/index.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { type Csv, columnAt, numbersOf, placesOf, readCsv, wordsOf } from './csv.ts'
import type { ClassificationSpec, EnvironmentSpec, LoggedSpec } from './simulation.ts'

/** What an environment reads; nothing for those that are drawn. */
export type EnvironmentData =
  | { readonly kind: 'examples'; readonly examples: Examples }
  | { readonly kind: 'log'; readonly log: LoggedRounds }
  | { readonly kind: 'none' }

/** A categorical column becomes a number a word; more words than these are ids, not categories. */
const MOST_WORDS = 256
/** How programs write numbers that are none. */
const NOT_NUMBERS = /^[-+]?(nan|inf(inity)?|null|na|none)$/i

/** @throws MillraceError INVALID_CONFIG, NON_FINITE_NUMBER naming file and line */
export const readData = (spec: EnvironmentSpec): EnvironmentData => {
  if (spec.kind === 'classification') return { kind: 'examples', examples: readExamples(spec) }
  return spec.kind === 'logged' ? { kind: 'log', log: readLog(spec) } : { kind: 'none' }
}

const readExamples = ({ file, label, classes: most }: ClassificationSpec): Examples => {
  const csv = readCsv(file)
  const at = label === undefined ? csv.columns.length - 1 : columnAt(csv, label)
  const classes = wordsOf(csv, at)
  if (classes.length > most) {
    const message = `${file}: column ${csv.columns[at]} has ${classes.length} different values, at most ${most} are taken for classes`
    throw new MillraceError('INVALID_CONFIG', message)
  }
  if (classes.length < 2) {
    const message = `${file}: column ${csv.columns[at]} has one value only: there is nothing to choose`
    throw new MillraceError('INVALID_CONFIG', message)
  }
  const features = csv.columns.map((_, column) => column).filter((column) => column !== at)
  return { features: matrix(csv, features), labels: placesOf(csv, at, classes), classes }
}

const readLog = ({ file, arm, reward, propensity, context }: LoggedSpec): LoggedRounds => {
  const csv = readCsv(file)
  const arms = wordsOf(csv, columnAt(csv, arm))
  const contexts = matrix(
    csv,
    context.map((name) => columnAt(csv, name)),
    true,
  )
  return {
    arms,
    dimension: contexts.length / csv.rows.length,
    contexts,
    taken: placesOf(csv, columnAt(csv, arm), arms),
    propensities: numbersOf(csv, columnAt(csv, propensity)),
    rewards: numbersOf(csv, columnAt(csv, reward)),
  }
}

/** Columns of numbers as they are, others with a 0 or 1 for each of their words; and a constant 1, where it is asked for. */
const matrix = (csv: Csv, columns: readonly number[], bias = false): Float64Array => {
  const parts = columns.flatMap((at): Float64Array[] => {
    const words = wordsOf(csv, at)
    // A column with one number in it is one of numbers, and what is none there is refused.
    if (words.some((word) => word.trim() === '' || !Number.isNaN(Number(word)) || NOT_NUMBERS.test(word)))
      return [numbersOf(csv, at)]
    if (words.length > MOST_WORDS) {
      const message = `${csv.file}: column ${csv.columns[at]} has ${words.length} different words, at most ${MOST_WORDS} are taken for categories`
      throw new MillraceError('INVALID_CONFIG', message)
    }
    const places = placesOf(csv, at, words)
    return words.map((_, place) => Float64Array.from(places, (found) => (found === place ? 1 : 0)))
  })
  if (bias) parts.push(new Float64Array(csv.rows.length).fill(1))
  const values = new Float64Array(csv.rows.length * parts.length)
  for (const [k, part] of parts.entries())
    for (let n = 0; n < part.length; n++) values[n * parts.length + k] = part[n]!
  return values
}
