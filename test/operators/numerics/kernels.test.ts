import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32 } from '../../../operators/numerics/crc32.ts'
import { hashName } from '../../../operators/numerics/hash-name.ts'
import { packedKernel } from '../../../operators/numerics/packed-kernel.ts'
import {
  addOuter,
  invertPacked,
  multiplyPacked,
  packedLength,
  packOuter,
} from '../../../operators/numerics/packed-symmetric.ts'
import { Ranking } from '../../../operators/numerics/ranking.ts'
import { ridgeKernel } from '../../../operators/numerics/ridge-kernel.ts'
import { createMemory, PAGE } from '../../../operators/numerics/wasm-assembly.ts'

const number = fc.double({ min: -5, max: 5, noNaN: true })
const numbers = (length: number) =>
  fc.array(number, { minLength: length, maxLength: length }).map((values) => Float64Array.from(values))

/** Element (i, j) of a packed symmetric matrix. */
const at = (packed: ArrayLike<number>, i: number, j: number): number =>
  i >= j ? packed[packedLength(i) + j]! : packed[packedLength(j) + i]!

const quadratic = (packed: ArrayLike<number>, x: Float64Array): number => {
  let sum = 0
  for (let i = 0; i < x.length; i++)
    for (let j = 0; j < x.length; j++) sum += at(packed, i, j) * x[i]! * x[j]!
  return sum
}

describe('packed symmetric matrices', () => {
  const case_ = fc
    .integer({ min: 1, max: 9 })
    .chain((d) => fc.tuple(numbers(packedLength(d) + 3), numbers(d)))

  it('multiply, add an outer product and weigh as their full squares do', () => {
    fc.assert(
      fc.property(case_, ([padded, x]) => {
        const d = x.length
        const matrix = padded.slice(3)
        const product = new Float64Array(d)
        multiplyPacked(padded, 3, x, d, product)
        const weights = new Float64Array(packedLength(d) + 2)
        packOuter(x, 0, d, weights, 2)
        let weighed = 0
        for (let k = 0; k < packedLength(d); k++) weighed += weights[k + 2]! * matrix[k]!
        expect(weighed).toBeCloseTo(quadratic(matrix, x), 9)
        for (let i = 0; i < d; i++) {
          let sum = 0
          for (let j = 0; j < d; j++) sum += at(matrix, i, j) * x[j]!
          expect(product[i]).toBeCloseTo(sum, 9)
        }
        addOuter(padded, 3, Float64Array.of(7, ...x), 1, d)
        for (let i = 0; i < d; i++) {
          for (let j = 0; j <= i; j++) {
            expect(at(padded.slice(3), i, j)).toBeCloseTo(at(matrix, i, j) + x[i]! * x[j]!, 9)
          }
        }
      }),
    )
  })

  it('invert a Gram matrix plus a ridge', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }).chain((d) => fc.array(numbers(d), { minLength: 1, maxLength: 12 })),
        fc.double({ min: 0.01, max: 10, noNaN: true }),
        (rows, ridge) => {
          const d = rows[0]!.length
          const gram = new Float64Array(packedLength(d))
          for (const row of rows) addOuter(gram, 0, row, 0, d)
          const inverse = new Float64Array(packedLength(d))
          expect(invertPacked(gram, 0, ridge, d, new Float64Array(packedLength(d)), inverse)).toBe(true)
          for (let i = 0; i < d; i++) {
            for (let j = 0; j < d; j++) {
              let sum = ridge * at(inverse, i, j)
              for (let k = 0; k < d; k++) sum += at(gram, i, k) * at(inverse, k, j)
              expect(sum).toBeCloseTo(i === j ? 1 : 0, 7)
            }
          }
        },
      ),
    )
  })

  it('have a finite inverse even where the sums have swallowed the ridge', () => {
    const d = 4
    const gram = new Float64Array(packedLength(d))
    addOuter(gram, 0, Float64Array.of(1e100, 1e100, 1e100, 1e-3), 0, d)
    const inverse = new Float64Array(packedLength(d))
    expect(invertPacked(gram, 0, 1e-9, d, new Float64Array(packedLength(d)), inverse)).toBe(true)
    for (let i = 0; i < d; i++) expect(at(inverse, i, i)).toBeGreaterThan(0)
  })
})

