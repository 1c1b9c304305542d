/**
 * Comma-separated values, strictly: a header, then rows of as many fields, without quotes; `.gz` is unpacked. For data sets of numbers and plain words; what
 * needs more is refused, with its line.
 */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { MillraceError } from '../../schemas/errors.ts'

/** Unpacked, so that a small file cannot fill the memory. */
const LARGEST = 2 ** 30

export interface Csv {
  readonly file: string
  readonly columns: readonly string[]
  /** Fields by row; as many in each as there are columns. */
  readonly rows: readonly (readonly string[])[]
}

/** @throws MillraceError INVALID_CONFIG naming the file, and the line where there is one */
export const readCsv = (file: string): Csv => {
  const lines = textOf(file).split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  const rows = lines.map((line, index) => {
    if (line.includes('"')) throw invalid(file, index + 1, 'quoted fields are not read')
    return line.split(',')
  })
  const [columns, ...body] = rows
  if (columns === undefined || body.length === 0) throw invalid(file, 1, 'a header and rows are expected')
  const repeated = columns.find((column, at) => columns.indexOf(column) !== at)
  if (repeated !== undefined) throw invalid(file, 1, `column ${JSON.stringify(repeated)} is there twice`)
  for (const [index, row] of body.entries()) {
    if (row.length !== columns.length)
      throw invalid(file, index + 2, `${row.length} fields, the header has ${columns.length}`)
  }
  return { file, columns, rows: body }
}

/** Place of a column. @throws MillraceError INVALID_CONFIG where there is none of that name */
export const columnAt = ({ file, columns }: Csv, name: string): number => {
  const at = columns.indexOf(name)
  if (at >= 0) return at
  throw invalid(file, 1, `there is no column ${JSON.stringify(name)}; there are ${shortened(columns)}`)
}

/** A column as numbers. @throws MillraceError NON_FINITE_NUMBER naming the line of what is none */
export const numbersOf = ({ file, columns, rows }: Csv, at: number): Float64Array =>
  Float64Array.from(rows, (row, index) => {
    const text = row[at]!.trim()
    const value = text === '' ? Number.NaN : Number(text)
    if (Number.isFinite(value)) return value
    const message = `${file}, line ${index + 2}: ${columns[at]} is ${JSON.stringify(text)}, not a finite number`
    throw new MillraceError('NON_FINITE_NUMBER', message)
  })

/** The different words of a column: sorted, as numbers where all are. */
export const wordsOf = ({ rows }: Csv, at: number): string[] => {
  const words = [...new Set(rows.map((row) => row[at]!))]
  const numeric = words.every((word) => word.trim() !== '' && Number.isFinite(Number(word)))
  return words.sort(numeric ? (a, b) => Number(a) - Number(b) : undefined)
}

/** Each row's word, by its place in `words`. */
export const placesOf = ({ rows }: Csv, at: number, words: readonly string[]): Int32Array => {
  const places = new Map(words.map((word, place) => [word, place]))
  return Int32Array.from(rows, (row) => places.get(row[at]!) ?? -1)
}

const textOf = (file: string): string => {
  try {
    const bytes = readFileSync(file)
    return (file.endsWith('.gz') ? gunzipSync(bytes, { maxOutputLength: LARGEST }) : bytes).toString('utf8')
  } catch (cause) {
    const { code = 'it cannot be read', message } = cause as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'Z_DATA_ERROR' ? message : code
    throw new MillraceError('INVALID_CONFIG', `cannot read ${file}: ${why}`, { cause })
  }
}

const invalid = (file: string, line: number, message: string): MillraceError =>
  new MillraceError('INVALID_CONFIG', `${file}, line ${line}: ${message}`)

const shortened = (names: readonly string[]): string =>
  names.length > 12 ? `${names.slice(0, 10).join(', ')} and ${names.length - 10} more` : names.join(', ')
