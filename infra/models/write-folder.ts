/** Writes a model's folder (model-folder.ts): whole or not at all. */
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MillraceError } from '../../schemas/errors.ts'
import { absentAs, syncFolder, temporaryBeside, unavailable, writeSynced } from './durable.ts'
import { type FileEntry, type FolderContents, isFileName, MANIFEST, manifestOf } from './folder-manifest.ts'
import { dtypeOf, npyHeader } from './npy.ts'

/**
 * Writes a folder under a temporary name in `parent`, synced to its last byte: to be moved to its place by `settle`.
 * @throws MillraceError STORE_UNAVAILABLE; nothing is left behind then
 */
export const writeFolder = async (
  parent: string,
  contents: FolderContents,
): Promise<{ readonly temporary: string; readonly sha256: string }> => {
  const temporary = temporaryBeside(join(parent, 'folder'))
  try {
    await mkdir(parent, { recursive: true })
    await mkdir(temporary)
    const files: Record<string, FileEntry> = {}
    for (const [name, data] of Object.entries(contents.files)) {
      if (!isFileName(name, !(data instanceof Uint8Array)))
        throw new Error(`a model's file cannot be named ${JSON.stringify(name)}`)
      const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
      files[name] =
        data instanceof Uint8Array
          ? await writeSynced(join(temporary, name), bytes)
          : {
              ...(await writeSynced(join(temporary, name), npyHeader(data), bytes)),
              dtype: dtypeOf(data),
              shape: [data.length],
            }
    }
    const { sha256 } = await writeSynced(join(temporary, MANIFEST), manifestOf(contents, files))
    await syncFolder(temporary)
    return { temporary, sha256 }
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {})
    throw unavailable(temporary, error)
  }
}

/**
 * Whether a model may be written to a path: nothing is there, an empty folder, or a model that may be replaced; anything else never is.
 * @throws MillraceError INVALID_CONFIG where it may not, STORE_UNAVAILABLE
 */
export const checkPlace = async (path: string, { replace }: { readonly replace: boolean }): Promise<void> => {
  const taken = await absentAs(null, path, () => readdir(path))
  const model = taken?.includes(MANIFEST) ?? false
  if (taken !== null && taken.length > 0 && !(replace && model))
    throw new MillraceError('INVALID_CONFIG', `${path} is there already${model ? ', a model' : ''}`)
}

/**
 * Writes a folder to a path of one's own.
 * @throws MillraceError as `checkPlace`
 */
export const writeModelFolder = async (
  path: string,
  contents: FolderContents,
  options: { readonly replace: boolean },
): Promise<{ readonly sha256: string }> => {
  await checkPlace(path, options)
  const { temporary, sha256 } = await writeFolder(dirname(path), contents)
  await settle(temporary, path, options)
  return { sha256 }
}

/**
 * Moves a written folder to its place.
 * @param replace what lies there gives way and is removed; without it, it is in the way
 * @throws MillraceError STORE_UNAVAILABLE
 */
export const settle = async (
  temporary: string,
  path: string,
  { replace }: { readonly replace: boolean },
): Promise<void> => {
  const aside = temporaryBeside(path)
  try {
    if (replace) await absentAs(undefined, path, () => rename(path, aside))
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {})
    throw unavailable(path, error)
  } finally {
    await rm(aside, { recursive: true, force: true }).catch(() => {})
  }
}
