/** `policies[].promote`: whether a challenger is promoted by its test, and at which odds. No part of the policy's definition. */
import { z } from 'zod'
import { flag, integer, number } from './units.ts'

export const promotionSchema = z.strictObject({
  automatic: flag().default(false),
  alpha: number(Number.MIN_VALUE, 1 - Number.EPSILON).default(0.05),
  minimum: integer(1, 2 ** 31).default(1_000),
  rewards: z
    .tuple([number(), number()], { error: 'must be a range: [smallest reward, largest reward]' })
    .refine(([low, high]) => low < high, { error: 'must begin with the smaller one' })
    .default([0, 1]),
})

/** When a challenger takes the champion's place. */
export interface PromotionConfig {
  /** Whether it does so by its test; else by `millrace policies promote` alone. */
  readonly automatic: boolean
  /** With this probability at most a challenger that is no better is ever promoted; several share it. */
  readonly alpha: number
  /** Outcomes of the champion that are asked for at least. */
  readonly minimum: number
  /** What every reward lies in. */
  readonly rewards: readonly [low: number, high: number]
}
