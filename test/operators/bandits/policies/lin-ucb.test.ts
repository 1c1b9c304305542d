import { describe, expect, it } from 'vitest'
import { decisionOutput, type LinUcbOptions, linUcb } from '../../../../operators/bandits/index.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { describePolicyLaws, refusal } from '../laws.ts'

for (const variant of ['disjoint', 'shared'] as const) {
  for (const alpha of [0.5, 'theory'] as const) {
    const options: LinUcbOptions = { variant, alpha, dimension: 5, explorationFloor: 0.02, refreshEvery: 7 }
    describePolicyLaws(`LinUCB, ${variant}, alpha ${alpha}`, {
      make: () => linUcb(options),
      explorationFloor: 0.02,
    })
  }
}
describePolicyLaws('LinUCB without floor, one feature', {
  make: () => linUcb({ variant: 'disjoint', alpha: 0, dimension: 1, explorationFloor: 0 }),
  explorationFloor: 0,
})

const randomVector = (random: Xoshiro128, d: number): Float64Array =>
  Float64Array.from({ length: d }, () => 2 * random.uniform() - 1)

const seeded = (seed: number): Xoshiro128 => {
  const random = new Xoshiro128()
  random.seed(seed, 2, 3, 4)
  return random
}

const decide = (
  policy: ReturnType<typeof linUcb>,
  arms: readonly string[],
  vectors: Float64Array,
  u = 0.5,
) => {
  const output = decisionOutput(arms.length)
  policy.decide({ arms, vectors }, () => u, output)
  return output
}