describe('the kernel of packed matrices', () => {
  const memory = createMemory(1)
  const kernel = packedKernel(memory)
  const floats = new Float64Array(memory.buffer)
  const GUARD = 7
  /** Runs a step on numbers laid one after the other from an odd place on, `GUARD` on either side. */
  const run = (matrix: Float64Array, vectors: readonly Float64Array[], step: (at: number[]) => void) => {
    floats.fill(GUARD)
    const places: number[] = []
    let next = 3
    for (const part of [matrix, ...vectors]) {
      floats.set(part, next)
      places.push(next)
      next += part.length + 1
    }
    step(places.map((place) => 8 * place))
    const parts = [matrix, ...vectors].map((part, n) => floats.slice(places[n]!, places[n]! + part.length))
    places.forEach((place, n) => {
      expect([floats[place - 1], floats[place + parts[n]!.length]]).toEqual([GUARD, GUARD])
    })
    return parts
  }
  const case_ = fc
    .integer({ min: 1, max: 12 })
    .chain((d) => fc.tuple(numbers(packedLength(d)), numbers(d), fc.double({ min: -2, max: 2, noNaN: true })))

  it('multiplies as the plain loops do, and touches nothing else', () => {
    fc.assert(
      fc.property(case_, ([matrix, x]) => {
        const d = x.length
        const expected = new Float64Array(d)
        multiplyPacked(matrix, 0, x, d, expected)
        const parts = run(matrix, [x, new Float64Array(d).fill(GUARD)], ([a, from, to]) =>
          kernel.multiply(a!, from!, to!, d),
        )
        expect([parts[0], parts[1]]).toEqual([matrix, x])
        expected.forEach((value, i) => {
          expect(parts[2]![i]).toBeCloseTo(value, 9)
        })
      }),
    )
  })

  it('adds a product to every number of the triangle with the bits of plain arithmetic, and touches nothing else', () => {
    fc.assert(
      fc.property(case_, ([matrix, y, factor]) => {
        const d = y.length
        const x = y.map((value) => factor * value)
        const expected = matrix.slice()
        for (let i = 0; i < d; i++)
          for (let j = 0; j <= i; j++) expected[packedLength(i) + j]! += x[i]! * y[j]!
        expect(run(matrix, [x, y], ([a, left, right]) => kernel.addProduct(a!, left!, right!, d))).toEqual([
          expected,
          x,
          y,
        ])
        const square = matrix.slice()
        addOuter(square, 0, y, 0, d)
        expect(run(matrix, [y], ([a, both]) => kernel.addProduct(a!, both!, both!, d))).toEqual([square, y])
      }),
    )
  })
})

