import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { packedLength, packOuter } from '../../../operators/numerics/packed-symmetric.ts'
import { ridgeKernel } from '../../../operators/numerics/ridge-kernel.ts'
import { SCREEN_ERROR, screenKernel, screenLength } from '../../../operators/numerics/screen-kernel.ts'
import { createMemory, PAGE } from '../../../operators/numerics/wasm-assembly.ts'

const number = fc.double({ min: -5, max: 5, noNaN: true })
const numbers = (length: number) =>
  fc.array(number, { minLength: length, maxLength: length }).map((values) => Float64Array.from(values))

const memory = createMemory(40)
const kernel = screenKernel(memory)
const floats = new Float64Array(memory.buffer)
const singles = new Float32Array(memory.buffer)
const words = new Uint32Array(memory.buffer)
const AT = { forms: 1_024, numbers: 8_192, weights: PAGE, table: 2 * PAGE }

describe('the screen kernel', () => {
  it('copies float64 as float32, a zero behind an odd one, and sums their squares', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }).chain(numbers), fc.nat(3), (values, skew) => {
        const from = AT.numbers / 8 + (skew & 1)
        const to = AT.weights / 4 + skew
        singles.fill(7, to - 1, to + 50)
        floats.set(values, from)
        kernel.condense(8 * from, 4 * to, values.length, AT.forms)
        const even = values.length + (values.length & 1)
        const expected = [7, ...Float32Array.from(values), ...(even > values.length ? [0] : []), 7]
        expect([...singles.slice(to - 1, to + even + 1)]).toEqual(expected)
        expect(floats[AT.forms / 8]).toBeCloseTo(
          values.reduce((sum, value) => sum + value * value, 0),
          9,
        )
      }),
    )
  })

  const table = fc
    .record({
      length: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 60, max: 300 })),
      rows: fc.integer({ min: 1, max: 5 }),
      count: fc.nat(11),
    })
    .chain(({ length, rows, count }) =>
      fc.record({
        weights: numbers(length),
        rows: fc.array(numbers(length), { minLength: rows, maxLength: rows }),
        picked: fc.array(fc.nat(rows - 1), { minLength: count, maxLength: count }),
      }),
    )

  it('gives forms within the error that it promises, each with the same bits wherever it stands', () => {
    fc.assert(
      fc.property(table, ({ weights, rows, picked }) => {
        const length = screenLength(weights.length)
        singles.fill(0, AT.weights / 4, (AT.table + 4 * length * rows.length) / 4)
        singles.set(weights, AT.weights / 4)
        rows.forEach((row, r) => {
          singles.set(row, AT.table / 4 + r * length)
        })
        const run = (order: readonly number[]): number[] => {
          order.forEach((r, n) => {
            words[n] = r
          })
          floats.fill(7, AT.forms / 8, AT.forms / 8 + 20)
          kernel.screen(AT.table, 0, AT.weights, order.length, length, AT.forms)
          expect(floats[AT.forms / 8 + order.length]).toBe(7)
          return [...floats.slice(AT.forms / 8, AT.forms / 8 + order.length)]
        }
        const forms = run(picked)
        expect(run(picked.toReversed()).reverse()).toEqual(forms)
        picked.forEach((r, n) => {
          let exact = 0
          let absolute = 0
          rows[r]!.forEach((value, k) => {
            exact += value * weights[k]!
            absolute += Math.abs(value * weights[k]!)
          })
          expect(Math.abs(forms[n]! - exact)).toBeLessThanOrEqual(SCREEN_ERROR * absolute + 1e-30)
        })
      }),
    )
  })
})

describe('the ridge kernel, for one vector', () => {
  const ridge = ridgeKernel(memory)

  it('makes its outer product with the bits of the plain loops, and touches nothing else', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }).chain(numbers), (x) => {
        const d = x.length
        const packed = packedLength(d)
        const out = AT.numbers / 8
        floats.fill(7, out - 1, out + packed + d + 1)
        floats.set(x, out + packed)
        const expected = new Float64Array(packed)
        packOuter(x, 0, d, expected, 0)
        ridge.outer(8 * (out + packed), 8 * out, d)
        expect([...floats.slice(out - 1, out + packed + d + 1)]).toEqual([7, ...expected, ...x, 7])
      }),
    )
  })

  it('gives the estimates of a prediction, to the last bit, alone', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 12 })
          .chain((d) => fc.tuple(numbers(d), numbers(3 * (packedLength(d) + d)))),
        ([x, rows]) => {
          const d = x.length
          const packed = packedLength(d)
          floats.set(rows, AT.table / 8)
          floats.set(x, AT.numbers / 8 + packed)
          ridge.outer(AT.numbers + 8 * packed, AT.numbers, d)
          words.set([2, 0, 1, 1, 0])
          const run = (predict: typeof ridge.predictOne): number[] => {
            predict(AT.table, 0, AT.numbers, 5, packed, d, AT.forms, AT.weights)
            return [...floats.slice(AT.weights / 8, AT.weights / 8 + 5)]
          }
          const expected = run(ridge.predictOne)
          floats.fill(7, AT.forms / 8, AT.forms / 8 + 5)
          expect(run(ridge.estimateOne)).toEqual(expected)
          expect([...floats.slice(AT.forms / 8, AT.forms / 8 + 5)]).toEqual([7, 7, 7, 7, 7])
        },
      ),
    )
  })
})
