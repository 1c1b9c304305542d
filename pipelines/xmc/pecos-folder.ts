/**
 * Models that others trained: an XR-Linear folder as PECOS 1.2 saves it (`XLinearModel.save`), read into a model of millrace's own. Its classifiers are taken
 * bit for bit, so that both give equal labels, and scores that differ by float32's rounding.
 *
 * PECOS keeps of each level the weights (features, and the bias behind them, by nodes) and the code matrix (nodes by nodes of the level above), by columns.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import type { Transform, XmcModel } from '../../operators/xmc/model.ts'
import type { CsrMatrix } from '../../operators/xmc/sparse/csr-matrix.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { readColumns } from './npz.ts'

/** PECOS's names; those of truth values are from before it had any. `l4-hinge` has none here. */
const TRANSFORMS: Readonly<Record<string, Transform>> = {
  'l1-hinge': 'l1-hinge',
  'l2-hinge': 'l2-hinge',
  'l3-hinge': 'l3-hinge',
  sigmoid: 'sigmoid',
  'log-l1-hinge': 'log-l1-hinge',
  'log-l2-hinge': 'log-l2-hinge',
  'log-l3-hinge': 'log-l3-hinge',
  'log-sigmoid': 'log-sigmoid',
  noop: 'identity',
  true: 'l3-hinge',
  false: 'identity',
  null: 'identity',
}

const count = z
  .int()
  .min(1)
  .max(2 ** 31 - 2)
const rankerSchema = z.object({
  model: z.literal('HierarchicalMLModel'),
  depth: count.max(64),
  is_mmap: z.boolean().default(false),
})
const levelSchema = z.object({
  model: z.literal('MLModel'),
  bias: z.number(),
  nr_features: count,
  nr_labels: count,
  nr_codes: count,
  is_mmap: z.boolean().default(false),
  // What PECOS takes where nothing is said.
  pred_kwargs: z
    .object({
      only_topk: count.nullable().default(20),
      post_processor: z.union([z.string(), z.boolean(), z.null()]).default('l3-hinge'),
    })
    .prefault({}),
})
type LevelParameters = z.output<typeof levelSchema>

export interface PecosOptions {
  /** Nodes kept of each inner level; as the folder says, where left out. */
  readonly beam?: number
  /** As the folder says, where left out. */
  readonly transform?: Transform
}

/**
 * The model of a PECOS folder: the one that holds `ranker/`, or that one itself.
 *
 * @throws MillraceError INVALID_CONFIG (no such folder or file), SNAPSHOT_CORRUPT (damaged, or parts that do not fit), SNAPSHOT_MISMATCH (something else, or
 *   with settings that are not known here or differ between levels)
 */
export const readPecos = (folder: string, options: PecosOptions = {}): XmcModel => {
  const ranker = isFolder(join(folder, 'ranker')) ? join(folder, 'ranker') : folder
  const { depth, is_mmap } = parameters(join(ranker, 'param.json'), rankerSchema)
  if (is_mmap) throw mapped(ranker)
  const levels: LevelParameters[] = []
  const parents: Int32Array[] = []
  const weights: CsrMatrix[] = []
  for (let t = 0; t < depth; t++) {
    const path = join(ranker, `${t}.model`)
    const level = parameters(join(path, 'param.json'), levelSchema)
    if (level.is_mmap) throw mapped(path)
    const above = levels.at(-1)
    if (level.nr_codes !== (above?.nr_labels ?? 1))
      throw mismatch(path, `${level.nr_codes} nodes above, where there are ${above?.nr_labels ?? 1}`)
    if (above !== undefined && (level.bias !== above.bias || level.nr_features !== above.nr_features))
      throw mismatch(path, 'bias or features differ from those of the level above')
    levels.push(level)
    parents.push(readParents(join(path, 'C.npz'), level))
    weights.push(readWeights(join(path, 'W.npz'), level))
  }
  const { nr_features: features, nr_labels: labels, bias } = levels.at(-1)!
  const search = {
    beam: options.beam ?? beamOf(ranker, levels),
    transform: options.transform ?? transformOf(ranker, levels),
    merge: 'mean',
  } as const
  // A bias that is not above 0 is none, and has no weights.
  return {
    features,
    bias: Math.max(0, bias),
    tree: { parents },
    weights,
    labels,
    copies: new Int32Array(0),
    search,
  }
}

