/**
 * What the classifiers of one level are to learn: which documents each has, and which it is told apart from (Yu et al. 2022, "PECOS", section 3.2, equation 10).
 * All of it is patterns: values are left out.
 */

import { CsrBuilder } from '../sparse/csr-builder.ts'
import { binarise, type CsrMatrix, transpose } from '../sparse/csr-matrix.ts'
import { multiply } from '../sparse/multiply.ts'
import type { LabelTree } from '../tree/label-tree.ts'
import type { SolverSettings } from './training.ts'

/** Lists of numbers: list n is `indices` from `pointers[n]` up to `pointers[n + 1]`, rising. */
export type Lists = Pick<CsrMatrix, 'pointers' | 'indices'>

export interface LevelProblem {
  /** Nodes of each parent. */
  readonly children: Lists
  /** Documents of each node. */
  readonly positives: Lists
  /** Documents that each parent's nodes learn from, beside their own. */
  readonly matched: Lists
}

/**
 * Solves levels: a matrix each, a row a node. How, and in how many threads, is its own matter.
 * @param onDone told how many classifiers more are done
 */
export type SolveLevels = (
  X: CsrMatrix,
  problems: readonly LevelProblem[],
  settings: SolverSettings,
  onDone: (count: number) => void,
) => Promise<CsrMatrix[]>

/** Documents × nodes of every level: ones where a document has a label below the node. The last is Y. */
export const nodesOfDocuments = (Y: CsrMatrix, tree: LabelTree): CsrMatrix[] => {
  const levels = [Y]
  for (let t = tree.parents.length - 1; t > 0; t--) {
    levels.unshift(binarise(multiply(binarise(levels[0]!), parentMatrix(tree, t))))
  }
  return levels
}

/**
 * The problem of level t.
 *
 * @param documents documents × nodes of the level, ones
 * @param matched documents × nodes of the level above; null for all documents, as the first level has them
 */
export const levelProblem = (
  tree: LabelTree,
  t: number,
  documents: CsrMatrix,
  matched: CsrMatrix | null,
): LevelProblem => ({
  children: lists(transpose(parentMatrix(tree, t))),
  positives: lists(transpose(documents)),
  matched:
    matched === null
      ? {
          pointers: Int32Array.of(0, documents.rows),
          indices: Int32Array.from({ length: documents.rows }, (_, row) => row),
        }
      : lists(transpose(matched)),
})

/** What is in either matrix. */
export const union = (one: CsrMatrix, other: CsrMatrix): CsrMatrix => {
  const both = new CsrBuilder()
  for (let row = 0; row < one.rows; row++) {
    let i = one.pointers[row]!
    let j = other.pointers[row]!
    const ends = [one.pointers[row + 1]!, other.pointers[row + 1]!] as const
    while (i < ends[0] || j < ends[1]) {
      const left = i < ends[0] ? one.indices[i]! : one.columns
      const right = j < ends[1] ? other.indices[j]! : one.columns
      both.add(Math.min(left, right), 1)
      if (left <= right) i++
      if (right <= left) j++
    }
    both.endRow()
  }
  return both.build(one.columns)
}

/** Nodes of level t × nodes of the level above. */
const parentMatrix = ({ parents }: LabelTree, t: number): CsrMatrix => {
  const level = parents[t]!
  return {
    rows: level.length,
    columns: t === 0 ? 1 : parents[t - 1]!.length,
    pointers: Int32Array.from({ length: level.length + 1 }, (_, node) => node),
    indices: level,
    values: new Float32Array(level.length).fill(1),
  }
}

const lists = ({ pointers, indices }: CsrMatrix): Lists => ({ pointers, indices })
