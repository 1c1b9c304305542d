/**
 * Links of generalised linear models: the mean reward as a function μ of z = xᵀθ, and the loss −log p(reward | z) up to a constant (McCullagh and
 * Nelder 1989). Both losses are convex in z with derivative μ(z) − reward, so that μ' is their curvature.
 *
 *   logistic  μ(z) = 1/(1 + e⁻ᶻ)   rewards in [0, 1]: clicks, or shares of them
 *   poisson   μ(z) = eᶻ            rewards of at least 0: counts
 *
 * No function is evaluated where it would lose all digits: both tails of the logistic keep their exponent, and e^z beyond float64 is an
 * infinity, which whoever searches a mode steps back from.
 */
import { MillraceError } from '../../../schemas/errors.ts'

export type LinkName = 'logistic' | 'poisson'

export interface Link {
  readonly name: LinkName
  /** The rewards it takes, in words. */
  readonly rewards: string
  accepts(reward: number): boolean
  /** μ(z). */
  mean(z: number): number
  /** reward − μ(z), without the cancellation of a mean near its reward. */
  residual(z: number, reward: number): number
  /** μ'(z), at least 0. */
  slope(z: number): number
  /** −log p(reward | z), up to a constant; convex in z. */
  loss(z: number, reward: number): number
  /**
   * How far the root of z − z₀ = q·(reward − μ(z)) can lie from z₀ at most: with z₀ it brackets the root.
   * @param q above 0
   */
  bound(z0: number, q: number, reward: number): number
}

/** log(1 + e^z), without overflow. */
const softplus = (z: number): number => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)))

const logistic: Link = {
  name: 'logistic',
  rewards: 'from 0 to 1',
  accepts: (reward) => reward >= 0 && reward <= 1,
  mean(z) {
    const tail = Math.exp(-Math.abs(z))
    return z >= 0 ? 1 / (1 + tail) : tail / (1 + tail)
  },
  residual(z, reward) {
    const tail = Math.exp(-Math.abs(z))
    return z > 0 ? reward - 1 + tail / (1 + tail) : reward - tail / (1 + tail)
  },
  slope(z) {
    const tail = Math.exp(-Math.abs(z))
    return tail / (1 + tail) ** 2
  },
  loss: (z, reward) => softplus(z) - reward * z,
  // Up: reward − μ(z) ≤ e⁻ᶻ, so that z − z₀ ≤ W(q·e^−z₀) ≤ log(1 + q·e^−z₀), and never more than q times the residual at z₀. Down: the mirror.
  bound(z0, q, reward) {
    const residual = logistic.residual(z0, reward)
    return residual > 0
      ? z0 + Math.min(q * residual, softplus(Math.log(q) - z0))
      : z0 - Math.min(-q * residual, softplus(Math.log(q) + z0))
  },
}

const poisson: Link = {
  name: 'poisson',
  rewards: 'at least 0',
  accepts: (reward) => reward >= 0,
  mean: Math.exp,
  residual: (z, reward) => reward - Math.exp(z),
  slope: Math.exp,
  loss: (z, reward) => Math.exp(z) - reward * z,
  // No further than where the mean is the reward; down, z₀ − z ≤ q·e^z gives log(1 + q·e^z₀) as above.
  bound(z0, q, reward) {
    const residual = reward - Math.exp(z0)
    return residual > 0
      ? Math.min(Math.log(reward), z0 + q * residual)
      : Math.max(Math.log(reward), z0 - Math.min(-q * residual, softplus(Math.log(q) + z0)))
  },
}

export const LINKS: Readonly<Record<LinkName, Link>> = { logistic, poisson }

/** @throws MillraceError NON_FINITE_NUMBER; INVALID_EVENT where the link has no such reward */
export const requireReward = (link: Link, reward: number): void => {
  if (!Number.isFinite(reward))
    throw new MillraceError('NON_FINITE_NUMBER', `reward: ${reward} is not finite`)
  if (link.accepts(reward)) return
  throw new MillraceError(
    'INVALID_EVENT',
    `reward: ${reward} is not ${link.rewards}, as link ${link.name} asks`,
  )
}
