/**
 * The model store: a directory of files named by the SHA-256 of their bytes, and of folders named by that of their `model.json` (model-folder.ts) with
 * `.model` behind it. What a record says of a file can thus be held against the file, and equal bytes lie there once. It only keeps; which bytes are in
 * force, records in Kafka say.
 *
 * A file is there whole or not at all, also after a power cut: it is written under a temporary name in the same folder, synced, renamed, and
 * the folder synced. Any number of processes may share the folder. A put costs one hash of the bytes and two syncs.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MillraceError } from '../../schemas/errors.ts'
import { absentAs, syncFolder, temporaryBeside, unavailable, writeSynced } from './durable.ts'
import type { FolderContents } from './folder-manifest.ts'
import { type ModelFolder, openModelFolder } from './model-folder.ts'
import { settle, writeFolder } from './write-folder.ts'

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
  /** Keeps a folder for good; one that is there already is left, a damaged one mended. @throws MillraceError STORE_UNAVAILABLE */
  putFolder(contents: FolderContents): Promise<Stored>
  /**
   * The folder with this hash, its files still to be read; null where there is none.
   * @throws MillraceError SNAPSHOT_CORRUPT where `model.json` is not that, or this is no hash; STORE_UNAVAILABLE
   */
  getFolder(sha256: string): Promise<ModelFolder | null>
  /** Whether there was such a folder to remove. @throws MillraceError STORE_UNAVAILABLE */
  removeFolder(sha256: string): Promise<boolean>
  /** The hashes of all folders, sorted. @throws MillraceError STORE_UNAVAILABLE */
  listFolders(): Promise<string[]>
}

/** A temporary file lives for seconds; an older one belongs to a process that has died. */
const ABANDONED_MS = 3_600_000
const TEMPORARY = /^\.(?:[0-9a-f]{64}(?:\.model)?|folder)\.[0-9a-f]+\.tmp$/
const HASH = /^[0-9a-f]{64}$/
const FOLDER = '.model'

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
    const temporary = temporaryBeside(path)
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

  async putFolder(contents: FolderContents): Promise<Stored> {
    const { temporary, sha256 } = await writeFolder(this.directory, contents)
    const path = this.folderPath(sha256)
    const stored = { uri: pathToFileURL(path).href, sha256 }
    const found = await this.stateOf(sha256)
    if (found === 'sound') {
      await rm(temporary, { recursive: true, force: true }).catch(() => {})
      return stored
    }
    try {
      await settle(temporary, path, { replace: found === 'damaged' })
    } catch (error) {
      // Another process may have put the same meanwhile.
      if ((await this.stateOf(sha256)) !== 'sound') throw error
    }
    return stored
  }

  async getFolder(sha256: string): Promise<ModelFolder | null> {
    if (!HASH.test(sha256)) throw corrupt(`"${sha256}" is no SHA-256`)
    return openModelFolder(this.folderPath(sha256), sha256)
  }

  async removeFolder(sha256: string): Promise<boolean> {
    if (!HASH.test(sha256)) return false
    const path = this.folderPath(sha256)
    // Renamed first: half a folder must not lie under its name.
    const aside = temporaryBeside(path)
    return absentAs(false, path, async () => {
      await rename(path, aside)
      await rm(aside, { recursive: true })
      return true
    })
  }

  async listFolders(): Promise<string[]> {
    const names = await absentAs([], this.directory, () => readdir(this.directory))
    return names
      .filter((name) => name.endsWith(FOLDER) && HASH.test(name.slice(0, -FOLDER.length)))
      .map((name) => name.slice(0, -FOLDER.length))
      .sort()
  }

  async removeAbandoned(): Promise<void> {
    for (const name of await readdir(this.directory)) {
      if (!TEMPORARY.test(name)) continue
      const path = join(this.directory, name)
      const { mtimeMs } = await stat(path)
      if (Date.now() - mtimeMs > ABANDONED_MS) await rm(path, { recursive: true, force: true })
    }
  }

  /** Whether the very bytes are there; a damaged file is none. */
  private async has(sha256: string): Promise<boolean> {
    return (await this.get(sha256).catch(damagedAs('damaged'))) instanceof Buffer
  }

  private async stateOf(sha256: string): Promise<'absent' | 'sound' | 'damaged'> {
    const verified = async () => {
      const folder = await this.getFolder(sha256)
      await folder?.verify()
      return folder === null ? 'absent' : 'sound'
    }
    return verified().catch(damagedAs('damaged'))
  }

  private folderPath(sha256: string): string {
    return join(this.directory, `${sha256}${FOLDER}`)
  }
}

/** Damage as a value. @throws what is none */
const damagedAs =
  <T>(damaged: T) =>
  (error: unknown): T => {
    if (error instanceof MillraceError && error.code === 'SNAPSHOT_CORRUPT') return damaged
    throw error
  }

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const corrupt = (why: string) => new MillraceError('SNAPSHOT_CORRUPT', `model store: ${why}`)
