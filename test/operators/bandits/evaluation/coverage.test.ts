/** Intervals of 95% are right about as often as they say, for a reward model that learns from the very log it corrects. */
import { expect, test } from 'vitest'
import { OffPolicyEvaluation } from '../../../../operators/bandits/evaluation/evaluation.ts'
import { interval } from '../../../../operators/bandits/evaluation/interval.ts'
import { RewardModel } from '../../../../operators/bandits/evaluation/reward-model.ts'
import { verdictOf } from '../../../../operators/bandits/evaluation/verdict.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'

const ARMS = ['a', 'b', 'c']
const LOGS = 300
const STEPS = 600

/** Click rates of the arms on either side of the context. */
const RATES = { left: [0.1, 0.3, 0.5], right: [0.6, 0.3, 0.1] } as const
const LOGGING = [0.5, 0.3, 0.2]
const TARGET = { left: [0.1, 0.2, 0.7], right: [0.6, 0.2, 0.2] } as const
const TRUTH = (0.1 * 0.1 + 0.2 * 0.3 + 0.7 * 0.5 + (0.6 * 0.6 + 0.2 * 0.3 + 0.2 * 0.1)) / 2

const reportOf = (seed: number, target: typeof TARGET | null) => {
  const random = new Xoshiro128()
  random.seed(seed, 5, 6, 7)
  const evaluation = new OffPolicyEvaluation()
  const model = new RewardModel({ variant: 'disjoint', dimension: 2 })
  for (let i = 0; i < STEPS; i++) {
    const side = random.uniform() < 0.5 ? 'left' : 'right'
    const u = random.uniform()
    const taken = u < 0.5 ? 0 : u < 0.8 ? 1 : 2
    const reward = random.uniform() < RATES[side][taken]! ? 1 : 0
    const vector = side === 'left' ? [1, 0] : [0, 1]
    const vectors = Float64Array.from([...vector, ...vector, ...vector])
    const predictions = model.predict({ arms: ARMS, vectors, oneVector: true })
    const logged = {
      arms: ARMS,
      arm: ARMS[taken]!,
      propensity: LOGGING[taken]!,
      probabilities: LOGGING,
      reward,
    }
    evaluation.take(
      logged,
      { arms: ARMS, probabilities: target?.[side] ?? LOGGING.toReversed() },
      predictions,
    )
    model.learn(ARMS[taken]!, vectors.subarray(0, 2), reward)
  }
  return evaluation.report
}

test('of IPS, SNIPS, DR and SNDR; with the model the intervals are narrower', () => {
  const covered = { ips: 0, snips: 0, dr: 0, sndr: 0 }
  const width = { ips: 0, snips: 0, dr: 0, sndr: 0 }
  for (let seed = 0; seed < LOGS; seed++) {
    const report = reportOf(seed, TARGET)
    for (const name of ['ips', 'snips', 'dr', 'sndr'] as const) {
      const [low, high] = interval(report[name])
      if (low <= TRUTH && TRUTH <= high) covered[name]++
      width[name] += (high - low) / LOGS
    }
  }
  // Four deviations of a binomial about 95%.
  for (const right of Object.values(covered)) expect(Math.abs(right / LOGS - 0.95)).toBeLessThan(0.05)
  expect(width.dr).toBeLessThan(width.snips)
  expect(width.snips).toBeLessThan(width.ips)
})

test('of the gain: the interval behind a verdict', () => {
  const worth = (share: readonly number[]) =>
    share.reduce((sum, p, a) => sum + (p * (RATES.left[a]! + RATES.right[a]!)) / 2, 0)
  const truth = worth(LOGGING.toReversed()) - worth(LOGGING)
  let wrong = 0
  for (let seed = 0; seed < LOGS; seed++) {
    const verdict = verdictOf(reportOf(seed, null))
    if (verdict.is === 'refused') continue
    const [low, high] = verdict.between
    if (truth < low || truth > high) wrong++
  }
  expect(wrong / LOGS).toBeLessThan(0.1)
})
