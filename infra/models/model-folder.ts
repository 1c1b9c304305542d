/**
 * A model as a folder: `model.json`, and the files that it names, each with its length and SHA-256; arrays are `.npy`. The SHA-256 of `model.json` thus
 * stands for all of it. What lies in the files is for others to say: here are bytes and arrays.
 *
 * A folder is there whole or not at all, also after a power cut: it is written under a temporary name beside its place, synced, renamed, and the parent
 * synced. Each file is read when it is asked for, straight into its array, and held against its hash as it passes; Node can map no file into memory.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MillraceError } from '../../schemas/errors.ts'
import { absentAs, PIECE, unavailable } from './durable.ts'
import { corrupt, type FileEntry, LARGEST_MANIFEST, MANIFEST, readManifest } from './folder-manifest.ts'
import { dtypeOf, LONGEST_HEADER, type NumberArray, readNpyHeader } from './npy.ts'

/** What a reader expects of a folder. */
export interface ExpectedFolder {
  readonly format: string
  /** The versions that are read. */
  readonly versions: readonly number[]
}

/** A folder whose `model.json` is sound; its files have not been looked at. */
export class ModelFolder {
  readonly path: string
  readonly sha256: string
  readonly format: string
  readonly version: number
  /** JSON as it was given; not looked at here. */
  readonly parameters: unknown
  readonly #files: ReadonlyMap<string, FileEntry>

  constructor(path: string, manifest: Buffer) {
    this.path = path
    this.sha256 = createHash('sha256').update(manifest).digest('hex')
    const { format, version, parameters, files } = readManifest(path, manifest)
    this.format = format
    this.version = version
    this.parameters = parameters
    this.#files = files
  }

  get uri(): string {
    return pathToFileURL(this.path).href
  }

  get names(): string[] {
    return [...this.#files.keys()]
  }

  /** Of all files together. */
  get bytes(): number {
    return [...this.#files.values()].reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /**
   * Refuses another format, or a version that is not read.
   * @throws MillraceError SNAPSHOT_MISMATCH
   */
  expect({ format, versions }: ExpectedFolder): this {
    if (this.format !== format)
      throw mismatch(this.path, `it holds a model of format ${JSON.stringify(this.format)}, not ${format}`)
    if (!versions.includes(this.version))
      throw mismatch(this.path, `it has version ${this.version} of ${format}; ${versions.join(', ')} is read`)
    return this
  }

  /** The bytes of a file. @throws MillraceError SNAPSHOT_CORRUPT, STORE_UNAVAILABLE */
  async read(name: string): Promise<Buffer> {
    const entry = this.#entry(name)
    return this.#whole(name, entry, async (file) => {
      const bytes = Buffer.allocUnsafeSlow(entry.bytes)
      return { value: bytes, sha256: await readInto(file, [bytes]) }
    })
  }

  /** A file's array. @throws MillraceError SNAPSHOT_CORRUPT (also where it is of another type), STORE_UNAVAILABLE */
  async array<T extends NumberArray>(name: string, Kind: new (length: number) => T): Promise<T> {
    const entry = this.#entry(name)
    const wrong = (why: string) => corrupt(this.path, `${name}: ${why}`)
    return this.#whole(name, entry, async (file) => {
      const prefix = Buffer.alloc(Math.min(entry.bytes, LONGEST_HEADER))
      await readInto(file, [prefix])
      const header = readNpyHeader(prefix, entry.bytes, wrong)
      const dtype = dtypeOf(new Kind(0))
      if (header.dtype !== dtype || header.shape.length !== 1)
        throw wrong(`(${header.shape.join(', ')}) of ${header.dtype} where a row of ${dtype} is expected`)
      const array = new Kind(header.count)
      const bytes = Buffer.from(array.buffer)
      const sha256 = await readInto(file, [prefix.subarray(0, header.start), bytes])
      return { value: array, sha256 }
    })
  }

  /** Reads all files. @throws MillraceError SNAPSHOT_CORRUPT, STORE_UNAVAILABLE */
  async verify(): Promise<void> {
    const piece = Buffer.allocUnsafeSlow(PIECE)
    for (const [name, entry] of this.#files)
      await this.#whole(name, entry, async (file) => {
        const parts = Array.from({ length: Math.ceil(entry.bytes / PIECE) }, (_, at) =>
          piece.subarray(0, Math.min(PIECE, entry.bytes - at * PIECE)),
        )
        return { value: undefined, sha256: await readInto(file, parts) }
      })
  }

  #entry(name: string): FileEntry {
    const entry = this.#files.get(name)
    if (entry === undefined) throw corrupt(this.path, `${MANIFEST} names no ${name}`)
    return entry
  }

  /** What `work` gives of an open file whose length is right, once its hash is, too. */
  async #whole<T>(
    name: string,
    entry: FileEntry,
    work: (file: FileHandle) => Promise<{ value: T; sha256: string }>,
  ): Promise<T> {
    const path = join(this.path, name)
    const file = await absentAs(null, path, () => open(path, 'r'))
    if (file === null) throw corrupt(this.path, `${name} is missing`)
    try {
      const { size } = await file.stat()
      if (size !== entry.bytes) throw corrupt(this.path, `${name} has ${size} bytes, not ${entry.bytes}`)
      const { value, sha256 } = await work(file)
      if (sha256 !== entry.sha256) throw corrupt(this.path, `the SHA-256 of ${name} is ${sha256}`)
      return value
    } catch (error) {
      throw unavailable(path, error)
    } finally {
      await file.close()
    }
  }
}

/**
 * Opens a folder by its `model.json`; null where there is no folder.
 * @param sha256 what that file's hash is to be; left out, whatever it is
 * @throws MillraceError SNAPSHOT_CORRUPT, STORE_UNAVAILABLE
 */
export const openModelFolder = async (path: string, sha256?: string): Promise<ModelFolder | null> => {
  const folder = await absentAs(null, path, () => open(path, 'r'))
  if (folder === null) return null
  await folder.close()
  const manifest = join(path, MANIFEST)
  const file = await absentAs(null, manifest, () => open(manifest, 'r'))
  if (file === null) throw corrupt(path, `there is no ${MANIFEST}`)
  try {
    const { size } = await file.stat()
    if (size > LARGEST_MANIFEST) throw corrupt(path, `${MANIFEST} has ${size} bytes`)
    const bytes = Buffer.allocUnsafeSlow(size)
    const found = await readInto(file, [bytes])
    if (sha256 !== undefined && found !== sha256)
      throw corrupt(path, `the SHA-256 of ${MANIFEST} is ${found}`)
    return new ModelFolder(path, bytes)
  } catch (error) {
    throw unavailable(manifest, error)
  } finally {
    await file.close()
  }
}

/** Fills buffers from the file's first byte on; the SHA-256 of what was read. */
const readInto = async (file: FileHandle, parts: readonly Buffer[]): Promise<string> => {
  const hash = createHash('sha256')
  let position = 0
  for (const part of parts)
    for (let at = 0; at < part.length; ) {
      const { bytesRead } = await file.read(part, at, Math.min(PIECE, part.length - at), position)
      if (bytesRead === 0) throw new MillraceError('SNAPSHOT_CORRUPT', 'a file was cut while it was read')
      hash.update(part.subarray(at, at + bytesRead))
      at += bytesRead
      position += bytesRead
    }
  return hash.digest('hex')
}

const mismatch = (path: string, why: string) =>
  new MillraceError('SNAPSHOT_MISMATCH', `model folder ${path}: ${why}`)
