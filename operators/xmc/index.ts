/** Extreme multi-label classification: label trees, rankers, beam search, overlapping clusters. Pure: documents in, labels out. */

export { codeOf, ERROR_CODES, type ErrorCode, MillraceError } from '../../schemas/errors.ts'
export { assignedTree, withCopies } from './disentangle/copies.ts'
export {
  type Disentangled,
  type DisentangleOptions,
  disentangle,
  type MatchClusters,
  type TrainColumns,
} from './disentangle/disentangle.ts'
export {
  type AssignmentOptions,
  assignLabels,
  type LabelAssignment,
  matchCounts,
} from './disentangle/label-assignment.ts'
export { innerProducts } from './evaluation/inner-products.ts'
export {
  inversePropensities,
  type PropensityOptions,
  type RankedLabels,
  type RankingMetrics,
  rankingMetrics,
} from './evaluation/ranking-metrics.ts'
export { variationOfInformation } from './evaluation/variation-of-information.ts'
export type { StoredTfIdf } from './features/stored-tf-idf.ts'
export { fitTfIdf, type SparseVector, type TfIdf, type TfIdfOptions, tfIdfFrom } from './features/tf-idf.ts'
export type { TokenOptions } from './features/tokens.ts'
export { BeamSearch } from './inference/beam-search.ts'
export { type BatchPredictions, type Predictions, predictions } from './inference/predictions.ts'
export type { Merge, SearchSettings, Transform, XmcModel } from './model.ts'
export { type SolveLevels, trainXmc } from './rankers/train.ts'
export {
  type Loss,
  type Negatives,
  type SolverSettings,
  TRAINING_DEFAULTS,
  type XmcTraining,
} from './rankers/training.ts'
export { CsrBuilder } from './sparse/csr-builder.ts'
export {
  binarise,
  type CsrMatrix,
  csrMatrix,
  normaliseRows,
  selectRows,
  sharedCopy,
  transpose,
} from './sparse/csr-matrix.ts'
export { multiply } from './sparse/multiply.ts'
export { checkDocument, Tagger, type TaggerOptions, tag } from './tag.ts'
export type { TagModel } from './tag-model.ts'
export {
  formatText,
  type LabelledDocuments,
  readTextFormat,
  type TextFormatOptions,
  TextFormatReader,
} from './text-format.ts'
export { CLUSTER_DEFAULTS, type ClusterOptions, clusterLabels } from './tree/cluster-labels.ts'
export {
  checkTree,
  clusterCount,
  clusterOf,
  clusterSizes,
  type LabelTree,
  widths,
} from './tree/label-tree.ts'
export { pifaEmbedding } from './tree/pifa.ts'
