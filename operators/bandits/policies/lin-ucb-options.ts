/** What LinUCB can be told, with its defaults. */
import { MillraceError } from '../../../schemas/errors.ts'
import type { TheoreticalAlpha } from '../exploration/theoretical-alpha.ts'

export interface LinUcbOptions {
  /** `disjoint`: a regression an arm; `shared`: one for all, arms told apart by their vectors. */
  readonly variant: 'disjoint' | 'shared'
  /** Length of an arm's vector, 1 to 8,192. */
  readonly dimension: number
  /** Exploration: a factor of at least 0 on the width of an arm's confidence, or `theory` (see theoretical-alpha.ts). Default 0.25. */
  readonly alpha?: number | 'theory'
  /** What `theory` assumes. */
  readonly theory?: TheoreticalAlpha
  /** Ridge λ, above 0. Default 1. */
  readonly lambda?: number
  /** Share of decisions spread evenly over all arms, in [0, 1]. Default 0.01. */
  readonly explorationFloor?: number
  /** Arms that are remembered; outcomes of further ones are refused (UNKNOWN_ARM). Default 10,000; never more than 4 GiB of matrices. */
  readonly maxArms?: number
  /** Samples of one regression between exact refreshes of its inverse. Default 1,000. */
  readonly refreshEvery?: number
}

/** The options with their defaults. @throws MillraceError INVALID_CONFIG naming the option */
export const requireOptions = (options: LinUcbOptions): Required<LinUcbOptions> => {
  const full = {
    alpha: 0.25,
    theory: {},
    lambda: 1,
    explorationFloor: 0.01,
    maxArms: 10_000,
    refreshEvery: 1_000,
    ...options,
  }
  const { variant, dimension, alpha, lambda, explorationFloor, maxArms, refreshEvery } = full
  const { sigma = 1, delta = 0.1, maxNorm = 1 } = full.theory
  const whole = (value: number, least: number): boolean => Number.isSafeInteger(value) && value >= least
  const rules: readonly (readonly [name: string, value: unknown, holds: boolean, rule: string])[] = [
    ['variant', variant, variant === 'disjoint' || variant === 'shared', "'disjoint' or 'shared'"],
    ['dimension', dimension, whole(dimension, 1) && dimension <= 8_192, 'a whole number from 1 to 8,192'],
    ['alpha', alpha, alpha === 'theory' || (Number.isFinite(alpha) && alpha >= 0), "at least 0, or 'theory'"],
    ['theory.sigma', sigma, Number.isFinite(sigma) && sigma >= 0, 'at least 0'],
    ['theory.delta', delta, delta > 0 && delta < 1, 'between 0 and 1'],
    ['theory.maxNorm', maxNorm, Number.isFinite(maxNorm) && maxNorm >= 0, 'at least 0'],
    ['lambda', lambda, lambda > 0 && Number.isFinite(lambda) && Number.isFinite(1 / lambda), 'above 0'],
    ['explorationFloor', explorationFloor, explorationFloor >= 0 && explorationFloor <= 1, 'from 0 to 1'],
    ['maxArms', maxArms, whole(maxArms, 1), 'a whole number from 1'],
    ['refreshEvery', refreshEvery, whole(refreshEvery, 1), 'a whole number from 1'],
  ]
  for (const [name, value, holds, rule] of rules) {
    if (!holds) throw new MillraceError('INVALID_CONFIG', `linUcb.${name}: ${String(value)} is not ${rule}`)
  }
  return full
}
