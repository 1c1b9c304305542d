import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decisionOutput, type UcbGlmOptions, ucbGlm } from '../../../../operators/bandits/index.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { describePolicyLaws, refusal } from '../laws.ts'

const REWARDS = {
  logistic: fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true })),
  poisson: fc.oneof(fc.nat(5), fc.double({ min: 0, max: 1e6, noNaN: true })),
}
const LINKS = ['logistic', 'poisson'] as const
const FITS = ['streaming', 'exact'] as const
const WAYS = LINKS.flatMap((link) => FITS.map((fit) => ({ link, fit })))

// So small that stretches of a law's stream pass them.
const limits = { maxArms: 5, maxRows: 25, refreshEvery: 7, explorationFloor: 0.02 }
const laws = (name: string, options: UcbGlmOptions): void =>
  describePolicyLaws(`UCB-GLM, ${options.link}, ${name}`, {
    make: () => ucbGlm({ ...limits, ...options }),
    explorationFloor: 0.02,
    reward: REWARDS[options.link],
  })
for (const { link, fit } of WAYS) {
  laws(`${fit}, disjoint`, { link, fit, variant: 'disjoint', dimension: 3 })
  laws(`${fit}, shared, theory`, { link, fit, variant: 'shared', dimension: 3, alpha: 'theory' })
}
laws('streaming, pooled prior', { link: 'logistic', variant: 'disjoint', dimension: 3, prior: 'pooled' })

const vector = Float64Array.of(1, -0.5)
const options: UcbGlmOptions = { variant: 'disjoint', dimension: 2, link: 'logistic' }

const FROZEN =
  'TVJQUwEAEQAAAGYAbABvAGEAdAA2ADQALQBzAGkAbQBkADEAMgA4AC0AMgAfAAAAdQBjAGIALQBnAGwAbQAtAGwAbwBnAGkAcwB0AGkAYwAtAGUAeABhAGMAdAAtAGQAaQBzAGoAbwBpAG4AdAACAAAAAAAAAAAAAAAAAAAAAAAQQAIAAAABAAAAYgADAAAAcgD4AGQAAAAAAAAAAAAAAAAAAADwPwAAAAAAAABAAAAAAAAA8D8AAAAAAADgvwAAAAAAAAAAAAAAAAAAAEAAAAAAAADwPwAAAAAAAOC/AAAAAAAA0D8AAAAAAADwPwAAAAAAAPA/AAAAAAAA4L8AAAAAAADwPwAAAAAAAAhAZ8WLcw=='

