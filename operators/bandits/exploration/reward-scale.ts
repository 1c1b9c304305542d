/** How a reward becomes the number between 0 and 1 that tuners of hyper-parameters count in. */
import { MillraceError } from '../../../schemas/errors.ts'

export interface RewardScaleOptions {
  /** The reward that counts 0 and the one that counts 1; default [0, 1]. */
  readonly rewardRange?: readonly [number, number]
  /** Whether rewards outside count as the nearer end; default true. The analysis of EXP3 asks for it. */
  readonly clip?: boolean
}

/**
 * The map (r − low)/(high − low), clipped to [0, 1] unless told otherwise.
 * @throws MillraceError INVALID_CONFIG
 */
export const rewardScale = ({
  rewardRange = [0, 1],
  clip = true,
}: RewardScaleOptions): ((reward: number) => number) => {
  const [low, high] = rewardRange
  if (!(Number.isFinite(low) && Number.isFinite(high) && high - low > 0 && Number.isFinite(1 / (high - low))))
    throw new MillraceError('INVALID_CONFIG', `rewardRange: [${low}, ${high}] is not a range`)
  const span = high - low
  return clip
    ? (reward) => Math.min(Math.max((reward - low) / span, 0), 1)
    : (reward) => (reward - low) / span
}
