/** Documents, labels and trees of tests, drawn at random. */
import fc from 'fast-check'
import type { CsrMatrix, LabelTree } from '../../../../operators/xmc/index.ts'
import { dense, ones } from '../sparse-rows.ts'

export interface Problem {
  readonly X: CsrMatrix
  readonly Y: CsrMatrix
  readonly tree: LabelTree
}

/** Rows with few values other than 0, some of them empty. */
export const documents = (rows: number, columns: number): fc.Arbitrary<CsrMatrix> =>
  fc
    .array(
      fc.array(fc.constantFrom(0, 0, 0, 0.25, 0.5, 1, -0.75), { minLength: columns, maxLength: columns }),
      { minLength: rows, maxLength: rows },
    )
    .map((table) => dense(table, columns))

/** A tree of three levels whose parents stand in any order; some nodes may have no children. */
export const trees = (labels: number): fc.Arbitrary<LabelTree> =>
  fc
    .record({
      middle: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 4, maxLength: 4 }),
      last: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: labels, maxLength: labels }),
    })
    .map(({ middle, last }) => ({
      parents: [new Int32Array(2), Int32Array.from(middle), Int32Array.from(last)],
    }))

export const problems = (rows = 12, features = 6, labels = 7): fc.Arbitrary<Problem> =>
  fc.record({ X: documents(rows, features), Y: ones(rows, labels), tree: trees(labels) })

/** One level: a binary problem for each label, over all documents. */
export const flat = (labels: number): LabelTree => ({ parents: [new Int32Array(labels)] })
