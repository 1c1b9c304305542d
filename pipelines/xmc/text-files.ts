/** Files of documents, labels and predictions: read piece by piece, `.gz` unpacked, and refused with file, line and column. */
import { createReadStream } from 'node:fs'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import {
  type LabelledDocuments,
  type TextFormatOptions,
  TextFormatReader,
} from '../../operators/xmc/text-format.ts'
import { MillraceError } from '../../schemas/errors.ts'

/** A line takes no more: a small `.gz` must not fill the memory with one that never ends. */
const LONGEST_LINE = 2 ** 28
const LINE_END = 10

/**
 * Labelled documents in the Extreme Classification Repository's text format.
 * @throws MillraceError INVALID_CONFIG (the file cannot be read), MALFORMED_FILE, and as `TextFormatReader`; the text begins with the file
 */
export const readDocuments = (file: string, options: TextFormatOptions = {}): Promise<LabelledDocuments> =>
  named(file, async () => {
    const reader = new TextFormatReader(options)
    for await (const piece of piecesOf(file)) reader.feed(piece)
    return reader.end()
  })

/**
 * Ids of labels, one a line; an empty last line is none.
 * @param count how many there must be
 * @throws MillraceError as `readDocuments`; MALFORMED_FILE where they are not so many, or not different
 */
export const readLabels = (file: string, count: number): Promise<string[]> =>
  named(file, async () => {
    const labels = await linesOf(file)
    const wrong = (line: number, why: string) =>
      new MillraceError('MALFORMED_FILE', `line ${line}, column 1: ${why}`)
    const places = new Map<string, number>()
    for (const [at, label] of labels.entries()) {
      const before = places.get(label)
      if (label === '') throw wrong(at + 1, 'a label without a name')
      if (before !== undefined)
        throw wrong(at + 1, `${JSON.stringify(label)} is there already, in line ${before}`)
      places.set(label, at + 1)
    }
    if (labels.length !== count) throw wrong(labels.length + 1, `${labels.length} labels, not ${count}`)
    return labels
  })

/** All lines of a file, without their ends. @throws as `piecesOf` */
export const linesOf = async (file: string): Promise<string[]> => {
  const decoder = new TextDecoder()
  const lines: string[] = []
  let open = ''
  for await (const piece of piecesOf(file)) {
    const parts = (open + decoder.decode(piece, { stream: true })).split('\n')
    open = parts.pop()!
    for (const part of parts) lines.push(withoutReturn(part))
  }
  open += decoder.decode()
  if (open !== '') lines.push(withoutReturn(open))
  return lines
}

/** What `work` gives; its refusals begin with the file's name. */
export const named = async <T>(file: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (error instanceof MillraceError) {
      if (error.message.includes(file)) throw error
      throw new MillraceError(error.code, `${file}, ${error.message}`, { cause: error })
    }
    const { code, message } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    if (/^Z_/.test(code))
      throw new MillraceError('MALFORMED_FILE', `${file}: it is no sound gzip: ${message}`, { cause: error })
    const why = code === 'ENOENT' ? 'there is no such file' : code
    throw new MillraceError('INVALID_CONFIG', `cannot read ${file}: ${why}`, { cause: error })
  }
}

/** The bytes of a file as they come, unpacked where its name ends in `.gz`. */
async function* piecesOf(file: string): AsyncGenerator<Buffer> {
  const out = new PassThrough()
  const source = createReadStream(file, { highWaterMark: 2 ** 18 })
  const done = file.endsWith('.gz')
    ? pipeline(source, createGunzip({ chunkSize: 2 ** 18 }), out)
    : pipeline(source, out)
  // Its failure comes out of the loop as well.
  done.catch(() => {})
  let line = 0
  for await (const piece of out as AsyncIterable<Buffer>) {
    const end = piece.lastIndexOf(LINE_END)
    line = end < 0 ? line + piece.length : piece.length - end
    if (line > LONGEST_LINE)
      throw new MillraceError('MALFORMED_FILE', `${file}: a line takes more than ${LONGEST_LINE} bytes`)
    yield piece
  }
  await done
}

const withoutReturn = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line)
