/** `model.json`: what a model's folder holds, and the length and hash of each of its files. */
import { MillraceError } from '../../schemas/errors.ts'
import type { NumberArray } from './npy.ts'

export interface FolderContents {
  /** What kind of model, `millrace-xmc`. */
  readonly format: string
  /** Of the format, from 1. */
  readonly version: number
  /** JSON. */
  readonly parameters: unknown
  /** By name; a number array's ends in `.npy`. */
  readonly files: Readonly<Record<string, Uint8Array | NumberArray>>
}

export interface FileEntry {
  readonly bytes: number
  readonly sha256: string
  /** Of arrays; for people, `.npy` says it again. */
  readonly dtype?: string
  readonly shape?: readonly number[]
}

export const MANIFEST = 'model.json'
/** Read at most. */
export const LARGEST_MANIFEST = 2 ** 24

const NAME = /^[a-z0-9][a-z0-9._-]{0,127}$/
const HASH = /^[0-9a-f]{64}$/

/** Whether a file of a model may be named so: plain, in the folder itself, and `.npy` just where it is an array. */
export const isFileName = (name: string, array: boolean): boolean =>
  NAME.test(name) && name !== MANIFEST && name.endsWith('.npy') === array

export const manifestOf = (contents: FolderContents, files: Readonly<Record<string, FileEntry>>): Buffer => {
  const { format, version, parameters } = contents
  return Buffer.from(`${JSON.stringify({ format, version, parameters, files }, null, 1)}\n`)
}

export interface Manifest extends Omit<FolderContents, 'files'> {
  readonly files: ReadonlyMap<string, FileEntry>
}

/** @throws MillraceError SNAPSHOT_CORRUPT */
export const readManifest = (path: string, bytes: Buffer): Manifest => {
  let json: unknown
  try {
    json = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw corrupt(path, `${MANIFEST} is not JSON`)
  }
  const { format, version, parameters, files } = (json ?? {}) as Record<string, unknown>
  if (
    typeof format !== 'string' ||
    typeof version !== 'number' ||
    typeof files !== 'object' ||
    files === null
  )
    throw corrupt(path, `${MANIFEST} does not say format, version and files`)
  const entries = Object.entries(files as Record<string, Partial<FileEntry> | null>).map(([name, entry]) => {
    const { bytes: size = -1, sha256 = '' } = entry ?? {}
    if (!NAME.test(name) || !Number.isSafeInteger(size) || size < 0 || !HASH.test(sha256))
      throw corrupt(path, `${MANIFEST} says nothing sound of the file ${JSON.stringify(name)}`)
    return [name, { bytes: size, sha256 }] as const
  })
  return { format, version, parameters, files: new Map<string, FileEntry>(entries) }
}

export const corrupt = (path: string, why: string) =>
  new MillraceError('SNAPSHOT_CORRUPT', `model folder ${path}: ${why}`)
