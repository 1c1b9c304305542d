/** What policies over a linear model (LinUCB, LinTS, ε-greedy, SquareCB) can all be told, with its defaults; each adds its own options. */
import { MillraceError } from '../../../schemas/errors.ts'

/** How old outcomes lose their weight; see models/discounted-ridge.ts and models/windowed-ridge.ts. */
export type Forgetting = 'never' | { readonly discount: number } | { readonly window: number }

export interface LinearOptions {
  /** `disjoint`: a regression an arm; `shared`: one for all, arms told apart by their vectors. */
  readonly variant: 'disjoint' | 'shared'
  /** Length of an arm's vector, 1 to 8,192. */
  readonly dimension: number
  /** Ridge λ, above 0. Default 1. */
  readonly lambda?: number
  /** Share of decisions spread evenly over all arms, in [0, 1]. Default 0.01. */
  readonly explorationFloor?: number
  /**
   * Arms of a disjoint policy that are remembered; a further one takes the place of the arm learned least recently. Default 10,000; never more
   * than 4 GiB of matrices.
   */
  readonly maxArms?: number
  /** Samples of one regression between exact refreshes of its inverse. Default 1,000. */
  readonly refreshEvery?: number
  /** Where an arm of a disjoint policy starts: at `zero`, or at `pooled`, what a regression over all arms has learned. Default `zero`. */
  readonly prior?: 'zero' | 'pooled'
  /**
   * Old outcomes: `never` forgotten; weighed by `discount` γ, in (0, 1), to the power of the policy's outcomes since; or left out when they are not
   * among the last `window` of the policy, 1 to 1,000,000. Default `never`.
   */
  readonly forgetting?: Forgetting
}

/** A rule that an option's value holds or not. */
export type OptionRule = readonly [name: string, value: unknown, holds: boolean, rule: string]

/** Whether a value is a whole number of at least `least`. */
export const whole = (value: number, least: number): boolean => Number.isSafeInteger(value) && value >= least

/** @throws MillraceError INVALID_CONFIG naming the first option that breaks its rule, as `policy.option` */
export const requireRules = (policy: string, rules: readonly OptionRule[]): void => {
  for (const [name, value, holds, rule] of rules) {
    if (!holds)
      throw new MillraceError('INVALID_CONFIG', `${policy}.${name}: ${String(value)} is not ${rule}`)
  }
}

/**
 * The options with their defaults, and whatever else they hold.
 * @param policy the algorithm's name: errors say `linUcb.lambda`
 * @throws MillraceError INVALID_CONFIG naming the option
 */
export const requireLinearOptions = <Options extends LinearOptions>(
  policy: string,
  options: Options,
): Options & Required<LinearOptions> => {
  const full = {
    lambda: 1,
    explorationFloor: 0.01,
    maxArms: 10_000,
    refreshEvery: 1_000,
    prior: 'zero' as const,
    forgetting: 'never' as const,
    ...options,
  }
  const { variant, dimension, lambda, explorationFloor, maxArms, refreshEvery, prior } = full
  const anyPrior = prior === 'zero' || (prior === 'pooled' && variant === 'disjoint')
  requireRules(policy, [
    ['variant', variant, variant === 'disjoint' || variant === 'shared', "'disjoint' or 'shared'"],
    ['dimension', dimension, whole(dimension, 1) && dimension <= 8_192, 'a whole number from 1 to 8,192'],
    ['lambda', lambda, lambda > 0 && Number.isFinite(lambda) && Number.isFinite(1 / lambda), 'above 0'],
    ['explorationFloor', explorationFloor, explorationFloor >= 0 && explorationFloor <= 1, 'from 0 to 1'],
    ['maxArms', maxArms, whole(maxArms, 1), 'a whole number from 1'],
    ['refreshEvery', refreshEvery, whole(refreshEvery, 1), 'a whole number from 1'],
    ['prior', prior, anyPrior, "'zero', or 'pooled' where arms are disjoint"],
    ...forgettingRules(full.forgetting),
  ])
  return full
}

const forgettingRules = (forgetting: Forgetting): OptionRule[] => {
  if (forgetting === 'never') return []
  const known = typeof forgetting === 'object' && forgetting !== null && Object.keys(forgetting).length === 1
  if (known && 'discount' in forgetting) {
    const { discount } = forgetting
    return [['forgetting.discount', discount, discount > 0 && discount < 1, 'between 0 and 1']]
  }
  if (known && 'window' in forgetting) {
    const { window } = forgetting
    const holds = whole(window, 1) && window <= 1_000_000
    return [['forgetting.window', window, holds, 'a whole number from 1 to 1,000,000']]
  }
  return [['forgetting', JSON.stringify(forgetting), false, "'never', a discount or a window"]]
}
