/**
 * A tagging model as a folder, and back (docs/xmc-models.md): trees and weights as arrays, labels and vectoriser as JSON. Nothing is lost on the way, to the
 * last bit; what is read is held against the hashes and against itself, so that a model that loads can be searched.
 */
import { resolve } from 'node:path'
import type { FolderContents } from '../../infra/models/folder-manifest.ts'
import { type ModelFolder, openModelFolder } from '../../infra/models/model-folder.ts'
import type { ModelStore, Stored } from '../../infra/models/store.ts'
import { writeModelFolder } from '../../infra/models/write-folder.ts'
import { tfIdfFrom } from '../../operators/xmc/features/tf-idf.ts'
import { TRANSFORMS } from '../../operators/xmc/inference/transform.ts'
import type { Merge, SearchSettings } from '../../operators/xmc/model.ts'
import { type CsrMatrix, csrMatrix } from '../../operators/xmc/sparse/csr-matrix.ts'
import type { TagModel } from '../../operators/xmc/tag-model.ts'
import { checkTree } from '../../operators/xmc/tree/label-tree.ts'
import { MillraceError } from '../../schemas/errors.ts'

export const XMC_FORMAT = 'millrace-xmc'
/** What is written; all that are read. */
const VERSION = 1

/** `parameters` of model.json. */
interface Parameters {
  readonly features: number
  readonly bias: number
  readonly labels: number
  /** Levels of the tree. */
  readonly levels: number
  readonly search: SearchSettings
  /** How it was trained, or where it came from: told, never read. */
  readonly origin: unknown
}

const MERGES: readonly Merge[] = ['mean', 'max', 'sum']

/**
 * What a model's folder holds.
 * @param origin JSON that says how it was trained or where it came from; for people
 */
export const folderOf = ({ xmc, labels, tfIdf }: TagModel, origin: unknown = null): FolderContents => {
  const { features, bias, tree, weights, copies, search } = xmc
  const parameters: Parameters = {
    features,
    bias,
    labels: xmc.labels,
    levels: weights.length,
    search,
    origin,
  }
  const files: Record<string, FolderContents['files'][string]> = { 'labels.json': json(labels) }
  if (tfIdf !== null) files['tf-idf.json'] = json(tfIdf)
  files['copies.npy'] = copies
  weights.forEach(({ pointers, indices, values }, level) => {
    files[`parents-${level}.npy`] = tree.parents[level]!
    files[`weights-${level}.pointers.npy`] = pointers
    files[`weights-${level}.indices.npy`] = indices
    files[`weights-${level}.values.npy`] = values
  })
  return { format: XMC_FORMAT, version: VERSION, parameters, files }
}

/**
 * The model of a folder, all of it read and checked.
 * @throws MillraceError SNAPSHOT_MISMATCH (another format or version), SNAPSHOT_CORRUPT, STORE_UNAVAILABLE
 */
export const tagModelOf = async (folder: ModelFolder): Promise<TagModel> => {
  const { features, bias, labels, levels, search } = parametersOf(
    folder.expect({ format: XMC_FORMAT, versions: [VERSION] }),
  )
  const names = await jsonOf(folder, 'labels.json')
  const fitted = folder.names.includes('tf-idf.json') ? await jsonOf(folder, 'tf-idf.json') : null
  const tfIdf = fitted === null ? null : consistent(folder, () => tfIdfFrom(fitted))
  if (tfIdf !== null && tfIdf.features !== features)
    throw corrupt(folder, `the vectoriser has ${tfIdf.features} features, the classifiers ${features}`)
  const parents: Int32Array[] = []
  const weights: CsrMatrix[] = []
  const copies = await folder.array('copies.npy', Int32Array)
  for (let level = 0; level < levels; level++) {
    const above = await folder.array(`parents-${level}.npy`, Int32Array)
    const pointers = await folder.array(`weights-${level}.pointers.npy`, Int32Array)
    const indices = await folder.array(`weights-${level}.indices.npy`, Int32Array)
    const values = await folder.array(`weights-${level}.values.npy`, Float32Array)
    parents.push(above)
    weights.push(consistent(folder, () => csrMatrix(above.length, features + 1, pointers, indices, values)))
  }
  const tree = { parents }
  consistent(folder, () => checkTree(tree))
  const columns = parents.at(-1)!.length
  if (labels + copies.length !== columns || copies.some((label) => !(label >= 0 && label < labels)))
    throw corrupt(folder, `${labels} labels and ${copies.length} copies, of ${columns} columns`)
  if (!isLabels(names, labels)) throw corrupt(folder, `labels.json does not hold ${labels} different names`)
  return { xmc: { features, bias, tree, weights, labels, copies, search }, labels: names, tfIdf }
}

