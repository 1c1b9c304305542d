/** What LinUCB can be told beside the options of its linear model, with its defaults. */
import { alphaRules, type TheoreticalAlpha } from '../exploration/theoretical-alpha.ts'
import { type LinearOptions, requireLinearOptions, requireRules } from '../models/linear-options.ts'

export interface LinUcbOptions extends LinearOptions {
  /** Exploration: a factor of at least 0 on the width of an arm's confidence, or `theory` (see theoretical-alpha.ts). Default 0.25. */
  readonly alpha?: number | 'theory'
  /** What `theory` assumes. */
  readonly theory?: TheoreticalAlpha
}

/** The options with their defaults. @throws MillraceError INVALID_CONFIG naming the option */
export const requireOptions = (options: LinUcbOptions): Required<LinUcbOptions> => {
  const full = requireLinearOptions('linUcb', { alpha: 0.25, theory: {}, ...options })
  const { alpha, theory } = full
  requireRules('linUcb', alphaRules(alpha, theory))
  return full
}
