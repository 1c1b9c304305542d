/** What `millrace xmc` does with files: train, predict, evaluate, import. Results to standard output, progress to standard error. */
import { createWriteStream, statSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { checkPlace } from '../../infra/models/write-folder.ts'
import {
  inversePropensities,
  type RankedLabels,
  rankingMetrics,
} from '../../operators/xmc/evaluation/ranking-metrics.ts'
import { BeamSearch } from '../../operators/xmc/inference/beam-search.ts'
import type { BatchPredictions } from '../../operators/xmc/inference/predictions.ts'
import type { XmcModel } from '../../operators/xmc/model.ts'
import type { CsrMatrix } from '../../operators/xmc/sparse/csr-matrix.ts'
import type { TagModel } from '../../operators/xmc/tag-model.ts'
import { clusterCount } from '../../operators/xmc/tree/label-tree.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { say, table } from '../commands/output.ts'
import { ProgressLine } from '../commands/progress-line.ts'
import type { EvaluateArguments, ImportArguments, PredictArguments, TrainArguments } from './arguments.ts'
import { loadTagModel, saveTagModel } from './model-folder.ts'
import { readPecos } from './pecos-folder.ts'
import { formatPredictions, predictionLines, readPredictions } from './predictions-file.ts'
import { readDocuments, readLabels } from './text-files.ts'
import { type ModelSettings, trainModel } from './train-model.ts'

/** Documents that are predicted between two looks at the progress. */
const BATCH = 2_000

/** @throws MillraceError as reading, training and writing do */
export const train = async (file: string, path: string, options: TrainArguments): Promise<void> => {
  const { normalise, labels, threads, json, replace = false } = options
  const started = performance.now()
  await checkPlace(path, { replace })
  const documents = await readDocuments(file, { normalise })
  const ids = await labelIds(labels, documents.Y.columns)
  const settings = settingsOf(options)
  const progress = new ProgressLine(process.stderr, 'classifiers')
  const tell = (what: string, done: number, total: number) => progress.show(what, done, total)
  const xmc = await trainModel(documents, settings, { threads, tell }).finally(() => progress.clear())
  const origin = { trained: { documents: documents.X.rows, normalise, ...settings } }
  await saved(
    path,
    { xmc, labels: ids, tfIdf: null },
    { origin, replace, json, documents: documents.X.rows, started },
  )
}

/** @throws MillraceError as reading does; WRONG_DIMENSION where the documents have other features than the model */
export const predict = async (path: string, file: string, options: PredictArguments): Promise<void> => {
  const { top, beam, normalise, out, json } = options
  const model = await loadTagModel(path)
  const { X } = await readDocuments(file, { normalise })
  const found = batches(model.xmc, X, top, beam)
  const lines = json
    ? predictionLines(found, model.labels)
    : formatPredictions(found, X.rows, model.xmc.labels)
  await written(lines, out)
}

/** @throws MillraceError as reading does; WRONG_DIMENSION where predictions, documents and training do not have the same labels */
export const evaluate = async (
  predictor: string,
  file: string,
  options: EvaluateArguments,
): Promise<void> => {
  const { at, train: trainFile, propensity, beam, normalise, json } = options
  const { X, Y } = await readDocuments(file, { normalise })
  let ranked: RankedLabels
  let innerProducts: number | undefined
  if (isFolder(predictor)) {
    const { xmc } = await loadTagModel(predictor)
    sameLabels(predictor, xmc.labels, file, Y.columns)
    const found = ranking(batches(xmc, X, Math.max(...at), beam))
    innerProducts = found.innerProducts / Math.max(1, X.rows)
    ranked = found.ranked
  } else {
    const read = await readPredictions(predictor)
    sameLabels(predictor, read.labelCount, file, Y.columns)
    ranked = read
  }
  let inverse: Float64Array | undefined
  if (trainFile !== undefined) {
    const training = await readDocuments(trainFile, { normalise: false })
    sameLabels(trainFile, training.Y.columns, file, Y.columns)
    inverse = inversePropensities(training.Y, { a: propensity[0], b: propensity[1] })
  }
  const metrics = rankingMetrics(ranked, Y, inverse, at)
  // Without propensities PSP would be another name for what it is not.
  const named = {
    precision: metrics.precision,
    ...(inverse === undefined ? {} : { propensityScored: metrics.propensityScored }),
    recall: metrics.recall,
    ndcg: metrics.ndcg,
  }
  if (json)
    return say(
      JSON.stringify({
        documents: X.rows,
        at,
        ...named,
        ...(innerProducts === undefined ? {} : { innerProducts }),
      }),
    )
  const names = { precision: 'P', propensityScored: 'PSP', recall: 'recall', ndcg: 'nDCG' }
  const rows = Object.entries(named).map(([name, values]) => [
    names[name as keyof typeof names],
    ...values.map((value) => value.toFixed(2)),
  ])
  say(table(['%', ...at.map((k) => `@${k}`)], rows))
  if (innerProducts !== undefined)
    say(`${innerProducts.toFixed(1)} inner products a document in the last level`)
}

/** @throws MillraceError as `readPecos` and writing do */
export const importPecos = async (folder: string, path: string, options: ImportArguments): Promise<void> => {
  const { beam, transform, labels, replace = false, json } = options
  const started = performance.now()
  await checkPlace(path, { replace })
  const xmc = readPecos(folder, {
    ...(beam === undefined ? {} : { beam }),
    ...(transform === undefined ? {} : { transform }),
  })
  const ids = await labelIds(labels, xmc.labels)
  await saved(
    path,
    { xmc, labels: ids, tfIdf: null },
    { origin: { imported: 'PECOS XR-Linear' }, replace, json, started },
  )
}

const settingsOf = (options: TrainArguments): ModelSettings => {
  const { branching, maxLeaf, seed, solver, cost, disentangle, rounds, cap } = options
  const { negatives, eps, maxIterations, threshold, bias, beam, transform, merge } = options
  const C = { positive: cost, negative: cost }
  return {
    tree: { branching, maxLeafSize: maxLeaf, seed },
    training: { loss: solver, C, negatives, eps, maxIterations, threshold, bias, beam, transform, merge },
    disentangle:
      disentangle === undefined
        ? null
        : { clusters: disentangle, rounds, ...(cap === undefined ? {} : { maxClusterSize: cap }) },
  }
}

const labelIds = async (file: string | undefined, count: number): Promise<string[]> =>
  file === undefined ? Array.from({ length: count }, (_, label) => String(label)) : readLabels(file, count)

interface Saving {
  readonly origin: unknown
  readonly replace: boolean
  readonly json?: boolean | undefined
  readonly documents?: number
  readonly started: number
}

/** Writes a model and says what it is. */
const saved = async (
  path: string,
  model: TagModel,
  { origin, replace, json, documents, started }: Saving,
): Promise<void> => {
  const { sha256, bytes } = await saveTagModel(path, model, { origin, replace })
  const { labels, features, copies, tree } = model.xmc
  const clusters = clusterCount(tree)
  const seconds = Number(((performance.now() - started) / 1_000).toFixed(3))
  if (json)
    return say(
      JSON.stringify({
        ...(documents === undefined ? {} : { documents }),
        features,
        labels,
        copies: copies.length,
        clusters,
        bytes,
        seconds,
        sha256,
      }),
    )
  const learned = documents === undefined ? '' : ` from ${documents} documents`
  const overlap = copies.length === 0 ? '' : ` (${copies.length} more columns for labels in several)`
  say(`${labels} labels in ${clusters} clusters${overlap}${learned}, ${features} features, ${seconds} s`)
  say(`${path}: ${bytes} bytes, SHA-256 ${sha256}`)
}

/**
 * Of all documents in their order, in batches: so that the progress is told, and no more than one is in memory.
 * @throws MillraceError WRONG_DIMENSION at once, where the documents have other features than the model
 */
const batches = (
  xmc: XmcModel,
  X: CsrMatrix,
  top: number,
  beam: number | undefined,
): Iterable<BatchPredictions> => {
  if (X.columns !== xmc.features)
    throw new MillraceError(
      'WRONG_DIMENSION',
      `the documents have ${X.columns} features, the model ${xmc.features}`,
    )
  return predicted(new BeamSearch(xmc, beam === undefined ? {} : { beam }), X, top)
}

const predicted = function* (search: BeamSearch, X: CsrMatrix, top: number): Generator<BatchPredictions> {
  const progress = new ProgressLine(process.stderr, 'documents')
  for (let row = 0; row < X.rows; row += BATCH) {
    const end = Math.min(row + BATCH, X.rows)
    yield search.predictBatch({ ...X, rows: end - row, pointers: X.pointers.subarray(row, end + 1) }, top)
    progress.show('predicting', end, X.rows)
  }
  progress.clear()
}

/** Batches as one, and how many classifiers of the last level all documents met. */
const ranking = (found: Iterable<BatchPredictions>): { ranked: RankedLabels; innerProducts: number } => {
  const pointers = [0]
  const labels: number[] = []
  let innerProducts = 0
  for (const batch of found) {
    const before = labels.length
    for (const label of batch.labels) labels.push(label)
    for (const pointer of batch.pointers.subarray(1)) pointers.push(before + pointer)
    for (const products of batch.innerProducts) innerProducts += products
  }
  return { ranked: { pointers, labels }, innerProducts }
}

const written = async (lines: Iterable<string>, out: string | undefined): Promise<void> => {
  try {
    if (out === undefined) await pipeline(Readable.from(lines), process.stdout, { end: false })
    else await pipeline(Readable.from(lines), createWriteStream(out))
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (cause instanceof MillraceError || code === undefined) throw cause
    // Who reads, say head, has had enough.
    if (out === undefined && code === 'EPIPE') return
    throw new MillraceError('INVALID_CONFIG', `cannot write ${out ?? 'standard output'}: ${code}`, { cause })
  }
}

const sameLabels = (one: string, count: number, other: string, otherCount: number): void => {
  if (count !== otherCount)
    throw new MillraceError('WRONG_DIMENSION', `${one} has ${count} labels, ${other} ${otherCount}`)
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