const readWeights = (path: string, { bias, nr_features, nr_labels }: LevelParameters): CsrMatrix => {
  const matrix = readColumns(path)
  const features = nr_features + (bias > 0 ? 1 : 0)
  if (matrix.rows !== nr_labels || matrix.columns !== features)
    throw corrupt(path, `${matrix.columns} × ${matrix.rows} weights, not ${features} × ${nr_labels}`)
  return { ...matrix, columns: nr_features + 1 }
}

const readParents = (path: string, { nr_codes, nr_labels }: LevelParameters): Int32Array => {
  const codes = readColumns(path)
  if (codes.rows !== nr_codes || codes.columns !== nr_labels)
    throw corrupt(path, `${codes.columns} × ${codes.rows} codes, not ${nr_labels} × ${nr_codes}`)
  const parents = new Int32Array(nr_labels).fill(-1)
  for (let code = 0; code < codes.rows; code++)
    for (let k = codes.pointers[code]!; k < codes.pointers[code + 1]!; k++) {
      if (codes.values[k] === 0) continue
      const node = codes.indices[k]!
      if (parents[node] !== -1)
        throw mismatch(
          path,
          `node ${node} lies below ${parents[node]} and ${code}: it needs a column of its own in each`,
        )
      parents[node] = code
    }
  const orphan = parents.indexOf(-1)
  if (orphan >= 0) throw corrupt(path, `node ${orphan} lies below none`)
  return parents
}

/** Of the inner levels; that of the last is how many labels are wanted. */
const beamOf = (path: string, levels: readonly LevelParameters[]): number => {
  const beams = new Set(levels.slice(0, -1).map(({ pred_kwargs }) => pred_kwargs.only_topk))
  if (beams.size === 0) return 1
  const [beam = null] = beams
  if (beams.size === 1 && beam !== null) return beam
  throw mismatch(path, `its levels keep ${[...beams].join(', ')} nodes: say a beam`)
}

const transformOf = (path: string, levels: readonly LevelParameters[]): Transform => {
  const names = new Set(levels.map(({ pred_kwargs }) => String(pred_kwargs.post_processor)))
  const [name = ''] = names
  const transform = Object.hasOwn(TRANSFORMS, name) ? TRANSFORMS[name] : undefined
  if (names.size === 1 && transform !== undefined) return transform
  throw mismatch(path, `it was made for the post-processor ${[...names].join(', ')}: say a transform`)
}

/** @throws MillraceError INVALID_CONFIG, SNAPSHOT_CORRUPT, SNAPSHOT_MISMATCH */
const parameters = <T>(path: string, schema: z.ZodType<T>): T => {
  let json: unknown
  try {
    json = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    if (cause instanceof SyntaxError) throw corrupt(path, 'it is not JSON')
    const { code } = cause as NodeJS.ErrnoException
    throw new MillraceError('INVALID_CONFIG', `cannot read ${path}: ${code}`, { cause })
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw mismatch(path, `${issue?.path.join('.') || 'it'}: ${issue?.message}`)
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

const mapped = (path: string) =>
  mismatch(path, 'it is compiled for memory mapping: bring the folder that it was made from')

const corrupt = (path: string, why: string) => new MillraceError('SNAPSHOT_CORRUPT', `${path}: ${why}`)

const mismatch = (path: string, why: string) => new MillraceError('SNAPSHOT_MISMATCH', `${path}: ${why}`)
