/**
 * XR-Linear: a tree over labels with a linear classifier a node (Yu, Zhong, Zhang, Chang and Dhillon 2022, "PECOS"). A label's score is that of its path:
 * each classifier's value goes through a transform, and the path's are multiplied (or added, in logarithms).
 */
import type { CsrMatrix } from './sparse/csr-matrix.ts'
import type { LabelTree } from './tree/label-tree.ts'

/** What a classifier's value v becomes, and how a child's joins its parent's: inference/transform.ts. */
export type Transform =
  | 'l3-hinge'
  | 'l2-hinge'
  | 'l1-hinge'
  | 'sigmoid'
  | 'log-l3-hinge'
  | 'log-l2-hinge'
  | 'log-l1-hinge'
  | 'log-sigmoid'
  | 'identity'

/** How the scores of a label's copies become one: over those that were scored. */
export type Merge = 'mean' | 'max' | 'sum'

/** A trained model: numbers only. What a text becomes, and what labels are called, is `TagModel`'s (tag-model.ts). */
export interface XmcModel {
  /** Features of a document, without the constant one. */
  readonly features: number
  /** The constant feature, whose weight is the last of a row; 0 where there is none. */
  readonly bias: number
  readonly tree: LabelTree
  /** One matrix a level: a row a node, features + 1 columns (the last of them the bias's), zeros left out. */
  readonly weights: readonly CsrMatrix[]
  /** Labels: the first columns of the last level. */
  readonly labels: number
  /** Label of each column behind them, its copies; empty where clusters do not overlap. */
  readonly copies: Int32Array
  /** What it was trained to be searched by. */
  readonly search: SearchSettings
}

export interface SearchSettings {
  /** Nodes kept of each inner level; at least 1. */
  readonly beam: number
  readonly transform: Transform
  /** Meets copies only. */
  readonly merge: Merge
}
