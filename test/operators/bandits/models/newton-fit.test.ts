import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LINKS, type LinkName } from '../../../../operators/bandits/models/generalized-linear-link.ts'
import { NewtonFit } from '../../../../operators/bandits/models/newton-fit.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'

const fitted = (link: LinkName, rows: readonly (readonly number[])[], ridge: number): Float64Array => {
  const width = rows[0]!.length
  const theta = new Float64Array(width - 1)
  const flat = Float64Array.from([Number.NaN, ...rows.flat()])
  new NewtonFit(LINKS[link], width - 1, ridge).fit(flat, 1, rows.length, width, theta)
  return theta
}

/** Σ (μ(xᵀθ) − reward)·x + ridge·θ. */
const gradient = (link: LinkName, rows: readonly (readonly number[])[], ridge: number, theta: Float64Array) =>
  [...theta].map((weight, i) =>
    rows.reduce((sum, row) => {
      const z = theta.reduce((total, each, k) => total + each * row[k]!, 0)
      return sum + (LINKS[link].mean(z) - row.at(-1)!) * row[i]!
    }, ridge * weight),
  )

describe('the fit by Newton’s method', () => {
  it('solves one feature by hand: a ridge that balances the residual at z = log 3', () => {
    // μ = 3/4: (1 − 3/4)·1 = ridge·log 3.
    expect(fitted('logistic', [[1, 1]], 0.25 / Math.log(3))[0]).toBeCloseTo(Math.log(3), 12)
    // μ = 3: 5 − 3 = ridge·log 3.
    expect(fitted('poisson', [[1, 5]], 2 / Math.log(3))[0]).toBeCloseTo(Math.log(3), 12)
  })

  it.each(['logistic', 'poisson'] as const)(
    'ends where no part of the gradient is above 1e-10, %s',
    (link) => {
      const random = new Xoshiro128()
      for (const [n, d, ridge, scale] of [
        [1, 3, 1, 1],
        [5, 8, 0.01, 1],
        [500, 4, 1, 1],
        [500, 4, 1e-3, 5],
        [2_000, 10, 1, 2],
      ] as const) {
        random.seed(n, d, 1, 1)
        const rows = Array.from({ length: n }, () => {
          const x = Array.from({ length: d }, () => scale * (2 * random.uniform() - 1))
          const mean = LINKS[link].mean((x[0]! - x[1]!) / scale)
          return [
            ...x,
            link === 'logistic' ? Number(random.uniform() < mean) : Math.round(2 * mean * random.uniform()),
          ]
        })
        const worst = Math.max(...gradient(link, rows, ridge, fitted(link, rows, ridge)).map(Math.abs))
        expect(worst).toBeLessThan(2e-10)
      }
    },
  )

  it('finds the maximum where plain Newton steps would run away', () => {
    // Far apart rows under a weak ridge: a full first step overshoots by orders.
    const rows = [
      [0.01, 50_000],
      [10, 0],
    ]
    const theta = fitted('poisson', rows, 1e-6)
    const [residual] = gradient('poisson', rows, 1e-6, theta)
    expect(Math.abs(residual!)).toBeLessThan(1e-6)
  })

  it('stays finite, whatever finite rows come', () => {
    const number = fc.oneof(
      fc.double({ min: -10, max: 10, noNaN: true }),
      fc.double({ min: -1e150, max: 1e150, noNaN: true }),
    )
    const row = fc.tuple(
      number,
      number,
      fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true })),
    )
    fc.assert(
      fc.property(
        fc.constantFrom('logistic', 'poisson'),
        fc.array(row, { minLength: 1, maxLength: 9 }),
        (link, rows) => {
          for (const weight of fitted(link, rows, 0.5)) expect(Number.isFinite(weight)).toBe(true)
        },
      ),
    )
  })
})
