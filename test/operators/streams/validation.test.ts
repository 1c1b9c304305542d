import { expect, test } from 'vitest'
import { checkDecision, checkReward } from '../../../operators/streams/validation.ts'
import type { Decision } from '../../../schemas/generated/events.ts'
import { decisionAt, rewardAt } from './events.ts'

const NUMBERS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]

test('a sound decision and a finite reward, negative or zero, pass', () => {
  expect(checkDecision(decisionAt('r', 0))).toBeNull()
  for (const value of [1, 0, -0, -3.5, 1e300]) expect(checkReward(rewardAt('r', 0, value))).toBeNull()
})

test.each(NUMBERS)('a reward of %d is refused', (value) => {
  expect(checkReward(rewardAt('r', 0, value))?.code).toBe('NON_FINITE_NUMBER')
})

test.each<[string, Partial<Decision>, string]>([
  ['probabilities that are not one an arm', { probabilities: [1] }, 'INVALID_PROPENSITY'],
  ['an arm that was not offered', { arm: 'z' }, 'UNKNOWN_ARM'],
  ['no arms', { arms: [], probabilities: [] }, 'UNKNOWN_ARM'],
  ['a negative probability', { probabilities: [1.1, -0.1], propensity: 1.1 }, 'INVALID_PROPENSITY'],
  ['a probability of NaN', { probabilities: [0.995, Number.NaN] }, 'INVALID_PROPENSITY'],
  ['probabilities that do not sum to 1', { probabilities: [0.995, 0.1] }, 'INVALID_PROPENSITY'],
  ['an arm taken with probability 0', { probabilities: [0, 1], propensity: 0 }, 'INVALID_PROPENSITY'],
  ["a propensity that is not the arm's", { propensity: 0.5 }, 'INVALID_PROPENSITY'],
  ['a propensity of NaN', { propensity: Number.NaN }, 'INVALID_PROPENSITY'],
  ...NUMBERS.map((value): [string, Partial<Decision>, string] => [
    `a vector with ${value}`,
    { vector: [1, value] },
    'NON_FINITE_NUMBER',
  ]),
])('a decision with %s is refused', (_, of, code) => {
  const fault = checkDecision({ ...decisionAt('r', 0), ...of })
  expect(fault?.code).toBe(code)
  expect(fault?.message).not.toBe('')
})

test('rounding in a sum of probabilities is no fault', () => {
  const probabilities = Array.from({ length: 10 }, () => 0.1)
  const arms = probabilities.map((_, i) => (i === 0 ? 'a' : `a${i}`))
  expect(checkDecision({ ...decisionAt('r', 0), arms, probabilities, propensity: 0.1 })).toBeNull()
})
