/** A text file, plain or gzipped, read line by line in blocks. Memory: a block of the file, and its longest line. */
import { createReadStream, statSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { MillraceError } from '../../schemas/errors.ts'

export interface Lines {
  /** Lines without their ends, some at a time; empty ones left out. */
  readonly lines: readonly string[]
  /** Bytes of the file passed so far, of so many. */
  readonly passed: number
  readonly total: number
}

/** @throws MillraceError INVALID_CONFIG where the file cannot be read, or is damaged */
export async function* linesOf(file: string): AsyncGenerator<Lines, void> {
  try {
    const total = statSync(file).size
    const bytes = createReadStream(file)
    // A failure of either ends the other, and comes out of the last.
    const plain: Readable = file.endsWith('.gz') ? pipeline(bytes, createGunzip(), () => {}) : bytes
    const utf8 = new TextDecoder('utf-8', { ignoreBOM: false })
    let rest = ''
    for await (const chunk of plain) {
      const parts = (rest + utf8.decode(chunk as Uint8Array, { stream: true })).split('\n')
      rest = parts.pop()!
      yield { lines: withoutEnds(parts), passed: bytes.bytesRead, total }
    }
    yield { lines: withoutEnds([rest + utf8.decode()]), passed: total, total }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === undefined || error instanceof MillraceError) throw error
    const why = code === 'ENOENT' ? 'there is no such file' : message
    throw new MillraceError('INVALID_CONFIG', `cannot read ${file}: ${why}`)
  }
}

const withoutEnds = (lines: readonly string[]): string[] =>
  lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line)).filter((line) => line !== '')
