import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LINKS } from '../../../../operators/bandits/models/generalized-linear-link.ts'
import { posteriorMode } from '../../../../operators/bandits/models/posterior-mode.ts'

const { logistic, poisson } = LINKS
const rewards = {
  logistic: fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true })),
  poisson: fc.oneof(fc.nat(5), fc.double({ min: 0, max: 1e12, noNaN: true })),
}
const variance = fc.oneof(
  fc.double({ min: 0, max: 100, noNaN: true }),
  fc.double({ min: -300, max: 300, noNaN: true }).map((power) => 10 ** power),
)

describe('the mode of a posterior along a line', () => {
  for (const link of [logistic, poisson]) {
    it(`solves z − z₀ = q·(reward − μ(z)) from anywhere, ${link.name}`, () => {
      fc.assert(
        fc.property(
          fc.double({ min: -700, max: 700, noNaN: true }),
          variance,
          rewards[link.name],
          (z0, q, y) => {
            const z = posteriorMode(link, z0, q, y)
            expect(Number.isFinite(z)).toBe(true)
            // The two sides cross at z: left of it the one is less, right of it more.
            const gap = (at: number) => at - z0 - (q === 0 ? 0 : q * link.residual(at, y))
            const near = 1e-11 * Math.max(1, Math.abs(z), Math.abs(z0))
            expect(gap(z - near)).toBeLessThanOrEqual(0)
            expect(gap(z + near)).toBeGreaterThanOrEqual(0)
          },
        ),
        { numRuns: 1_000 },
      )
    })
  }

  it('stays where the reward is what was expected, or nothing is uncertain', () => {
    expect(posteriorMode(logistic, 0, 5, 0.5)).toBe(0)
    expect(posteriorMode(poisson, 0, 5, 1)).toBe(0)
    expect(posteriorMode(logistic, 3, 0, 0)).toBe(3)
  })

  it('agrees with a solution in closed form: Poisson with reward 0 and z₀ = 0, where −z·e^−z = q', () => {
    expect(posteriorMode(poisson, 0, Math.E, 0)).toBeCloseTo(-1, 13)
    expect(posteriorMode(poisson, 0, 2 * Math.E ** 2, 0)).toBeCloseTo(-2, 13)
  })

  it('comes back from where e^z is no number any more', () => {
    const z = posteriorMode(poisson, 5_000, 2, 3)
    expect(Math.abs((z - 5_000) / 2 - (3 - Math.exp(z))) / Math.exp(z)).toBeLessThan(1e-9)
  })
})

describe('links', () => {
  it.each(['logistic', 'poisson'] as const)(
    'have the mean as the slope of their loss, and its slope beside, %s',
    (name) => {
      const link = LINKS[name]
      for (const z of [-30, -3, -0.5, 0, 0.7, 4, 20]) {
        const h = 1e-5
        const y = 0.25
        const slope = (link.loss(z + h, y) - link.loss(z - h, y)) / (2 * h)
        expect(link.residual(z, y)).toBeCloseTo(y - link.mean(z), 12)
        expect(slope + y).toBeCloseTo(link.mean(z), link.mean(z) > 1e3 ? -2 : 5)
        const curvature = (link.mean(z + h) - link.mean(z - h)) / (2 * h)
        expect(Math.abs(curvature - link.slope(z))).toBeLessThanOrEqual(1e-6 * Math.max(1, link.slope(z)))
      }
    },
  )

  it('keep the exponent of both tails', () => {
    expect(logistic.mean(-700)).toBeCloseTo(Math.exp(-700), 310)
    expect(logistic.residual(700, 1)).toBe(logistic.mean(-700))
    expect(logistic.slope(700)).toBe(logistic.slope(-700))
    expect(logistic.slope(700)).toBeGreaterThan(0)
    expect(logistic.loss(-1_000, 1)).toBe(1_000)
    expect(logistic.loss(1_000, 1)).toBe(0)
  })
})