/** Puts a model into the store. @returns its hash, and the bytes of its files @throws MillraceError STORE_UNAVAILABLE */
export const saveXmc = async (
  store: ModelStore,
  model: TagModel,
  origin?: unknown,
): Promise<Stored & { readonly bytes: number }> => {
  const contents = folderOf(model, origin)
  return { ...(await store.putFolder(contents)), bytes: bytesOf(contents) }
}

/**
 * The store's model with this hash.
 * @throws MillraceError SNAPSHOT_CORRUPT where there is none, otherwise as `tagModelOf`
 */
export const loadXmc = async (store: ModelStore, sha256: string): Promise<TagModel> => {
  const folder = await store.getFolder(sha256)
  if (folder === null)
    throw new MillraceError('SNAPSHOT_CORRUPT', `model store: ${store.directory} holds no model ${sha256}`)
  return tagModelOf(folder)
}

/**
 * Writes a model's folder to a path of one's own, whole or not at all.
 * @param replace whether a model that is there gives way
 * @returns its hash, and the bytes of its files
 * @throws MillraceError INVALID_CONFIG where something is there that may not be replaced, STORE_UNAVAILABLE
 */
export const saveTagModel = async (
  path: string,
  model: TagModel,
  { origin, replace = false }: { readonly origin?: unknown; readonly replace?: boolean } = {},
): Promise<{ readonly sha256: string; readonly bytes: number }> => {
  const contents = folderOf(model, origin)
  const { sha256 } = await writeModelFolder(resolve(path), contents, { replace })
  return { sha256, bytes: bytesOf(contents) }
}

/**
 * The model of a folder.
 * @throws MillraceError INVALID_CONFIG where there is none, otherwise as `tagModelOf`
 */
export const loadTagModel = async (path: string): Promise<TagModel> => {
  const folder = await openModelFolder(resolve(path))
  if (folder === null) throw new MillraceError('INVALID_CONFIG', `there is no model ${path}`)
  return tagModelOf(folder)
}

const bytesOf = ({ files }: FolderContents): number =>
  Object.values(files).reduce((sum, { byteLength }) => sum + byteLength, 0)

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))

const jsonOf = async (folder: ModelFolder, name: string): Promise<unknown> => {
  const bytes = await folder.read(name)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw corrupt(folder, `${name} is not JSON`)
  }
}

const parametersOf = (folder: ModelFolder): Parameters => {
  const parameters = (folder.parameters ?? {}) as Partial<Parameters>
  const { features = -1, bias = Number.NaN, labels = -1, levels = 0, search } = parameters
  const { beam = 0, transform = '', merge } = (search ?? {}) as Partial<SearchSettings>
  const rules: readonly (readonly [string, boolean])[] = [
    ['features', isCount(features, 0)],
    ['bias', Number.isFinite(bias)],
    ['labels', isCount(labels, 1)],
    ['levels', isCount(levels, 1)],
    ['search.beam', isCount(beam, 1)],
    ['search.transform', Object.hasOwn(TRANSFORMS, transform)],
    ['search.merge', MERGES.includes(merge as Merge)],
  ]
  for (const [name, holds] of rules) if (!holds) throw corrupt(folder, `parameters.${name} makes no sense`)
  return parameters as Parameters
}

const isCount = (value: unknown, least: number): boolean =>
  Number.isInteger(value) && (value as number) >= least && (value as number) < 2 ** 31 - 1

const isLabels = (names: unknown, count: number): names is string[] =>
  Array.isArray(names) &&
  names.length === count &&
  names.every((name) => typeof name === 'string') &&
  new Set(names).size === count

/** A refusal of what was read, as damage of the folder. */
const consistent = <T>(folder: ModelFolder, work: () => T): T => {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    throw corrupt(folder, error.message)
  }
}

const corrupt = ({ path }: ModelFolder, why: string): MillraceError =>
  new MillraceError('SNAPSHOT_CORRUPT', `model folder ${path}: ${why}`)
