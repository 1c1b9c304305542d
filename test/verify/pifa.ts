/** Label embedding of the reference's documents: some rows whole, and for every label the number of values and the product with a fixed vector, v[j] = (7919 j mod 1000)/1000. */
import { join } from 'node:path'
import { pifaEmbedding } from '../../operators/xmc/index.ts'
import { readDocuments } from '../xmc-golden.ts'
import { type CaseKind, fileWith, isRecord, numberAt, numbersAt } from './case.ts'

export const verifyPifa: CaseKind = (reference, comparison) => {
  const file = fileWith(reference, 'nnzPerLabel', 'projection', 'rows')
  const { X, Y } = readDocuments(join(reference.folder, 'train.txt'))
  const Z = pifaEmbedding(X, Y)
  const { rows } = file
  if (!Array.isArray(rows)) throw new Error("'rows' is not a list")
  for (const row of rows as unknown[]) {
    if (!isRecord(row)) throw new Error('a row is not an object')
    const label = numberAt(row, 'label')
    const start = Z.pointers[label]!
    const end = Z.pointers[label + 1]!
    comparison.numbers('indices', Z.indices.subarray(start, end), row['indices'], `label ${label}`, 'nnz')
    comparison.numbers('values', Z.values.subarray(start, end), row['values'], `label ${label}`)
  }
  const counts = Array.from({ length: Z.rows }, (_, label) => Z.pointers[label + 1]! - Z.pointers[label]!)
  comparison.numbers('nnz', counts, file['nnzPerLabel'])
  const projection = new Float64Array(Z.rows)
  for (let label = 0; label < Z.rows; label++) {
    for (let k = Z.pointers[label]!; k < Z.pointers[label + 1]!; k++)
      projection[label]! += (Z.values[k]! * ((Z.indices[k]! * 7919) % 1000)) / 1000
  }
  comparison.numbers('projection', projection, [...numbersAt(file, 'projection', Z.rows)])
}
