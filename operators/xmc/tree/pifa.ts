/**
 * PIFA, positive instance feature aggregation: a label is the direction of its documents, of which those with few labels count more
 * (Yu, Zhong, Zhang, Chang and Dhillon 2022, "PECOS", section 3.1). Cost: a multiplication for each pair of a document's label and feature.
 */
import type { CsrMatrix } from '../sparse/csr-matrix.ts'
import { normaliseRows, transpose } from '../sparse/csr-matrix.ts'
import { multiply } from '../sparse/multiply.ts'

/**
 * Z = rows of Ŷᵀ X brought to length 1, where Ŷ is Y with rows of length 1.
 *
 * @param X documents × features
 * @param Y documents × labels, ones
 * @returns labels × features; the row of a label without documents is empty
 * @throws MillraceError WRONG_DIMENSION where X and Y have not the same documents
 */
export const pifaEmbedding = (X: CsrMatrix, Y: CsrMatrix): CsrMatrix =>
  normaliseRows(multiply(transpose(normaliseRows(Y)), X))
