/**
 * The model store: a directory of files named by the SHA-256 of their bytes. What a record says of a file can thus be held against the
 * file, and equal bytes lie there once. It only keeps; which bytes are in force, records in Kafka say.
 *
 * A file is there whole or not at all, also after a power cut: it is written under a temporary name in the same folder, synced, renamed, and
 * the folder synced. Any number of processes may share the folder. A put costs one hash of the bytes and two syncs.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MillraceError } from '../../schemas/errors.ts'

export interface Stored {
  /** `file://…`, for people and other programs. */
  readonly uri: string
  /** Hex. */
  readonly sha256: string
}

export interface ModelStore {
  readonly directory: string
  /** Keeps bytes for good; bytes that are there already are left, damaged ones mended. @throws MillraceError STORE_UNAVAILABLE */
  put(bytes: Uint8Array): Promise<Stored>
  /**
   * The bytes with this hash; null where there are none.
   * @throws MillraceError SNAPSHOT_CORRUPT where the file holds something else, or this is no hash; STORE_UNAVAILABLE
   */
  get(sha256: string): Promise<Buffer | null>
  /** Whether there was such a file to remove. @throws MillraceError STORE_UNAVAILABLE */
  remove(sha256: string): Promise<boolean>
  /** The hashes of all files, sorted. @throws MillraceError STORE_UNAVAILABLE */
  list(): Promise<string[]>
}

/** A temporary file lives for seconds; an older one belongs to a process that has died. */
const ABANDONED_MS = 3_600_000
const TEMPORARY = /^\.[0-9a-f]{64}\.[0-9a-f]+\.tmp$/
const HASH = /^[0-9a-f]{64}$/

/**
 * Opens the store of a directory, which is made by the first put. What processes that died have left half written an hour ago or more is
 * removed. Never fails: a directory that cannot be used says so when it is.
 */
export const openModelStore = async (directory: string): Promise<ModelStore> => {
  const store = new DirectoryStore(resolve(directory))
  await store.removeAbandoned().catch(() => {})
  return store
}

class DirectoryStore implements ModelStore {
  readonly directory: string

  constructor(directory: string) {
    this.directory = directory
  }

  async put(bytes: Uint8Array): Promise<Stored> {
    await mkdir(this.directory, { recursive: true }).catch((error: unknown) => {
      throw unavailable(this.directory, error)
    })
    const sha256 = hashOf(bytes)
    const path = join(this.directory, sha256)
    const stored = { uri: pathToFileURL(path).href, sha256 }
    if (await this.has(sha256)) return stored
    const temporary = join(this.directory, `.${sha256}.${randomBytes(8).toString('hex')}.tmp`)
    try {
      await writeSynced(temporary, bytes)
      await rename(temporary, path)
      await syncFolder(this.directory)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {})
      throw unavailable(path, error)
    }
    return stored
  }

  async get(sha256: string): Promise<Buffer | null> {
    if (!HASH.test(sha256)) throw corrupt(`"${sha256}" is no SHA-256`)
    const path = join(this.directory, sha256)
    const bytes = await absentAs(null, path, () => readFile(path))
    if (bytes === null) return null
    const found = hashOf(bytes)
    if (found !== sha256) throw corrupt(`${path} holds ${bytes.length} bytes whose SHA-256 is ${found}`)
    return bytes
  }

  async remove(sha256: string): Promise<boolean> {
    if (!HASH.test(sha256)) return false
    const path = join(this.directory, sha256)
    return absentAs(false, path, () => rm(path).then(() => true))
  }

  async list(): Promise<string[]> {
    const names = await absentAs([], this.directory, () => readdir(this.directory))
    return names.filter((name) => HASH.test(name)).sort()
  }

  async removeAbandoned(): Promise<void> {
    for (const name of await readdir(this.directory)) {
      if (!TEMPORARY.test(name)) continue
      const path = join(this.directory, name)
      const { mtimeMs } = await stat(path)
      if (Date.now() - mtimeMs > ABANDONED_MS) await rm(path, { force: true })
    }
  }

  /** Whether the very bytes are there; a damaged file is none. */
  private async has(sha256: string): Promise<boolean> {
    try {
      return (await this.get(sha256)) !== null
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'SNAPSHOT_CORRUPT') return false
      throw error
    }
  }
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const writeSynced = async (path: string, bytes: Uint8Array): Promise<void> => {
  const file = await open(path, 'wx')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes the names in a folder durable. */
const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** What `work` gives, `absent` where the path is not there. */
const absentAs = async <T>(absent: T, path: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return absent
    throw unavailable(path, error)
  }
}

const corrupt = (why: string) => new MillraceError('SNAPSHOT_CORRUPT', `model store: ${why}`)

const unavailable = (path: string, cause: unknown) => {
  const { code, message } = cause as NodeJS.ErrnoException
  return new MillraceError('STORE_UNAVAILABLE', `model store: ${path}: ${code ?? message}`, { cause })
}
