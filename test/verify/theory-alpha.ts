/** The theoretical exploration α(t), row by row. */
import { theoreticalAlpha } from '../../operators/bandits/index.ts'
import { type CaseKind, fileWith, isRecord, numberAt } from './case.ts'

export const verifyTheoreticalAlpha: CaseKind = (reference, comparison) => {
  const { rows } = fileWith(reference, 'rows')
  if (!Array.isArray(rows) || rows.length === 0) throw new Error("'rows' is empty")
  const expected: unknown[] = []
  const found = rows.map((row: unknown, i) => {
    if (!isRecord(row)) throw new Error(`rows[${i}] is not an object`)
    expected.push(row['alpha'])
    return theoreticalAlpha(numberAt(row, 't'), numberAt(row, 'd'), numberAt(row, 'lambda'), {
      sigma: numberAt(row, 'sigma'),
      delta: numberAt(row, 'delta'),
      maxNorm: numberAt(row, 'L'),
    })
  })
  comparison.numbers('alpha', found, expected)
}
