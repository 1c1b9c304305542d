import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { standardNormal } from '../../../operators/numerics/normal.ts'
import { Xoshiro128 } from '../../../operators/numerics/random.ts'

const STEP = 2 ** -53

// u, and the quantile at u + 2⁻⁵⁴ computed with 40 digits.
const REFERENCE = [
  [0, -8.292361075813595],
  [STEP, -8.160707840858583],
  [9.999778782798785e-13, -7.034479169463664],
  [1.3887890837338546e-11, -6.657904617210832],
  [1.000000082740371e-10, -6.361340804447662],
  [0.0010000000000000009, -3.0902323061677968],
  [0.07000000000000006, -1.47579102817917],
  [0.07499990000000001, -1.4395321773759],
  [0.07500010000000001, -1.4395307645017292],
  [0.19999999999999996, -0.8416212335729142],
  [0.30000000000000004, -0.5244005127080404],
  [0.4999, -0.00025066283008786836],
  [0.5, 1.3914582123358836e-16],
  [0.6, 0.2533471031357999],
  [0.9, 1.2815515655446008],
  [0.925, 1.4395314709384566],
  [0.975, 1.9599639845400547],
  [0.999999, 4.753424308828306],
  [1 - STEP, 8.292361075813595],
] as const

describe('standard normals', () => {
  it.each(REFERENCE)('has the quantile of %d to 1e-15', (u, z) => {
    expect(Math.abs(standardNormal(u) / z - 1)).toBeLessThan(1e-15)
  })

  it('is symmetric to the last bit, grows with u, and is finite for every number a generator draws', () => {
    const draws = fc.maxSafeNat().map((k) => k * STEP)
    fc.assert(
      fc.property(draws, draws, (u, v) => {
        const z = standardNormal(u)
        expect(standardNormal(1 - STEP - u)).toBe(-z)
        expect(Math.abs(z)).toBeLessThan(8.3)
        // The three pieces meet to a few units of the last place.
        if (u <= v) expect(z).toBeLessThanOrEqual(standardNormal(v) + 1e-14)
      }),
      { numRuns: 2_000 },
    )
  })

  it('has the moments, the tails and the distribution of a standard normal', () => {
    const n = 1_000_000
    const random = new Xoshiro128()
    random.seed(1, 2, 3, 4)
    const draws = Float64Array.from({ length: n }, () => standardNormal(random.uniform()))
    const moment = (k: number): number => draws.reduce((sum, z) => sum + z ** k, 0) / n
    // E z^k, within five standard errors √(E z^2k / n).
    for (const [k, expected, square] of [
      [1, 0, 1],
      [2, 1, 3],
      [3, 0, 15],
      [4, 3, 105],
      [6, 15, 10_395],
    ] as const) {
      expect(Math.abs(moment(k) - expected)).toBeLessThan(5 * Math.sqrt(square / n))
    }
    // P(|z| > t)
    for (const [t, p] of [
      [1, 0.3173105078629141],
      [2, 0.04550026389635841],
      [3, 0.002699796063260189],
      [4, 6.334248366623993e-5],
    ] as const) {
      const share = draws.reduce((count, z) => count + (Math.abs(z) > t ? 1 : 0), 0) / n
      expect(Math.abs(share - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / n))
    }
    // Kolmogorov–Smirnov: at the deciles no further than 1.95/√n (1 in 1,000).
    const deciles = [-1.2815515655446004, -0.8416212335729142, -0.5244005127080407, -0.2533471031357997, 0]
    deciles.forEach((decile, i) => {
      const share = draws.reduce((count, z) => count + (z <= decile ? 1 : 0), 0) / n
      expect(Math.abs(share - (i + 1) / 10)).toBeLessThan(1.95 / Math.sqrt(n))
    })
  })

  it('gives the same bits for the same draws', () => {
    const random = new Xoshiro128()
    random.seed(5, 6, 7, 8)
    const bits = new DataView(new ArrayBuffer(8))
    let hash = 0
    for (let i = 0; i < 10_000; i++) {
      bits.setFloat64(0, standardNormal(random.uniform()))
      hash = (Math.imul(hash, 31) + bits.getInt32(0)) | 0
      hash = (Math.imul(hash, 31) + bits.getInt32(4)) | 0
    }
    expect(hash).toBe(HASH)
  })
})

/** Of ten thousand draws: a change of it changes what every Thompson policy decides. */
const HASH = 1_626_319_636
