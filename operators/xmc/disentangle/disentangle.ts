/**
 * Label disentanglement: a label that means several things lies in several clusters, and its classifier in each learns one of them (Liu, Chang, Yu, Hsieh
 * and Dhillon 2021). In turn, the matcher as it is says where labels belong, and all is trained anew on the tree that follows. How to train and how to match
 * are passed in, so that threads may stand behind them.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { XmcModel } from '../model.ts'
import type { CsrMatrix } from '../sparse/csr-matrix.ts'
import { clusterCount, clusterOf, type LabelTree } from '../tree/label-tree.ts'
import { assignedTree, withCopies } from './copies.ts'
import {
  type AssignmentOptions,
  assignLabels,
  type LabelAssignment,
  matchCounts,
} from './label-assignment.ts'

export interface DisentangleOptions extends AssignmentOptions {
  /** Times to assign and train; one is what the paper reports as enough. At least 1. */
  readonly rounds: number
}

export interface Disentangled {
  readonly model: XmcModel
  /** The last round's; nothing where the tree has one cluster. */
  readonly assignment?: LabelAssignment
}

/** Trains a model of the columns of Y on a tree: X, Y with copies, tree. Copies are to it labels like others. */
export type TrainColumns = (X: CsrMatrix, Y: CsrMatrix, tree: LabelTree) => XmcModel | Promise<XmcModel>

/** Documents × clusters: those that a model's search visits, for each document (`BeamSearch.leaves`). */
export type MatchClusters = (model: XmcModel, X: CsrMatrix) => CsrMatrix | Promise<CsrMatrix>

/**
 * A model with overlapping clusters, from one without (or with: its assignment is made anew).
 *
 * @param X documents × features
 * @param Y documents × labels, without copies
 * @param model trained on them
 * @returns a model that knows its copies; `model` itself where its tree has one cluster
 * @throws MillraceError WRONG_DIMENSION (not the model's labels), INVALID_CONFIG (an option out of range)
 */
export const disentangle = async (
  X: CsrMatrix,
  Y: CsrMatrix,
  model: XmcModel,
  options: DisentangleOptions,
  train: TrainColumns,
  match: MatchClusters,
): Promise<Disentangled> => {
  if (Y.columns !== model.labels) {
    throw new MillraceError('WRONG_DIMENSION', `${Y.columns} labels, the model has ${model.labels}`)
  }
  if (!(Number.isInteger(options.rounds) && options.rounds >= 1)) {
    throw new MillraceError('INVALID_CONFIG', `rounds is ${options.rounds}`)
  }
  if (clusterCount(model.tree) === 1) return { model }
  let result: Disentangled = { model }
  for (let round = 0; round < options.rounds; round++) {
    const { tree } = result.model
    const counts = matchCounts(Y, await match(result.model, X))
    const assignment = assignLabels(counts, clusterOf(tree).subarray(0, Y.columns), options)
    const trained = await train(X, withCopies(Y, assignment.copies), assignedTree(tree, assignment))
    result = { model: { ...trained, labels: Y.columns, copies: assignment.copies }, assignment }
  }
  return result
}
