/** What LinTS can be told beside the options of its linear model, with its defaults. */
import { alphaRules, type TheoreticalAlpha } from '../exploration/theoretical-alpha.ts'
import { type LinearOptions, requireLinearOptions, requireRules, whole } from '../models/linear-options.ts'

export interface LinTsOptions extends LinearOptions {
  /** Exploration: a factor of at least 0 on the posterior's standard deviation, or `theory` (see theoretical-alpha.ts). Default 0.25. */
  readonly alpha?: number | 'theory'
  /** What `theory` assumes. */
  readonly theory?: TheoreticalAlpha
  /** Posterior draws a decision, 1 to 10,000: what its probabilities are estimated from. Default 16. */
  readonly draws?: number
}

/** The options with their defaults. @throws MillraceError INVALID_CONFIG naming the option */
export const requireOptions = (options: LinTsOptions): Required<LinTsOptions> => {
  const full = requireLinearOptions('linTs', { alpha: 0.25, theory: {}, draws: 16, ...options })
  const { alpha, theory, draws } = full
  requireRules('linTs', [
    ...alphaRules(alpha, theory),
    ['draws', draws, whole(draws, 1) && draws <= 10_000, 'a whole number from 1 to 10,000'],
  ])
  return full
}
