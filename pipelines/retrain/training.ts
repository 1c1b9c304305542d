/**
 * One training, as its thread runs it: features, tree, classifiers, overlapping clusters where asked for; then the new model and the one served are asked about the same
 * held-out documents, and the new one is put into the store. The same documents, settings and seed give the same bytes, whatever the number of threads.
 */
import type { FeaturesConfig, RetrainConfig } from '../../infra/config/tag.ts'
import { openModelStore } from '../../infra/models/store.ts'
import { inversePropensities, rankingMetrics } from '../../operators/xmc/evaluation/ranking-metrics.ts'
import { fitTfIdf, type TfIdf } from '../../operators/xmc/features/tf-idf.ts'
import { BeamSearch } from '../../operators/xmc/inference/beam-search.ts'
import { predictions } from '../../operators/xmc/inference/predictions.ts'
import type { XmcModel } from '../../operators/xmc/model.ts'
import { CsrBuilder } from '../../operators/xmc/sparse/csr-builder.ts'
import { type CsrMatrix, csrMatrix } from '../../operators/xmc/sparse/csr-matrix.ts'
import type { TagModel } from '../../operators/xmc/tag-model.ts'
import { clusterCount, clusterSizes } from '../../operators/xmc/tree/label-tree.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { loadXmc, saveXmc } from '../xmc/model-folder.ts'
import { type ModelSettings, trainModel } from '../xmc/train-model.ts'
import { type Example, examplesOf } from './examples.ts'
import { AT, type NamedMetrics, namedMetrics } from './gate.ts'
import type { Skipped, TrainingOutcome, TrainingStart } from './thread.ts'
import type { PlacedDocument } from './window.ts'

type Tell = (what: string, done: number, total: number) => void

/**
 * Trains on a window.
 * @throws MillraceError STORE_UNAVAILABLE, and as the operators throw
 */
export const trainOn = async (
  documents: readonly PlacedDocument[],
  { features, retrain, beam, directory, served }: TrainingStart,
  tell: Tell,
): Promise<TrainingOutcome> => {
  const started = performance.now()
  const dimension = features.kind === 'given' ? features.dimension : null
  const { training, heldOut } = examplesOf(documents, dimension, retrain.holdOut)
  const labels = [...new Set(training.flatMap((example) => example.labels))].sort()
  const why = reasonAgainst(training, heldOut, labels, retrain)
  if (why !== null) return why
  tell('features', 0, training.length)
  const tfIdf = features.kind === 'given' ? null : fitted(training, features)
  if (features.kind === 'text' && tfIdf === null)
    return { kind: 'skipped', reason: 'no-terms', message: 'no term of the texts passes tag.features' }
  const X = featureMatrix(training, tfIdf, dimension)
  const Y = labelMatrix(training, labels)
  const settings = settingsOf(retrain)
  const xmc = await trainModel({ X, Y }, settings, { threads: retrain.threads, tell })
  const model: TagModel = { xmc, labels, tfIdf }

  tell('measuring', 0, heldOut.length)
  const judge = judgeOf(heldOut, labels, inversePropensities(Y), beam)
  const store = await openModelStore(directory)
  const before = served === null ? null : await loadXmc(store, served).catch(orNull)
  const servedMetrics = before === null ? null : judge(before)
  const metrics = judge(model)
  tell('storing', 0, 1)
  const { uri, sha256, bytes } = await saveXmc(store, model, settings)
  const seconds = (performance.now() - started) / 1_000
  const sizes = { documents: training.length, heldOut: heldOut.length, labels: labels.length, bytes, seconds }
  return {
    kind: 'trained',
    uri,
    sha256,
    metrics: { ...metrics, ...sizes, ...clusterMetrics(xmc) },
    served: servedMetrics,
  }
}

/** A served model whose bytes are gone or damaged is judged by nobody. @throws what else stands in the way */
const orNull = (error: unknown): null => {
  if (error instanceof MillraceError && /^SNAPSHOT_/.test(error.code)) return null
  throw error
}

const reasonAgainst = (
  training: readonly Example[],
  heldOut: readonly Example[],
  labels: readonly string[],
  { minDocuments }: RetrainConfig,
): TrainingOutcome | null => {
  const skip = (reason: Skipped, message: string) => ({ kind: 'skipped', reason, message }) as const
  const all = training.length + heldOut.length
  if (all === 0) return skip('no-labels', 'no document of the window has labels')
  if (all < minDocuments)
    return skip('too-few-documents', `${all} labelled documents, ${minDocuments} are asked for`)
  if (labels.length < 2)
    return skip('single-label', `the documents to learn from have ${labels.length} label in all`)
  if (heldOut.length === 0)
    return skip('nothing-held-out', `of ${all} documents none is held out to judge by`)
  return null
}