describe('LinUCB', () => {
  it('scores an arm by its ridge estimate and the width of its confidence', () => {
    const policy = linUcb({ variant: 'disjoint', dimension: 2, alpha: 2, lambda: 0.5 })
    const sample = (vector: number[], reward: number) =>
      policy.learn({ arm: 'a', vector: Float64Array.from(vector), reward, propensity: 1 })
    sample([1, 2], 3)
    sample([0, 1], -1)
    // V = [[1.5, 2], [2, 5.5]], b = (3, 5): V⁻¹ = [[5.5, −2], [−2, 1.5]] / 4.25
    const x = [1, -1]
    const theta = [(5.5 * 3 - 2 * 5) / 4.25, (-2 * 3 + 1.5 * 5) / 4.25]
    const variance = (5.5 + 2 * 2 + 1.5) / 4.25
    const known = x[0]! * theta[0]! + x[1]! * theta[1]! + 2 * Math.sqrt(variance)
    const fresh = 2 * Math.sqrt(2 / 0.5)
    const scores = policy.scores({ arms: ['new', 'a'], vectors: Float64Array.from([...x, ...x]) })
    expect(scores[0]).toBeCloseTo(fresh, 12)
    expect(scores[1]).toBeCloseTo(known, 12)
    expect([...policy.theta('a')]).toEqual([expect.closeTo(theta[0]!, 12), expect.closeTo(theta[1]!, 12)])
    expect([...policy.theta('new')]).toEqual([0, 0])
  })

  it('keeps the drift of a long fold below 1e-9 between refreshes, against an exact solution of the same sums', () => {
    const d = 8
    const random = seeded(1)
    const options = { variant: 'shared', dimension: d, alpha: 1, lambda: 0.01 } as const
    const policy = linUcb(options)
    const exact = linUcb(options)
    const x = new Float64Array(d)
    let worst = 0
    for (let t = 1; t <= 120_000; t++) {
      // Features of unlike scale, so that the conditioning is poor.
      for (let i = 0; i < d; i++) x[i] = (2 * random.uniform() - 1) * 10 ** (i % 4)
      policy.learn({ arm: '', vector: x, reward: random.uniform(), propensity: 1 })
      if (t % 9_999 !== 0) continue // just before a refresh and in between
      exact.restore(linUcb(options).snapshot())
      exact.merge(policy)
      const probe = randomVector(random, d)
      const mine = policy.scores({ arms: [''], vectors: probe })[0]!
      const theirs = exact.scores({ arms: [''], vectors: probe })[0]!
      worst = Math.max(worst, Math.abs(mine - theirs) / Math.abs(theirs))
    }
    expect(worst).toBeLessThan(1e-9)
    expect(worst).toBeGreaterThan(0)
  })

  it('takes the lowest index among equal scores', () => {
    const policy = linUcb({ variant: 'disjoint', dimension: 2, alpha: 1, explorationFloor: 0 })
    const { arm, ranking } = decide(policy, ['c', 'b', 'a'], Float64Array.from([1, 0, 1, 0, 1, 0]))
    expect(arm).toBe(0)
    expect([...ranking]).toEqual([0, 1, 2])
  })

  it('mixes the best arm with the floor: 1 − ε + ε/K and ε/K', () => {
    const policy = linUcb({ variant: 'shared', dimension: 1, alpha: 1, explorationFloor: 0.1 })
    const { probabilities } = decide(policy, ['a', 'b', 'c', 'd'], Float64Array.from([1, 3, 2, 1]))
    expect([...probabilities].map((p) => p.toFixed(12))).toEqual(
      [0.025, 0.925, 0.025, 0.025].map((p) => p.toFixed(12)),
    )
  })

  it('finds the better arm of each context', () => {
    const policy = linUcb({ variant: 'disjoint', dimension: 3, alpha: 0.3 })
    const random = seeded(9)
    const arms = ['left', 'right']
    let right = 0
    for (let t = 0; t < 2_000; t++) {
      const x = randomVector(random, 3)
      x[2] = 1
      const output = decide(policy, arms, Float64Array.from([...x, ...x]), random.uniform())
      const good = x[0]! > 0 ? 0 : 1
      if (t >= 1_000 && output.arm === good) right++
      policy.learn({
        arm: arms[output.arm]!,
        vector: x,
        reward: output.arm === good ? 1 : 0,
        propensity: output.probabilities[output.arm]!,
      })
    }
    expect(right / 1_000).toBeGreaterThan(0.9)
  })

  it('scores each arm by its own vector where the arms of a disjoint policy differ', () => {
    const d = 7
    const random = seeded(4)
    const policy = linUcb({ variant: 'disjoint', dimension: d, alpha: 0.7 })
    const arms = Array.from({ length: 11 }, (_, a) => `arm ${a}`)
    for (let t = 0; t < 200; t++) {
      policy.learn({
        arm: arms[t % 9]!,
        vector: randomVector(random, d),
        reward: random.uniform(),
        propensity: 1,
      })
    }
    const rows = arms.map(() => randomVector(random, d))
    const together = policy.scores({ arms, vectors: Float64Array.from(rows.flatMap((row) => [...row])) })
    arms.forEach((arm, a) => {
      expect(together[a]).toBeCloseTo(policy.scores({ arms: [arm], vectors: rows[a]! })[0]!, 12)
    })
  })

  it('remembers at most maxArms arms, and decides about others as about new ones', () => {
    const policy = linUcb({ variant: 'disjoint', dimension: 1, maxArms: 2 })
    const vector = Float64Array.of(1)
    for (const arm of ['a', 'b']) policy.learn({ arm, vector, reward: 1, propensity: 1 })
    policy.learn({ arm: 'c', vector, reward: 0.5, propensity: 1 })
    expect(policy.evicted).toBe(1)
    expect(['a', 'b', 'c', 'd'].map((arm) => policy.theta(arm)[0])).toEqual([0, 0.5, 0.25, 0])
    expect([...decide(policy, ['c', 'a', 'b'], Float64Array.of(1, 1, 1)).ranking]).toEqual([2, 0, 1])
  })

  it('refuses a snapshot of another kind, dimension or lambda', () => {
    const options = { variant: 'disjoint', dimension: 3, lambda: 1 } as const
    const bytes = linUcb(options).snapshot()
    for (const other of [{ variant: 'shared' }, { dimension: 2 }, { lambda: 2 }] as const) {
      expect(refusal(() => linUcb({ ...options, ...other }).restore(bytes))).toBe('SNAPSHOT_MISMATCH')
      const policy = linUcb(options)
      expect(refusal(() => policy.merge(linUcb({ ...options, ...other })))).toBe('SNAPSHOT_MISMATCH')
    }
  })

  it('restores a state under another alpha and floor', () => {
    const policy = linUcb({ variant: 'shared', dimension: 1, alpha: 1 })
    policy.learn({ arm: 'a', vector: Float64Array.of(2), reward: 1, propensity: 1 })
    const other = linUcb({ variant: 'shared', dimension: 1, alpha: 0, explorationFloor: 0.5 })
    other.restore(policy.snapshot())
    expect(other.snapshot()).toEqual(policy.snapshot())
  })

  it('survives vectors whose squares span the whole range of numbers', () => {
    const policy = linUcb({ variant: 'shared', dimension: 3, lambda: 1e-3, refreshEvery: 3 })
    const learn = (vector: number[]) =>
      policy.learn({ arm: '', vector: Float64Array.from(vector), reward: 1, propensity: 1 })
    for (let t = 0; t < 10; t++) {
      learn([1e150, 1e150, 1e-150])
      learn([1e-160, 1e100, 0])
      learn([1, 1, 1])
    }
    expect(policy.learned).toBe(30)
    expect(Number.isFinite(policy.scores({ arms: [''], vectors: Float64Array.of(1, -1, 1) })[0])).toBe(true)
  })

  it('names the option that is wrong', () => {
    const wrong: Partial<LinUcbOptions>[] = [
      { dimension: 0 },
      { alpha: -1 },
      { alpha: Number.NaN },
      { lambda: 0 },
      { explorationFloor: 1.5 },
      { maxArms: 0 },
      { refreshEvery: 0.5 },
      { theory: { delta: 0 } },
    ]
    for (const options of wrong) {
      const name = Object.keys(options)[0]!
      expect(() => linUcb({ variant: 'shared', dimension: 2, ...options })).toThrow(`linUcb.${name}`)
    }
  })

  // Taken from format 1 as it was first written: snapshots of then must stay readable, and equal.
  it.each([
    [
      'disjoint',
      'TVJQUwEAEQAAAGYAbABvAGEAdAA2ADQALQBzAGkAbQBkADEAMgA4AC0AMgAQAAAAbABpAG4ALQB1AGMAYgAtAGQAaQBzAGoAbwBpAG4AdAACAAAAAAAAAAAA4D8AAAAAAAAIQAIAAAADAAAAcgD4AGQAAQAAAGIAAAAAAAAAAEAAAAAAAADwPwAAAAAAAABAAAAAAAAA8D+ydc/I0kPqP3xEGdq46t8/iDQxtu4Z+T/sHVMDe8fUPyLOyk+Is9I/KVyPwvUo8D+4HoXrUbjev5DC9Shcj9I/ZmZmZmZm1j80MzMzMzOzPwAAAAAAAABAAAAAAAAAAAAgx3Ecx3HMPwAAAAAAAAAAHMdxHMdx3L8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAEEAAAAAAAAAAAAAAAAAAAADAU/8KnA==',
    ],
    [
      'shared',
      'TVJQUwEAEQAAAGYAbABvAGEAdAA2ADQALQBzAGkAbQBkADEAMgA4AC0AMgAOAAAAbABpAG4ALQB1AGMAYgAtAHMAaABhAHIAZQBkAAIAAAAAAAAAAADgPwAAAAAAAAhAAAAAAAAAAAAAAAhAAAAAAAAACEAaiqnRquPlP9Zo1fFKjLE/kVdijACayz+w5R/TmoK7P7OU9ZHzB9m/KVyPwvUo8D+4HoXrUbjevylcj8L1KBFAZmZmZmZm1j/NzMzMzMz+v+bJ72o=',
    ],
  ] as const)('writes and reads a snapshot of format 1, %s, byte for byte', (variant, expected) => {
    const policy = linUcb({ variant, dimension: 2, lambda: 0.5 })
    policy.learn({ arm: 'rød', vector: Float64Array.of(1, -0.5), reward: 0.25, propensity: 0.5 })
    policy.learn({ arm: 'b', vector: Float64Array.of(0, 2), reward: -1, propensity: 1 })
    policy.learn({ arm: 'rød', vector: Float64Array.of(0.1, 0.2), reward: 1, propensity: 0.01 })
    expect(Buffer.from(policy.snapshot()).toString('base64')).toBe(expected)
    const restored = linUcb({ variant, dimension: 2, lambda: 0.5 })
    // At an odd place in memory, as bytes from a file or a record may lie.
    restored.restore(new Uint8Array([0, ...Buffer.from(expected, 'base64')]).subarray(1))
    expect(restored.snapshot()).toEqual(policy.snapshot())
    expect(restored.theta('rød')).toEqual(policy.theta('rød'))
  })
})
