/**
 * The mode of N(θ; θ₀, H⁻¹) times the likelihood of one new reward: a step of assumed-density filtering by Laplace's approximation (Chapelle and
 * Li 2011, algorithm 3, with a full covariance). The mode lies on the line θ₀ + s·H⁻¹x, so that z = xᵀθ solves, with z₀ = xᵀθ₀ and q = xᵀH⁻¹x,
 *
 *   z − z₀ = q·(reward − μ(z)),
 *
 * whose right side falls in z: there is one root. Newton's method inside a bracket, halving it where Newton leaves it or is slow (the scheme of
 * Brent and Dekker's kind in Press et al., Numerical Recipes, `rtsafe`). Cost: mostly 3 to 6 evaluations of μ and μ'; never more than 200.
 */
import type { Link } from './generalized-linear-link.ts'

const EVALUATIONS = 200
/** Relative to max(1, |z|): the step behind it is below rounding, where it was Newton's. */
const SMALL = 1e-13

/**
 * z at the mode.
 * @param z0 xᵀθ before
 * @param q xᵀH⁻¹x, at least 0
 */
export const posteriorMode = (link: Link, z0: number, q: number, reward: number): number => {
  const residual = link.residual(z0, reward)
  if (q === 0 || residual === 0) return z0
  const end = link.bound(z0, q, reward)
  let low = Math.min(z0, end)
  let high = Math.max(z0, end)
  let z = z0
  let step = high - low
  // Both sides over max(1, q), so that nothing overflows.
  const scale = Math.max(1, q)
  const share = q / scale
  for (let i = 0; i < EVALUATIONS; i++) {
    const gap = (z - z0) / scale - share * link.residual(z, reward)
    if (gap > 0) high = z
    else low = z
    const slope = 1 / scale + share * link.slope(z)
    let next = z - gap / slope
    // Written so that NaN, of an infinite mean, is outside too.
    const inside = next >= low && next <= high
    if (!inside || 2 * Math.abs(gap) > Math.abs(step * slope)) next = low + (high - low) / 2
    step = next - z
    z = next
    if (Math.abs(step) <= SMALL * Math.max(1, Math.abs(z))) return z
  }
  return z
}
