/**
 * XR-Linear: a linear classifier for each node of a label tree (Yu, Zhong, Zhang, Chang and Dhillon 2022, "PECOS", section 3.2). Each is a problem of its
 * own, solved from the same start whoever solves it, so a model does not depend on the number of threads.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { BeamSearch } from '../inference/beam-search.ts'
import type { SearchSettings, XmcModel } from '../model.ts'
import { type CsrMatrix, csrMatrix } from '../sparse/csr-matrix.ts'
import { checkTree, type LabelTree, widths } from '../tree/label-tree.ts'
import { solveLevels } from './job-solver.ts'
import {
  type LevelProblem,
  levelProblem,
  nodesOfDocuments,
  type SolveLevels,
  union,
} from './level-problem.ts'
import { checkTraining, TRAINING_DEFAULTS, type XmcTraining } from './training.ts'

export type { SolveLevels } from './level-problem.ts'

/**
 * Trains the classifiers of a tree.
 *
 * @param X documents × features
 * @param Y documents × columns of the tree's last level, a one where a document has the label
 * @param options what differs from `TRAINING_DEFAULTS`
 * @param solve in this thread, if nothing is said; `trainWithThreads` brings threads
 * @returns a model whose weights are sorted by feature; a node without any documents to learn from has none
 * @throws MillraceError INVALID_CONFIG (options), WRONG_DIMENSION (sizes that do not fit), NON_FINITE_NUMBER (a value of X), INVALID_EVENT (the tree)
 */
export const trainXmc = async (
  X: CsrMatrix,
  Y: CsrMatrix,
  tree: LabelTree,
  options: Partial<XmcTraining> = {},
  solve: SolveLevels = solveLevels,
): Promise<XmcModel> => {
  const training = { ...TRAINING_DEFAULTS, ...options }
  checkTraining(training)
  checkTree(tree)
  checkSizes(X, Y, tree, training)
  const { loss, C, eps, maxIterations, threshold, bias, beam, transform, merge, copies } = training
  const total = widths(tree).reduce((sum, width) => sum + width)
  let done = 0
  const solved = (problems: readonly LevelProblem[]): Promise<CsrMatrix[]> =>
    solve(X, problems, { loss, C, eps, maxIterations, threshold, bias }, (count) => {
      done += count
      training.onProgress(done, total)
    })
  const search = { beam, transform, merge }
  const match = (t: number, weights: readonly CsrMatrix[]): CsrMatrix =>
    new BeamSearch(matcher(X.columns, bias, tree, t, weights, search)).leaves(X)
  const weights = await trainedLevels(nodesOfDocuments(Y, tree), tree, training, solved, match)
  return { features: X.columns, bias, tree, weights, labels: Y.columns - copies.length, copies, search }
}

/** @param documents documents × nodes of each level @param match documents × nodes of the level above t, where the search leads */
const trainedLevels = async (
  documents: readonly CsrMatrix[],
  tree: LabelTree,
  { negatives, matches }: XmcTraining,
  solved: (problems: readonly LevelProblem[]) => Promise<CsrMatrix[]>,
  match: (t: number, weights: readonly CsrMatrix[]) => CsrMatrix,
): Promise<CsrMatrix[]> => {
  const problem = (t: number, matched: CsrMatrix | null) => levelProblem(tree, t, documents[t]!, matched)
  if (negatives === 'tfn' || negatives === 'usn') {
    const above = negatives === 'tfn' ? documents : matches
    return solved(documents.map((_, t) => problem(t, t === 0 ? null : above[t - 1]!)))
  }
  // Where the search leads is known once the levels above are trained.
  const weights = await solved([problem(0, null)])
  for (let t = 1; t < documents.length; t++) {
    const found = match(t, weights)
    const matched = negatives === 'man' ? found : union(documents[t - 1]!, found)
    weights.push(...(await solved([problem(t, matched)])))
  }
  return weights
}

/** The levels above t as a model to search: its clusters are the nodes above level t, whose own weights are not known yet. */
const matcher = (
  features: number,
  bias: number,
  { parents }: LabelTree,
  t: number,
  weights: readonly CsrMatrix[],
  search: SearchSettings,
): XmcModel => {
  const labels = parents[t]!.length
  const unknown = csrMatrix(labels, features + 1, new Int32Array(labels + 1), [], [])
  const tree = { parents: parents.slice(0, t + 1) }
  return { features, bias, tree, weights: [...weights, unknown], labels, copies: new Int32Array(0), search }
}

const checkSizes = (
  X: CsrMatrix,
  Y: CsrMatrix,
  tree: LabelTree,
  { negatives, matches, copies }: XmcTraining,
): void => {
  const sizes = widths(tree)
  const columns = sizes.at(-1)!
  if (X.rows !== Y.rows) throw wrong(`${X.rows} documents with features, ${Y.rows} with labels`)
  if (Y.columns !== columns) throw wrong(`Y has ${Y.columns} columns, the tree ${columns}`)
  if (copies.some((label) => !(label >= 0 && label < columns - copies.length))) {
    throw wrong(`copies are of the ${columns - copies.length} labels`)
  }
  checkRange('X', X)
  checkRange('Y', Y)
  const bad = X.values.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) throw new MillraceError('NON_FINITE_NUMBER', `value ${bad} of X is ${X.values[bad]}`)
  if (negatives !== 'usn') return
  for (let t = 1; t < sizes.length; t++) {
    const match = matches[t - 1]
    if (match?.rows !== X.rows || match.columns !== sizes[t - 1]) {
      throw wrong(`matches[${t - 1}] is not ${X.rows} × ${sizes[t - 1]}`)
    }
    checkRange(`matches[${t - 1}]`, match)
  }
}

/** The kernel trusts addresses, so that no column may lie outside. */
const checkRange = (name: string, { columns, indices }: CsrMatrix): void => {
  const bad = indices.findIndex((column) => !(column >= 0 && column < columns))
  if (bad >= 0) throw wrong(`${name} has column ${indices[bad]} of ${columns}`)
}

const wrong = (message: string): MillraceError => new MillraceError('WRONG_DIMENSION', message)
