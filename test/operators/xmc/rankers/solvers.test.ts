/** Binary problems: whatever is drawn, the solution is the minimum of the primal. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CsrMatrix, type Loss, trainXmc, type XmcTraining } from '../../../../operators/xmc/index.ts'
import { dense, ones, toDense } from '../sparse-rows.ts'
import { documents, flat } from './arbitrary-documents.ts'

const TIGHT = { eps: 1e-9, maxIterations: 100_000, threshold: 0 } as const

/** Of a document with margin m: the loss. */
const LOSSES: Readonly<Record<Loss, (margin: number) => number>> = {
  hinge: (margin) => Math.max(0, 1 - margin),
  'squared-hinge': (margin) => Math.max(0, 1 - margin) ** 2,
  logistic: (margin) => Math.log1p(Math.exp(-margin)),
}

/** ½|w|² + Σ C loss of label 0; the last weight is the constant feature's. */
const objective = (
  w: readonly number[],
  X: CsrMatrix,
  Y: CsrMatrix,
  { loss, C, bias }: Pick<XmcTraining, 'loss' | 'C' | 'bias'>,
): number => {
  const signs = toDense(Y).map(([y]) => (y === 1 ? 1 : -1))
  return toDense(X).reduce(
    (sum, x, row) => {
      const value = [...x, bias].reduce((total, number, column) => total + number * w[column]!, 0)
      const cost = signs[row]! > 0 ? C.positive : C.negative
      return sum + cost * LOSSES[loss](signs[row]! * value)
    },
    w.reduce((sum, weight) => sum + 0.5 * weight * weight, 0),
  )
}

const costs = fc.record({ positive: fc.constantFrom(0.1, 1, 5), negative: fc.constantFrom(0.1, 1, 5) })

describe.each(['squared-hinge', 'hinge', 'logistic'] as const)('%s', (loss) => {
  it('no direction leads further down', async () => {
    const directions = fc.array(
      fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 6, maxLength: 6 }),
      {
        minLength: 5,
        maxLength: 5,
      },
    )
    await fc.assert(
      fc.asyncProperty(
        documents(9, 5),
        ones(9, 1),
        costs,
        fc.constantFrom(0, 1, 2),
        directions,
        async (X, Y, C, bias, steps) => {
          const settings = { ...TIGHT, loss, C, bias }
          const { weights } = await trainXmc(X, Y, flat(1), settings)
          const w = toDense(weights[0]!)[0]!
          if (bias === 0) expect(w[5]).toBe(0)
          const least = objective(w, X, Y, settings)
          for (const step of steps) {
            for (const length of [1, 1e-2, 1e-3]) {
              const other = w.map((weight, column) => weight + length * step[column]!)
              if (bias === 0) other[5] = 0
              expect(objective(other, X, Y, settings)).toBeGreaterThanOrEqual(least - 1e-6 * (1 + least))
            }
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('a single document is solved by hand', async () => {
    const { weights } = await trainXmc(dense([[2]]), dense([[1]]), flat(1), { ...TIGHT, loss, bias: 0 })
    const [w] = toDense(weights[0]!)[0]!
    // The slope of ½w² + loss(2w) is 0.
    if (loss === 'squared-hinge') expect(w).toBeCloseTo(4 / 9, 6)
    if (loss === 'hinge') expect(w).toBeCloseTo(0.5, 6)
    if (loss === 'logistic') expect(w! - 2 / (1 + Math.exp(2 * w!))).toBeCloseTo(0, 6)
  })

  it('documents that are equal and have opposite labels cancel', async () => {
    const { weights } = await trainXmc(dense([[1], [1]]), dense([[1], [0]]), flat(1), { ...TIGHT, loss })
    for (const weight of toDense(weights[0]!)[0]!) expect(weight).toBeCloseTo(0, 6)
  })
})

it('a looser end is never better, and at most its share worse', async () => {
  await fc.assert(
    fc.asyncProperty(documents(30, 8), ones(30, 1), async (X, Y) => {
      const settings = { loss: 'squared-hinge', C: { positive: 1, negative: 1 }, bias: 1 } as const
      const value = async (eps: number): Promise<number> => {
        const { weights } = await trainXmc(X, Y, flat(1), { ...TIGHT, ...settings, eps })
        return objective(toDense(weights[0]!)[0]!, X, Y, settings)
      }
      const [least, loose] = [await value(1e-9), await value(0.1)]
      expect(loose).toBeGreaterThanOrEqual(least - 1e-5)
      expect(loose).toBeLessThanOrEqual(1.02 * least + 1e-5)
    }),
    { numRuns: 40 },
  )
})