describe('the ridge kernel', () => {
  const table = fc
    .record({
      d: fc.integer({ min: 1, max: 9 }),
      regressions: fc.integer({ min: 1, max: 6 }),
      count: fc.nat(11),
    })
    .chain(({ d, regressions, count }) =>
      fc.record({
        d: fc.constant(d),
        rows: numbers(regressions * (packedLength(d) + d)),
        picked: fc.array(fc.nat(regressions - 1), { minLength: count, maxLength: count }),
        vectors: numbers(Math.max(count, 1) * d),
      }),
    )

  it('gives xᵀV⁻¹x and θᵀx of every pair, each with the same bits wherever it stands', () => {
    const memory = createMemory(4)
    const kernel = ridgeKernel(memory)
    const floats = new Float64Array(memory.buffer)
    const words = new Uint32Array(memory.buffer)
    const AT = { vectors: 1_024, variances: 8_192, estimates: 9_216, table: PAGE }
    fc.assert(
      fc.property(table, ({ d, rows, picked, vectors }) => {
        const packed = packedLength(d)
        const stride = packed + d
        const count = picked.length
        const run = (predict: typeof kernel.predictOne, order: readonly number[], inputs: Float64Array) => {
          floats.set(rows, AT.table / 8)
          floats.set(inputs, AT.vectors / 8)
          order.forEach((n, place) => {
            words[place] = picked[n]!
          })
          floats.fill(7, AT.variances / 8, AT.variances / 8 + 20)
          predict(AT.table, 0, AT.vectors, count, packed, d, AT.variances, AT.estimates)
          expect(floats[AT.variances / 8 + count]).toBe(7)
          return order.map((_, place) => [
            floats[AT.variances / 8 + place]!,
            floats[AT.estimates / 8 + place]!,
          ])
        }
        const order = picked.map((_, n) => n)
        const backwards = [...order].reverse()
        const vector = (n: number) => vectors.slice(n * d, (n + 1) * d)
        const expected = (n: number, x: Float64Array) => {
          const row = rows.slice(picked[n]! * stride, (picked[n]! + 1) * stride)
          return [quadratic(row, x), x.reduce((sum, xi, i) => sum + xi * row[packed + i]!, 0)]
        }
        const each = run(kernel.predictEach, order, vectors)
        const eachBackwards = run(
          kernel.predictEach,
          backwards,
          Float64Array.from(backwards.flatMap((n) => [...vector(n)])),
        )
        expect(eachBackwards.reverse()).toEqual(each)

        const weights = new Float64Array(stride)
        packOuter(vectors, 0, d, weights, 0)
        weights.set(vector(0), packed)
        const one = run(kernel.predictOne, order, weights)
        expect(run(kernel.predictOne, backwards, weights).reverse()).toEqual(one)
        order.forEach((n) => {
          expected(n, vector(n)).forEach((value, i) => {
            expect(each[n]![i]).toBeCloseTo(value, 9)
          })
          expected(n, vector(0)).forEach((value, i) => {
            expect(one[n]![i]).toBeCloseTo(value, 9)
          })
        })
      }),
    )
  })
})

describe('ranking', () => {
  it('orders by falling score, equal scores by rising index', () => {
    const ranking = new Ranking()
    fc.assert(
      fc.property(fc.array(fc.oneof(number, fc.constantFrom(0, 1, 2)), { maxLength: 400 }), (scores) => {
        const order = new Int32Array(scores.length)
        ranking.rank(Float64Array.from(scores), scores.length, order)
        const expected = scores.map((_, i) => i).sort((a, b) => scores[b]! - scores[a]! || a - b)
        expect([...order]).toEqual(expected)
      }),
    )
  })
})

describe('CRC-32', () => {
  it('gives the check value of the standard', () => {
    expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926)
    expect(crc32(new Uint8Array(0))).toBe(0)
  })

  it('is the remainder of the standard, bit by bit, whatever the length and the place in memory', () => {
    const slow = (bytes: Uint8Array): number => {
      let crc = -1
      for (const byte of bytes) {
        crc ^= byte
        for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
      }
      return ~crc >>> 0
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100, size: 'max' }), fc.nat(9), (bytes, from) => {
        expect(crc32(bytes.subarray(from))).toBe(slow(bytes.subarray(from)))
      }),
    )
  })
})

describe('the hash of a name', () => {
  it('spreads names evenly over positions and signs', () => {
    const cells = new Array<number>(32).fill(0)
    let negative = 0
    for (let i = 0; i < 20_000; i++) {
      const hash = hashName(`feature_${i}`)
      cells[hash & 31]! += 1
      negative += hash >>> 31
    }
    const expected = 20_000 / 32
    expect(cells.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)).toBeLessThan(75)
    expect(Math.abs(negative - 10_000)).toBeLessThan(400)
  })

  it('depends on the seed and on every character', () => {
    expect(hashName('age', 1)).not.toBe(hashName('age', 2))
    expect(hashName('ab')).not.toBe(hashName('ba'))
    expect(hashName('ā')).not.toBe(hashName('a'))
  })
})
