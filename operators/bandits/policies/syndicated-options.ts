/** What a syndicate can be told, with its defaults. */
import { BetaBernoulli } from '../exploration/beta-bernoulli.ts'
import { Exp3, type Exp3Options } from '../exploration/exp3.ts'
import { Exp4 } from '../exploration/exp4.ts'
import type { Tuner } from '../exploration/tuner.ts'
import { requireRules, whole } from '../models/linear-options.ts'

export interface SyndicateOptions extends Exp3Options {
  /**
   * What chooses among candidates: `exp3`; `exp4`, which is not in the paper and learns of every candidate from every reward (exploration/exp4.ts); or one of the
   * baselines: `combined`, one EXP3 over every combination of candidates (TL-Combined), and `thompson`, Beta-Bernoulli Thompson sampling (OP). Default `exp3`.
   */
  readonly tuner?: 'exp3' | 'exp4' | 'combined' | 'thompson'
  /** Outcomes learned with arms taken at random before tuning begins; default 0. */
  readonly warmUp?: number
  /** Share of decisions spread evenly over all arms, in [0, 1]. Default 0.01. */
  readonly explorationFloor?: number
  /** Of `thompson`: draws by which its probabilities are estimated; default 20. */
  readonly draws?: number
}

/** The options that the syndicate itself reads, with their defaults. @throws MillraceError INVALID_CONFIG naming the option */
export const requireSyndicateOptions = ({
  tuner = 'exp3',
  warmUp = 0,
  explorationFloor = 0.01,
}: SyndicateOptions): Required<Pick<SyndicateOptions, 'tuner' | 'warmUp' | 'explorationFloor'>> => {
  requireRules('syndicated', [
    [
      'tuner',
      tuner,
      ['exp3', 'exp4', 'combined', 'thompson'].includes(tuner),
      "'exp3', 'exp4', 'combined' or 'thompson'",
    ],
    ['warmUp', warmUp, whole(warmUp, 0), 'a whole number from 0'],
    ['explorationFloor', explorationFloor, explorationFloor >= 0 && explorationFloor <= 1, 'from 0 to 1'],
  ])
  return { tuner, warmUp, explorationFloor }
}

/** A tuner for so many candidates. @throws MillraceError INVALID_CONFIG */
export const tunerOf = (size: number, options: SyndicateOptions): Tuner => {
  if (options.tuner === 'thompson') return new BetaBernoulli(size, options)
  return options.tuner === 'exp4' ? new Exp4(size, options) : new Exp3(size, options)
}
