import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OffPolicyEvaluation } from '../../../../operators/bandits/evaluation/evaluation.ts'
import type { LoggedStep } from '../../../../operators/bandits/evaluation/support.ts'
import { expectedSampleSize, verdictOf } from '../../../../operators/bandits/evaluation/verdict.ts'
import { codeOf } from '../../../../schemas/errors.ts'

const ARMS = ['a', 'b', 'c']

const step = (of: Partial<LoggedStep> = {}): LoggedStep => ({
  arms: ARMS,
  arm: 'a',
  propensity: 0.5,
  probabilities: [0.5, 0.3, 0.2],
  reward: 1,
  ...of,
})

const target = (...probabilities: number[]) => ({ arms: ARMS, probabilities })

/** An evaluation of so many equal steps. */
const evaluated = (count: number, logged: LoggedStep, probabilities: number[]) => {
  const evaluation = new OffPolicyEvaluation()
  for (let i = 0; i < count; i++) evaluation.take(logged, target(...probabilities))
  return evaluation.report
}

describe('support', () => {
  it('is missing by the target’s mass where the log gives an arm no probability', () => {
    const logged = step({ probabilities: [0.5, 0.5, 0] })
    const { support } = evaluated(200, logged, [0.6, 0.3, 0.1])
    expect(support).toMatchObject({ steps: 200, unknown: 0, supported: false })
    expect(support.missing).toBeCloseTo(0.1, 12)
    expect(support.largest).toBeCloseTo(0.1, 12)
  })

  it('is missing for arms that the log does not know, in whatever order it names them', () => {
    const logged = step({ arms: ['b', 'a'], probabilities: [0.5, 0.5] })
    expect(evaluated(1, logged, [0.6, 0.3, 0.1]).support.missing).toBeCloseTo(0.1, 12)
    expect(evaluated(1, logged, [0.7, 0.3, 0]).support).toMatchObject({
      missing: 0,
      steps: 0,
      supported: true,
    })
  })

  it('is missing over all steps by the mean, and rounding is no mass', () => {
    const evaluation = new OffPolicyEvaluation()
    const without = step({ probabilities: [0.5, 0.5, 0] })
    evaluation.take(without, target(0.5, 0.5, 1e-12))
    expect(evaluation.report.support).toMatchObject({ steps: 0, supported: true })
    evaluation.take(without, target(0.4, 0.3, 0.3))
    for (let i = 0; i < 8; i++) evaluation.take(step(), target(0.4, 0.3, 0.3))
    const { support } = evaluation.report
    expect(support.missing).toBeCloseTo(0.03, 12)
    expect(support.largest).toBeCloseTo(0.3, 12)
    expect(support.steps).toBe(1)
  })

  it('is unknown where the log holds no probabilities', () => {
    const { support } = evaluated(5, step({ probabilities: null }), [0.6, 0.3, 0.1])
    expect(support).toEqual({
      missing: 0,
      steps: 0,
      largest: 0,
      expectedSquare: Number.NaN,
      unknown: 5,
      supported: true,
    })
  })

  it('tolerates what it is told to', () => {
    const evaluation = new OffPolicyEvaluation({ supportTolerance: 0.2 })
    evaluation.take(step({ probabilities: [0.5, 0.5, 0] }), target(0.6, 0.3, 0.1))
    expect(evaluation.report.support.supported).toBe(true)
  })
})

describe('the weights to be expected', () => {
  it('are those of the logged probabilities, whatever arms were taken', () => {
    expect(evaluated(3, step(), [0.6, 0.3, 0.1]).support.expectedSquare).toBeCloseTo(
      0.36 / 0.5 + 0.09 / 0.3 + 0.01 / 0.2,
      12,
    )
    expect(evaluated(3, step(), [0.5, 0.3, 0.2]).support.expectedSquare).toBeCloseTo(1, 12)
  })

  it('keep few differences that happened to weigh little from passing for a gain', () => {
    const floor = 0.05 / 3
    const log = [1 - 2 * floor, floor, floor]
    const evaluation = new OffPolicyEvaluation()
    for (let i = 0; i < 300; i++) {
      // Another arm than the log's in 10 steps of low reward: no such arm was taken there.
      const differs = i % 30 === 0
      const other = differs ? [floor, log[0]!, floor] : log
      const reward = differs ? (i % 60 === 0 ? 0.1 : 0) : 0.2 + (i % 9) / 9
      evaluation.take(step({ propensity: log[0]!, probabilities: log, reward }), target(...other))
    }
    const { report } = evaluation
    expect(report).toMatchObject({ maxWeight: 1, enough: true })
    expect(report.effectiveSampleSize).toBeGreaterThan(280)
    expect(report.gain.value).toBeGreaterThan(2 * report.gain.standardError)
    expect(expectedSampleSize(report)).toBeCloseTo(300 / report.support.expectedSquare, 9)
    expect(expectedSampleSize(report)).toBeLessThan(120)
    expect(verdictOf(report)).toMatchObject({ is: 'undecided' })
  })
})

