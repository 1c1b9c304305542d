/**
 * RobustBandit: linear rewards of which an adversary has changed some, by an unknown total C, or the vectors (Ding, Hsieh and Sharpnack 2022, "Robust
 * stochastic linear contextual bandits under adversarial attacks").
 *
 * Were C known, |xᵀ(θ̂ − θ)| ≤ (α(t) + C/√λ)·√(xᵀV⁻¹x) would still hold, so exploration is enlarged from α(t) to α(t) + level. Which level pays is learned by an
 * EXP3 over levels, from the rewards observed, attacked or not. So it is a syndicate with candidates of `corruption`; others (`alpha`, `lambda`) may stand beside them.
 * The base should explore by `alpha: 'theory'`, to which levels are added.
 * Cost and promises: those of a syndicate. A level costs a pass over the arms, nothing else: levels share one model.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { type Candidates, CORRUPTION } from '../exploration/candidate-grid.ts'
import type { TunablePolicy } from '../policy.ts'
import { Syndicate, type SyndicateBase } from './syndicated.ts'
import type { SyndicateOptions } from './syndicated-options.ts'

export interface RobustOptions extends SyndicateOptions {
  /**
   * Levels of corruption that are added to the exploration, at least 0, with 0 among them; `paper` for those of `paperLevels`. Default 0, ½, 1, 2, 4, 8, 16: on attacked
   * arms better than the paper's grid in every respect (bench/robust.ts), since an EXP3 learns seven levels faster than sixty.
   */
  readonly levels?: readonly number[] | 'paper'
  /** Candidates of other hyper-parameters, tuned beside the levels. */
  readonly candidates?: Candidates
  /** Of `paper`: the λ that it is made for; default 1. */
  readonly lambda?: number
}

const LEVELS = [0, 0.5, 1, 2, 4, 8, 16]
/** Without a horizon the paper's grid is made for so many rounds; it grows with √ln T, so that hardly matters. */
const ROUNDS = 1_000_000

/**
 * The grid of the paper's own code: 0, ½, 1, … below 2(⌊√(d ln(T² + T)) + √λ⌋ + 1).
 * @param rounds T
 */
export const paperLevels = (dimension: number, rounds = ROUNDS, lambda = 1): number[] => {
  const root = Math.sqrt(dimension * Math.log(rounds ** 2 + rounds)) + Math.sqrt(lambda)
  return Array.from({ length: 4 * (Math.floor(root) + 1) }, (_, n) => n / 2)
}

/** A robust policy without experience. @throws MillraceError INVALID_CONFIG */
export const robust = <P extends TunablePolicy>(
  base: SyndicateBase<P>,
  { levels = LEVELS, candidates = {}, lambda = 1, ...options }: RobustOptions = {},
): Syndicate<P> => {
  if (CORRUPTION in candidates)
    throw new MillraceError('INVALID_CONFIG', `robust.candidates: '${CORRUPTION}' is given by levels`)
  return new Syndicate(
    base,
    { ...candidates, [CORRUPTION]: levelsOf(base, levels, candidates, lambda, options) },
    options,
  )
}

const levelsOf = (
  base: SyndicateBase,
  levels: readonly number[] | 'paper',
  candidates: Candidates,
  lambda: number,
  { horizon }: SyndicateOptions,
): readonly number[] => {
  if (levels !== 'paper') return levels
  const first = Object.fromEntries(Object.entries(candidates).map(([name, values]) => [name, values[0]!]))
  return paperLevels(base(first).dimension, typeof horizon === 'number' ? horizon : ROUNDS, lambda)
}
