/** Small models of any shape, for properties. */
import * as fc from 'fast-check'
import type { XmcModel } from '../../../../operators/xmc/model.ts'
import type { CsrMatrix } from '../../../../operators/xmc/sparse/csr-matrix.ts'

/** Rows of positions and values, positions rising. */
export const csr = (columns: number, rows: readonly ReadonlyMap<number, number>[]): CsrMatrix => {
  const entries = rows.map((row) => [...row].sort(([a], [b]) => a - b))
  const pointers = new Int32Array(rows.length + 1)
  entries.forEach((row, r) => {
    pointers[r + 1] = pointers[r]! + row.length
  })
  return {
    rows: rows.length,
    columns,
    pointers,
    indices: Int32Array.from(entries.flat(), ([column]) => column),
    values: Float32Array.from(entries.flat(), ([, value]) => value),
  }
}

/** Few values, so that scores tie; some saturate the hinge. */
const number = fc.oneof(
  fc.constantFrom(-2, -1, -0.5, 0.25, 0.5, 1, 2, 4),
  fc.double({ min: -3, max: 3, noNaN: true }).map(Math.fround),
)

/** Positions below `columns`, with values. */
export const sparseRow = (columns: number): fc.Arbitrary<ReadonlyMap<number, number>> =>
  fc
    .array(fc.tuple(fc.nat(columns - 1), number), { maxLength: columns })
    .map((entries) => new Map(entries.filter(([, value]) => value !== 0)))

/** Trees of one to three levels, any node below any parent, some without children; copies of any label. */
export const models: fc.Arbitrary<XmcModel> = fc
  .record({
    features: fc.integer({ min: 1, max: 12 }),
    bias: fc.constantFrom(0, 1, 0.5),
    inner: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 2 }),
    labels: fc.integer({ min: 1, max: 24 }),
    copies: fc.array(fc.nat(23), { maxLength: 8 }),
  })
  .chain(({ features, bias, inner, labels, copies }) => {
    const own = copies.filter((label) => label < labels)
    const widths = [...inner, labels + own.length]
    const levels = widths.map((width, t) =>
      fc.record({
        parents: fc.array(fc.nat((widths[t - 1] ?? 1) - 1), { minLength: width, maxLength: width }),
        rows: fc.array(sparseRow(features + 1), { minLength: width, maxLength: width }),
      }),
    )
    return fc.tuple(...levels).map(
      (made): XmcModel => ({
        features,
        bias,
        labels,
        copies: Int32Array.from(own),
        search: { beam: 10, transform: 'l3-hinge', merge: 'mean' },
        tree: { parents: made.map(({ parents }) => Int32Array.from(parents)) },
        weights: made.map(({ rows }) => csr(features + 1, rows)),
      }),
    )
  })
