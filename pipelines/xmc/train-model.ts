/** All of a model's training: label embedding, tree, classifiers, and overlapping clusters where they are asked for. */
import { type DisentangleOptions, disentangle } from '../../operators/xmc/disentangle/disentangle.ts'
import { BeamSearch } from '../../operators/xmc/inference/beam-search.ts'
import type { XmcModel } from '../../operators/xmc/model.ts'
import type { XmcTraining } from '../../operators/xmc/rankers/training.ts'
import { type CsrMatrix, sharedCopy } from '../../operators/xmc/sparse/csr-matrix.ts'
import type { LabelledDocuments } from '../../operators/xmc/text-format.ts'
import { type ClusterOptions, clusterLabels } from '../../operators/xmc/tree/cluster-labels.ts'
import type { LabelTree } from '../../operators/xmc/tree/label-tree.ts'
import { pifaEmbedding } from '../../operators/xmc/tree/pifa.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { trainWithThreads } from './train.ts'

export interface ModelSettings {
  readonly tree: Partial<ClusterOptions>
  readonly training: Partial<XmcTraining>
  /** Null: each label lies in one cluster. */
  readonly disentangle: DisentangleOptions | null
}

export interface TrainOptions {
  /** Classifiers at a time; at least 1. */
  readonly threads: number
  /** Told what is under way, and how many classifiers are done of how many. */
  readonly tell?: (what: string, done: number, total: number) => void
  /** Ends the training at once. */
  readonly signal?: AbortSignal
}

/**
 * Trains a model. The same documents, settings and seed give the same model, whatever the number of threads.
 * @throws MillraceError INVALID_EVENT where there is nothing to learn from; otherwise as `clusterLabels`, `trainWithThreads` and `disentangle`
 */
export const trainModel = async (
  { X, Y }: LabelledDocuments,
  settings: ModelSettings,
  { threads, tell = () => {}, signal }: TrainOptions,
): Promise<XmcModel> => {
  if (Y.indices.length === 0)
    throw new MillraceError('INVALID_EVENT', 'no document has a label: there is nothing to learn')
  // Once for all rounds.
  const shared = sharedCopy(X)
  const rounds = settings.disentangle?.rounds ?? 0
  let round = 0
  const train = (_: CsrMatrix, columns: CsrMatrix, tree: LabelTree): Promise<XmcModel> => {
    const what = rounds === 0 ? 'training' : `training ${++round} of ${rounds + 1}`
    const onProgress = (done: number, total: number) => tell(what, done, total)
    return trainWithThreads(shared, columns, tree, { ...settings.training, onProgress }, threads, signal)
  }
  const plain = await train(shared, Y, clusterLabels(pifaEmbedding(X, Y), settings.tree))
  if (settings.disentangle === null) return plain
  const match = (model: XmcModel) => new BeamSearch(model).leaves(X)
  return (await disentangle(X, Y, plain, settings.disentangle, train, match)).model
}
