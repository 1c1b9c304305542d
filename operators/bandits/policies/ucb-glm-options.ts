/** What UCB-GLM can be told, with its defaults. */
import { alphaRules, type TheoreticalAlpha } from '../exploration/theoretical-alpha.ts'
import { LINKS, type LinkName } from '../models/generalized-linear-link.ts'
import { requireRules, whole } from '../models/linear-options.ts'

export interface UcbGlmOptions {
  /** `disjoint`: a regression an arm; `shared`: one for all, arms told apart by their vectors. */
  readonly variant: 'disjoint' | 'shared'
  /** Length of an arm's vector, 1 to 8,192. */
  readonly dimension: number
  /** `logistic`: rewards from 0 to 1; `poisson`: rewards of at least 0, counts. Other rewards are refused (INVALID_EVENT). */
  readonly link: LinkName
  /** `streaming`: one step an outcome, memory bounded; `exact`: all outcomes kept and fitted anew. Default `streaming`. */
  readonly fit?: 'streaming' | 'exact'
  /** Exploration: a factor of at least 0 on the width of an arm's confidence in xᵀθ, or `theory` (see theoretical-alpha.ts). Default 0.5. */
  readonly alpha?: number | 'theory'
  /** What `theory` assumes. */
  readonly theory?: TheoreticalAlpha
  /** λ of V = λI + Σxxᵀ, above 0; of `exact` alone, but see `ridge`. Default 1. */
  readonly lambda?: number
  /** Precision of the prior of θ, above 0: the penalty is ridge/2·|θ|². Default: `lambda`. */
  readonly ridge?: number
  /** Share of decisions spread evenly over all arms, in [0, 1]. Default 0.01. */
  readonly explorationFloor?: number
  /**
   * Arms of a disjoint policy that are remembered; a further one takes the place of the arm learned least recently. Default 10,000; of `streaming`
   * never more than 4 GiB of matrices.
   */
  readonly maxArms?: number
  /** Of `exact`: outcomes kept, of all arms together; beyond them the oldest go. Default 10,000. */
  readonly maxRows?: number
  /** Of `streaming`: outcomes of one regression between exact refreshes of its inverse. Default 1,000. */
  readonly refreshEvery?: number
  /**
   * Of `streaming`: where an arm of a disjoint policy starts, at `zero`, or at `pooled`, what a regression over all arms has learned. Default `zero`.
   */
  readonly prior?: 'zero' | 'pooled'
}

/** The options with their defaults. @throws MillraceError INVALID_CONFIG naming the option */
export const requireOptions = (options: UcbGlmOptions): Required<UcbGlmOptions> => {
  const full = {
    fit: 'streaming' as const,
    alpha: 0.5,
    theory: {},
    lambda: 1,
    ridge: options.lambda ?? 1,
    explorationFloor: 0.01,
    maxArms: 10_000,
    maxRows: 10_000,
    refreshEvery: 1_000,
    prior: 'zero' as const,
    ...options,
  }
  const { variant, dimension, link, fit, alpha, lambda, ridge, explorationFloor } = full
  const { maxArms, maxRows, refreshEvery, prior } = full
  const precision = (value: number): boolean =>
    value > 0 && Number.isFinite(value) && Number.isFinite(1 / value)
  const anyPrior = prior === 'zero' || (prior === 'pooled' && variant === 'disjoint' && fit === 'streaming')
  requireRules('ucbGlm', [
    ['variant', variant, variant === 'disjoint' || variant === 'shared', "'disjoint' or 'shared'"],
    ['dimension', dimension, whole(dimension, 1) && dimension <= 8_192, 'a whole number from 1 to 8,192'],
    ['link', link, Object.hasOwn(LINKS, link), "'logistic' or 'poisson'"],
    ['fit', fit, fit === 'streaming' || fit === 'exact', "'streaming' or 'exact'"],
    ...alphaRules(alpha, full.theory),
    ['lambda', lambda, precision(lambda), 'above 0'],
    ['ridge', ridge, precision(ridge), 'above 0'],
    ['explorationFloor', explorationFloor, explorationFloor >= 0 && explorationFloor <= 1, 'from 0 to 1'],
    ['maxArms', maxArms, whole(maxArms, 1), 'a whole number from 1'],
    ['maxRows', maxRows, whole(maxRows, 1), 'a whole number from 1'],
    ['refreshEvery', refreshEvery, whole(refreshEvery, 1), 'a whole number from 1'],
    ['prior', prior, anyPrior, "'zero', or 'pooled' where arms are disjoint and the fit is streaming"],
  ])
  return full
}