describe('a step', () => {
  it.each<[string, string, Partial<LoggedStep>, number[]]>([
    ['propensity 0', 'INVALID_PROPENSITY', { propensity: 0 }, [0.6, 0.3, 0.1]],
    [
      'propensity 0 without probabilities',
      'INVALID_PROPENSITY',
      { propensity: 0, probabilities: null },
      [1, 0, 0],
    ],
    ['propensity above 1', 'INVALID_PROPENSITY', { propensity: 1.5, probabilities: null }, [1, 0, 0]],
    ['propensity NaN', 'INVALID_PROPENSITY', { propensity: Number.NaN }, [1, 0, 0]],
    ['probabilities off by 1e-3', 'INVALID_PROPENSITY', { probabilities: [0.5, 0.3, 0.201] }, [1, 0, 0]],
    ['too few probabilities', 'INVALID_PROPENSITY', { probabilities: [0.5, 0.5] }, [1, 0, 0]],
    ['probabilities of others', 'INVALID_PROPENSITY', { probabilities: [0.3, 0.5, 0.2] }, [1, 0, 0]],
    ['a target that is no distribution', 'INVALID_PROPENSITY', {}, [0.5, 0.3, 0.1]],
    ['a target below 0', 'INVALID_PROPENSITY', {}, [1.1, -0.1, 0]],
    ['a target that is too short', 'INVALID_PROPENSITY', {}, [1]],
    ['an unknown arm', 'UNKNOWN_ARM', { arm: 'z', probabilities: null }, [1, 0, 0]],
    ['an infinite reward', 'NON_FINITE_NUMBER', { reward: Number.POSITIVE_INFINITY }, [1, 0, 0]],
  ])('with %s is refused, and nothing of it is used', (_, code, of, probabilities) => {
    const evaluation = new OffPolicyEvaluation()
    evaluation.take(step(), target(0.6, 0.3, 0.1))
    const before = evaluation.report
    let found: unknown
    try {
      evaluation.take(step(of), target(...probabilities))
    } catch (error) {
      found = error
    }
    expect(codeOf(found, 'MALFORMED_JSON')).toBe(code)
    expect(evaluation.report).toEqual(before)
  })

  it('under any sound probabilities weighs on average 1, and the target that is the log gives its mean', () => {
    const pmf = fc
      .array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 })
      .map((shares) => {
        const sum = shares.reduce((total, share) => total + share, 0)
        return shares.map((share) => share / sum)
      })
    fc.assert(
      fc.property(pmf, pmf, (logged, other) => {
        // Every arm as often as its probability says.
        let mean = 0
        for (const [a, propensity] of logged.entries()) {
          const evaluation = new OffPolicyEvaluation()
          evaluation.take(step({ arm: ARMS[a]!, propensity, probabilities: logged }), target(...other))
          mean += propensity * evaluation.report.weightSum
        }
        expect(mean).toBeCloseTo(1, 9)
        const same = evaluated(3, step({ propensity: logged[0]!, probabilities: logged }), logged)
        expect(same.ips.value).toBe(same.logged.value)
      }),
    )
  })
})

describe('a verdict', () => {
  it('is refused with NO_SUPPORT before anything else', () => {
    const verdict = verdictOf(evaluated(2, step({ probabilities: [0.5, 0.5, 0] }), [0.6, 0.3, 0.1]))
    expect(verdict).toMatchObject({ is: 'refused', code: 'NO_SUPPORT' })
    expect(verdict).toHaveProperty(
      'why',
      expect.stringContaining('10% of the target’s probability'.replace('’', "'")),
    )
  })

  it('is refused where the effective sample is too small', () => {
    const verdict = verdictOf(evaluated(99, step(), [0.6, 0.3, 0.1]))
    expect(verdict).toEqual({
      is: 'refused',
      code: 'TOO_FEW',
      why: 'the effective sample size is 92.5 by the logged probabilities, below 100',
    })
  })

  it('is refused where only the weights that came are known, and they are too few', () => {
    const unknown = step({ probabilities: null })
    const { why } = verdictOf(evaluated(99, unknown, [0.6, 0.3, 0.1])) as { why: string }
    expect(why).toBe('the effective sample size is 99.0, below 100')
  })

  it('tells better from worse by the paired difference', () => {
    const evaluation = (probabilities: number[]) => {
      const each = new OffPolicyEvaluation()
      for (let i = 0; i < 400; i++) {
        const arm = ARMS[i % 2]!
        const reward = arm === 'a' ? 1 : 0
        each.take(
          { arms: ARMS, arm, propensity: 0.5, probabilities: [0.5, 0.5, 0], reward },
          target(...probabilities),
        )
      }
      return verdictOf(each.report)
    }
    expect(evaluation([0.9, 0.1, 0])).toMatchObject({ is: 'better', gain: expect.closeTo(0.4, 9) })
    expect(evaluation([0.1, 0.9, 0])).toMatchObject({ is: 'worse', gain: expect.closeTo(-0.4, 9) })
    expect(evaluation([0.5, 0.5, 0])).toEqual({ is: 'undecided', gain: 0, between: [0, 0] })
  })
})
