/** Files and folders that are there whole or not at all: written under a temporary name, synced, renamed, the parent synced. */
import { createHash, randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { MillraceError } from '../../schemas/errors.ts'

/** A piece that is written, read and hashed at a time. */
export const PIECE = 2 ** 22

/** A name in the same folder that nobody else takes. */
export const temporaryBeside = (path: string): string =>
  join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.tmp`)

/** Writes a new file, synced. @returns its length, and its SHA-256 in hex */
export const writeSynced = async (
  path: string,
  ...parts: readonly Uint8Array[]
): Promise<{ bytes: number; sha256: string }> => {
  const file = await open(path, 'wx')
  const hash = createHash('sha256')
  let bytes = 0
  try {
    for (const part of parts)
      for (let at = 0; at < part.length; at += PIECE) {
        const piece = part.subarray(at, at + PIECE)
        hash.update(piece)
        await file.writeFile(piece)
        bytes += piece.length
      }
    await file.sync()
  } finally {
    await file.close()
  }
  return { bytes, sha256: hash.digest('hex') }
}

/** Makes the names in a folder durable. */
export const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** What `work` gives, `absent` where the path is not there. @throws MillraceError STORE_UNAVAILABLE */
export const absentAs = async <T>(absent: T, path: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return absent
    throw unavailable(path, error)
  }
}

/** A file system's failure; a MillraceError as it is, and a fault of millrace's own too. */
export const unavailable = (path: string, cause: unknown): unknown => {
  const { code, message } = cause as NodeJS.ErrnoException
  if (cause instanceof MillraceError || code === undefined) return cause
  return new MillraceError('STORE_UNAVAILABLE', `model store: ${path}: ${code ?? message}`, { cause })
}