describe('UCB-GLM', () => {
  it.each(WAYS)(
    'scores an arm by xᵀθ and α times the width of its confidence, $link $fit',
    ({ link, fit }) => {
      const make = (alpha: number) => {
        const policy = ucbGlm({ ...options, link, fit, alpha })
        for (const reward of [1, 0, 1, 1]) policy.learn({ arm: 'a', vector, reward, propensity: 1 })
        return policy
      }
      const at = (alpha: number) => make(alpha).scores({ arms: ['a'], vectors: vector })[0]!
      const [weight = 0, other = 0] = make(0).theta('a')
      expect(at(0)).toBeCloseTo(weight - 0.5 * other, 12)
      expect(at(3) - at(0)).toBeCloseTo(3 * (at(1) - at(0)), 12)
      expect(at(1)).toBeGreaterThan(at(0))
    },
  )

  it.each(WAYS)(
    'refuses rewards that its link does not have, and keeps every byte, $link $fit',
    ({ link, fit }) => {
      const policy = ucbGlm({ ...options, link, fit })
      policy.learn({ arm: 'a', vector, reward: 1, propensity: 1 })
      const before = policy.snapshot()
      const learn = (reward: number) =>
        refusal(() => policy.learn({ arm: 'b', vector, reward, propensity: 1 }))
      expect(learn(-0.001)).toBe('INVALID_EVENT')
      expect(learn(1.001)).toBe(link === 'logistic' ? 'INVALID_EVENT' : undefined)
      if (link === 'poisson') return
      expect(policy.snapshot()).toEqual(before)
      expect(policy.learned).toBe(1)
    },
  )

  it.each(WAYS)('finds the better arm of each context, $link $fit', ({ link, fit }) => {
    const policy = ucbGlm({ variant: 'disjoint', dimension: 3, link, fit })
    const random = new Xoshiro128()
    random.seed(9, 2, 3, 4)
    const arms = ['left', 'right']
    const output = decisionOutput(2)
    let right = 0
    for (let t = 0; t < 1_200; t++) {
      const x = [2 * random.uniform() - 1, 2 * random.uniform() - 1, 1]
      policy.decide({ arms, vectors: Float64Array.from([...x, ...x]) }, random.uniform, output)
      const good = x[0]! > 0 ? 0 : 1
      if (t >= 600 && output.arm === good) right++
      // Rare clicks, or counts.
      const mean = output.arm === good ? 0.3 : 0.05
      const reward = (link === 'poisson' ? 10 : 1) * Number(random.uniform() < mean)
      policy.learn({
        ...{ arm: arms[output.arm]!, vector: Float64Array.from(x), reward },
        propensity: output.probabilities[output.arm]!,
      })
    }
    expect(right / 600).toBeGreaterThan(0.85)
  })

  it('counts arms evicted and rows kept', () => {
    for (const fit of FITS) {
      const policy = ucbGlm({ ...options, fit, maxArms: 2, maxRows: 5 })
      for (let t = 0; t < 9; t++) policy.learn({ arm: `arm ${t % 3}`, vector, reward: 1, propensity: 1 })
      expect(policy.evicted).toBe(7)
      expect(policy.rows).toBe(fit === 'exact' ? 2 : 9)
    }
  })

  it('refuses a snapshot of another link, fit, variant or dimension, and, streaming, of another ridge or prior', () => {
    const bytes = ucbGlm(options).snapshot()
    const others: Partial<UcbGlmOptions>[] = [
      { link: 'poisson' },
      { fit: 'exact' },
      { variant: 'shared' },
      { dimension: 3 },
      { ridge: 2 },
      { lambda: 2 },
      { prior: 'pooled' },
    ]
    for (const other of others)
      expect(refusal(() => ucbGlm({ ...options, ...other }).restore(bytes))).toBe('SNAPSHOT_MISMATCH')
    expect(
      refusal(() => ucbGlm({ ...options, alpha: 3, theory: { sigma: 2 } }).restore(bytes)),
    ).toBeUndefined()
  })

  // As first written: snapshots of then must stay readable, and equal.
  it('writes and reads a snapshot of the exact fit byte for byte', () => {
    const policy = ucbGlm({ ...options, fit: 'exact', maxRows: 3 })
    for (const [arm, reward] of [
      ['a', 1],
      ['rød', 0.25],
      ['b', 0],
      ['rød', 1],
    ] as const)
      policy.learn({ arm, vector, reward, propensity: 1 })
    const written = Buffer.from(policy.snapshot()).toString('base64')
    expect(written).toBe(FROZEN)
    const restored = ucbGlm({ ...options, fit: 'exact', maxRows: 3 })
    restored.restore(new Uint8Array([0, ...Buffer.from(FROZEN, 'base64')]).subarray(1))
    expect(restored.snapshot()).toEqual(policy.snapshot())
    expect(restored.theta('rød')).toEqual(policy.theta('rød'))
  })

  it('names the option that is wrong', () => {
    const wrong: Partial<UcbGlmOptions>[] = [
      { dimension: 0 },
      { link: 'probit' as 'logistic' },
      { fit: 'batch' as 'exact' },
      { alpha: -1 },
      { lambda: 0 },
      { ridge: Number.NaN },
      { explorationFloor: 1.5 },
      { maxArms: 0 },
      { maxRows: 0.5 },
      { refreshEvery: 0 },
      { prior: 'pooled', fit: 'exact' },
      { prior: 'pooled', variant: 'shared' },
      { theory: { delta: 0 } },
    ]
    for (const each of wrong)
      expect(() => ucbGlm({ ...options, ...each })).toThrow(`ucbGlm.${Object.keys(each)[0]!}`)
  })
})