/** Null where no term is left. */
const fitted = (
  examples: readonly Example[],
  { kind: _, ngrams, minimalLength, numbers, ...options }: Extract<FeaturesConfig, { kind: 'text' }>,
): TfIdf | null => {
  const texts = examples.map(({ text }) => text!)
  try {
    return fitTfIdf(texts, { tokens: { ngrams, minimalLength, numbers }, ...options })
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'INVALID_EVENT') return null
    throw error
  }
}

/** Examples × features. */
const featureMatrix = (
  examples: readonly Example[],
  tfIdf: TfIdf | null,
  dimension: number | null,
): CsrMatrix => {
  const rows = new CsrBuilder()
  for (const { text, features } of examples) {
    const { indices, values } = tfIdf === null ? features! : tfIdf.transform(text!)
    for (let i = 0; i < indices.length; i++) rows.add(indices[i]!, values[i]!)
    rows.endRow()
  }
  return rows.build(tfIdf === null ? dimension! : tfIdf.features)
}

/** Examples × labels, a one where an example has the label. */
const labelMatrix = (examples: readonly Example[], labels: readonly string[]): CsrMatrix => {
  const numbers = new Map(labels.map((label, number) => [label, number]))
  const pointers = new Int32Array(examples.length + 1)
  const indices: number[] = []
  for (const [row, example] of examples.entries()) {
    const own = example.labels.map((label) => numbers.get(label)!).sort((a, b) => a - b)
    for (const number of own) indices.push(number)
    pointers[row + 1] = indices.length
  }
  const ones = new Float32Array(indices.length).fill(1)
  return csrMatrix(examples.length, labels.length, pointers, Int32Array.from(indices), ones)
}

const settingsOf = ({ tree, training, disentangle }: RetrainConfig): ModelSettings => {
  const { C, ...solver } = training
  return {
    tree,
    training: { ...solver, C: { positive: C, negative: C } },
    disentangle: disentangle === 'off' ? null : disentangle,
  }
}

/** Asks models about the held-out documents. Labels that none of them knows count as missed. */
const judgeOf = (
  heldOut: readonly Example[],
  labels: readonly string[],
  inverse: Float64Array,
  beam: number | undefined,
) => {
  const known = new Set(labels)
  const strange = [...new Set(heldOut.flatMap((example) => example.labels))].filter(
    (each) => !known.has(each),
  )
  const all = [...labels, ...strange.sort()]
  const numbers = new Map(all.map((label, number) => [label, number]))
  const truth = labelMatrix(heldOut, all)
  // A label that was never seen in training tells nothing of how often it is left out.
  const weights = new Float64Array(all.length).fill(1)
  weights.set(inverse)
  const top = Math.max(...AT)
  return ({ xmc, labels: own, tfIdf }: TagModel): NamedMetrics => {
    const search = new BeamSearch(xmc, beam === undefined ? {} : { beam })
    const found = predictions(top)
    const pointers = new Int32Array(heldOut.length + 1)
    const ranked: number[] = []
    for (const [row, { text, features }] of heldOut.entries()) {
      // A model of the other kind, or of fewer features, has no answer.
      const asked = tfIdf !== null ? (text === null ? null : tfIdf.transform(text)) : features
      if (asked !== null && (asked.indices.at(-1) ?? 0) < xmc.features) {
        search.predict(asked.indices, asked.values, top, found)
        for (let i = 0; i < found.count; i++) {
          // Labels that have vanished from the window are wrong here, whatever their number.
          const number = numbers.get(own[found.labels[i]!]!)
          ranked.push(number ?? -1)
        }
      }
      pointers[row + 1] = ranked.length
    }
    return namedMetrics(rankingMetrics({ pointers, labels: Int32Array.from(ranked) }, truth, weights, AT))
  }
}

const clusterMetrics = ({ tree, labels, copies }: XmcModel): NamedMetrics => {
  const sizes = clusterSizes(tree)
  return {
    clusters: clusterCount(tree),
    'clusterSize.min': sizes.reduce((least, size) => Math.min(least, size), labels + copies.length),
    'clusterSize.mean': (labels + copies.length) / sizes.length,
    'clusterSize.max': sizes.reduce((most, size) => Math.max(most, size), 0),
    overlap: (labels + copies.length) / labels,
  }
}
