/**
 * What every policy must hold, whatever it learns and however it explores. A policy's test calls `describePolicyLaws` with a way to make one
 * without experience; streams of outcomes and decisions are drawn at random and shrunk when a law breaks.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decisionOutput } from '../../../operators/bandits/decision-output.ts'
import type {
  DecisionInput,
  DecisionOutput,
  HyperParameter,
  LearningInput,
  MergeablePolicy,
  Policy,
} from '../../../operators/bandits/policy.ts'
import { Xoshiro128 } from '../../../operators/numerics/random.ts'
import { codeOf } from '../../../schemas/errors.ts'

const ARMS = ['ant', 'bee', 'cat', 'dog', 'eel', 'fox', 'gnu']

export interface PolicyLaws {
  /** A policy without experience; every call makes an equal one. */
  readonly make: () => Policy
  /** The uniform floor it was made with. */
  readonly explorationFloor: number
  /** Rewards it takes; default: any from −10 to 10. */
  readonly reward?: fc.Arbitrary<number>
  /** What outcomes say of their hyper-parameters; default: nothing. */
  readonly hyperParameters?: fc.Arbitrary<readonly HyperParameter[]>
  /** Numbers that a decision draws from that of the arm on; default 1, the arm alone. */
  readonly lastDraws?: number
  /** Whether a choice among these arms may rest on their order; default: where the scores that a policy shows are equal. */
  readonly tied?: (policy: Policy, decision: DecisionInput) => boolean
}

/** Outcomes and decisions of so many features, made of such numbers. */
const arbitraries = (
  dimension: number,
  number: fc.Arbitrary<number>,
  reward: fc.Arbitrary<number> = number,
  hyperParameters: fc.Arbitrary<readonly HyperParameter[]> = fc.constant([]),
) => {
  const vector = fc
    .array(number, { minLength: dimension, maxLength: dimension })
    .map((values) => Float64Array.from(values))
  const outcome: fc.Arbitrary<LearningInput> = fc.record({
    arm: fc.constantFrom(...ARMS),
    vector,
    reward,
    propensity: fc.double({ min: 0.001, max: 1, noNaN: true }),
    hyperParameters,
  })
  const outcomes = fc.array(outcome, { maxLength: 60 })
  const input: fc.Arbitrary<DecisionInput> = fc
    .tuple(fc.subarray(ARMS, { minLength: 1 }), fc.boolean(), fc.infiniteStream(vector))
    .map(([arms, oneContext, stream]) => {
      const rows = [...stream.take(arms.length)]
      const vectors = new Float64Array(arms.length * dimension)
      arms.forEach((_, a) => {
        vectors.set(rows[oneContext ? 0 : a]!, a * dimension)
      })
      return { arms, vectors }
    })
  return { outcome, outcomes, input }
}

export const describePolicyLaws = (name: string, laws: PolicyLaws): void => {
  const { make, explorationFloor, reward, hyperParameters } = laws
  const { dimension, propensityKind } = make()
  const { outcome, outcomes, input } = arbitraries(
    dimension,
    fc.double({ min: -10, max: 10, noNaN: true }),
    reward,
    hyperParameters,
  )
  // Where scores are drawn around estimates: numbers of one size, so that no difference is lost beside what is drawn.
  const evenly =
    propensityKind === 'exact'
      ? { outcomes, input }
      : arbitraries(
          dimension,
          fc.integer({ min: -1_000, max: 1_000 }).map((n) => n / 100),
          reward,
          hyperParameters,
        )

  const taught = (stream: readonly LearningInput[]): Policy => {
    const policy = make()
    for (const each of stream) policy.learn(each)
    return policy
  }
  const decided = (policy: Policy, decision: DecisionInput, u: number): DecisionOutput => {
    const output = decisionOutput(decision.arms.length)
    policy.decide(decision, () => u, output)
    return output
  }

  describe(`laws of ${name}`, () => {
    it('gives every arm at least its share of the floor, and all arms together probability 1', () => {
      fc.assert(
        fc.property(outcomes, input, (stream, decision) => {
          const { probabilities } = decided(taught(stream), decision, 0.5)
          const least = explorationFloor / decision.arms.length
          let sum = 0
          for (const p of probabilities) {
            expect(p).toBeGreaterThanOrEqual(least)
            sum += p
          }
          expect(Math.abs(sum - 1)).toBeLessThan(1e-12)
        }),
      )
    })

    it('takes each arm with the probability it states', () => {
      fc.assert(
        fc.property(outcomes, input, (stream, decision) => {
          const policy = taught(stream)
          const draws = 2_000
          const taken = new Float64Array(decision.arms.length)
          const output = decisionOutput(decision.arms.length)
          const random = new Xoshiro128()
          const drawnBefore = drawsOf(policy, decision) - (laws.lastDraws ?? 1)
          for (let i = 0; i < draws; i++) {
            // The same draws of the posterior every time, and every arm's share of those of the arm.
            random.seed(1, 2, 3, 4)
            let drawn = 0
            const uniform = () => (drawn++ < drawnBefore ? random.uniform() : (i + 0.5) / draws)
            policy.decide(decision, uniform, output)
            taken[output.arm]! += 1 / draws
          }
          taken.forEach((share, a) => {
            expect(Math.abs(share - output.probabilities[a]!)).toBeLessThanOrEqual(2 / draws)
          })
        }),
        { numRuns: 20 },
      )
    })

    it('ranks every arm once', () => {
      fc.assert(
        fc.property(outcomes, input, (stream, decision) => {
          const { ranking } = decided(taught(stream), decision, 0.5)
          expect([...ranking].sort((a, b) => a - b)).toEqual(decision.arms.map((_, a) => a))
        }),
      )
    })

    it('continues from a snapshot as if it had never stopped, wherever it is cut', () => {
      fc.assert(
        fc.property(outcomes, fc.nat(60), input, (stream, cut, decision) => {
          const whole = taught(stream)
          const first = taught(stream.slice(0, cut))
          const second = make()
          // Something to be forgotten.
          for (const each of stream.slice(0, 3)) second.learn(each)
          const bytes = first.snapshot()
          second.restore(bytes)
          expect(second.snapshot()).toEqual(bytes)
          for (const each of stream.slice(cut)) second.learn(each)
          expect(second.snapshot()).toEqual(whole.snapshot())
          expect(second.learned).toBe(whole.learned)
          expect(second.evicted).toBe(whole.evicted)
          expect(decided(second, decision, 0.3)).toEqual(decided(whole, decision, 0.3))
        }),
      )
    })

    it('ends with the same bytes after the same outcomes and draws', () => {
      fc.assert(
        fc.property(outcomes, fc.array(input, { maxLength: 10 }), fc.nat(), (stream, decisions, seed) => {
          const run = () => {
            const policy = make()
            const random = new Xoshiro128()
            random.seed(seed, 1, 2, 3)
            const chosen: number[] = []
            stream.forEach((each, i) => {
              policy.learn(each)
              const decision = decisions[i]
              if (decision === undefined) return
              const output = decisionOutput(decision.arms.length)
              policy.decide(decision, random.uniform, output)
              chosen.push(output.arm)
            })
            return { chosen, bytes: policy.snapshot() }
          }
          expect(run()).toEqual(run())
        }),
      )
    })

    it('gives an arm the same probability wherever it stands among the arms', () => {
      fc.assert(
        fc.property(evenly.outcomes, evenly.input, fc.nat(), (stream, decision, seed) => {
          const policy = taught(stream)
          const order = shuffled(decision.arms.length, seed)
          const permuted = {
            arms: order.map((a) => decision.arms[a]!),
            vectors: Float64Array.from(
              order.flatMap((a) => [...decision.vectors.subarray(a * dimension, (a + 1) * dimension)]),
            ),
          }
          const here = decided(policy, decision, 0.5)
          const there = decided(policy, permuted, 0.5)
          const best = decision.arms[here.ranking[0]!]!
          // Equal scores go to the arm named first: only then may the order matter.
          const sameBest = best === permuted.arms[there.ranking[0]!]
          if (laws.tied !== undefined) fc.pre(!laws.tied(policy, decision))
          else fc.pre((sameBest && policy.propensityKind === 'exact') || !tied(policy, decision, here))
          const byArm = new Map(permuted.arms.map((arm, a) => [arm, there.probabilities[a]]))
          decision.arms.forEach((arm, a) => {
            expect(byArm.get(arm)).toBe(here.probabilities[a])
          })
        }),
      )
    })

    it('does not change by deciding', () => {
      fc.assert(
        fc.property(outcomes, input, (stream, decision) => {
          const policy = taught(stream)
          const before = policy.snapshot()
          decided(policy, decision, 0.9)
          expect(policy.snapshot()).toEqual(before)
        }),
      )
    })

    it('refuses outcomes that are not finite, of another dimension or without a propensity, and keeps every byte', () => {
      const bad = fc.oneof(
        fc
          .tuple(fc.nat(dimension - 1), fc.constantFrom(Number.NaN, Infinity, -Infinity, 1e308))
          .map(([at, value]) => ({
            code: 'NON_FINITE_NUMBER',
            spoil: (good: LearningInput) => ({ ...good, vector: good.vector.with(at, value) }),
          })),
        fc.constantFrom(Number.NaN, Infinity, -Infinity).map((reward) => ({
          code: 'NON_FINITE_NUMBER',
          // A vector of zeros hides nothing.
          spoil: (good: LearningInput) => ({ ...good, reward, vector: good.vector.map((x) => x * 0) }),
        })),
        fc.constantFrom(0, dimension - 1, dimension + 1, 2 * dimension).map((length) => ({
          code: 'WRONG_DIMENSION',
          spoil: (good: LearningInput) => ({ ...good, vector: new Float64Array(length) }),
        })),
        fc.constantFrom(0, -0.1, 1.0001, Number.NaN, Infinity).map((propensity) => ({
          code: 'INVALID_PROPENSITY',
          spoil: (good: LearningInput) => ({ ...good, propensity }),
        })),
      )
      fc.assert(
        fc.property(outcomes, outcome, bad, (stream, good, { code, spoil }) => {
          const policy = taught(stream)
          const before = policy.snapshot()
          expect(refusal(() => policy.learn(spoil(good)))).toBe(code)
          expect(policy.snapshot()).toEqual(before)
          expect(policy.learned).toBe(stream.length)
        }),
      )
    })

    it('refuses decisions without arms, of another dimension or with numbers that are not finite', () => {
      fc.assert(
        fc.property(
          outcomes,
          input,
          fc.constantFrom(Number.NaN, Infinity, -Infinity),
          fc.nat(),
          (stream, good, value, at) => {
            const policy = taught(stream)
            const before = policy.snapshot()
            const output = decisionOutput(good.arms.length)
            const empty = structuredClone(output)
            const refused = (decision: DecisionInput) =>
              refusal(() => policy.decide(decision, () => 0.5, output))
            const place = at % good.vectors.length
            expect(refused({ ...good, vectors: good.vectors.with(place, value) })).toBe('NON_FINITE_NUMBER')
            expect(refused({ ...good, vectors: good.vectors.subarray(1) })).toBe('WRONG_DIMENSION')
            expect(refused({ arms: [], vectors: new Float64Array(0) })).toBe('EMPTY_ARMS')
            expect(output).toEqual(empty)
            expect(policy.snapshot()).toEqual(before)
          },
        ),
      )
    })

    it('stays finite under any finite outcome: it learns it or refuses it whole', () => {
      const wild = fc.record({
        arm: fc.constantFrom(...ARMS),
        vector: fc
          .array(fc.double({ noNaN: true, noDefaultInfinity: true }), {
            minLength: dimension,
            maxLength: dimension,
          })
          .map((values) => Float64Array.from(values)),
        reward: reward ?? fc.double({ noNaN: true, noDefaultInfinity: true }),
        propensity: fc.constant(1),
      })
      fc.assert(
        fc.property(fc.array(fc.oneof(wild, outcome), { maxLength: 20 }), input, (stream, decision) => {
          const policy = make()
          for (const each of stream) {
            const before = policy.snapshot()
            const code = refusal(() => policy.learn(each))
            if (code === undefined) continue
            expect(code).toBe('NON_FINITE_NUMBER')
            expect(policy.snapshot()).toEqual(before)
          }
          const restored = make()
          restored.restore(policy.snapshot())
          // A score may overflow after such outcomes, never turn into a choice by NaN.
          const code = refusal(() => decided(policy, decision, 0.5))
          expect([undefined, 'NON_FINITE_NUMBER']).toContain(code)
        }),
      )
    })

    it('refuses a snapshot with any byte flipped or any end missing, and keeps its state', () => {
      fc.assert(
        fc.property(
          outcomes,
          outcome,
          fc.nat(),
          fc.integer({ min: 1, max: 255 }),
          (stream, other, place, flip) => {
            const bytes = taught(stream).snapshot()
            const policy = taught([other])
            const before = policy.snapshot()
            const flipped = bytes.slice()
            flipped[place % bytes.length]! ^= flip
            const corrupt = ['SNAPSHOT_CORRUPT', 'SNAPSHOT_MISMATCH']
            expect(corrupt).toContain(refusal(() => policy.restore(flipped)))
            expect(corrupt).toContain(refusal(() => policy.restore(bytes.subarray(0, place % bytes.length))))
            expect(policy.snapshot()).toEqual(before)
          },
        ),
      )
    })

    if ('merge' in make() && !isMergeable(make())) {
      it('refuses to be merged where its state is no sum', () => {
        fc.assert(
          fc.property(outcomes, (stream) => {
            const policy = taught(stream) as MergeablePolicy
            const before = policy.snapshot()
            expect(refusal(() => policy.merge(taught(stream) as MergeablePolicy))).toBe('SNAPSHOT_MISMATCH')
            expect(policy.snapshot()).toEqual(before)
          }),
        )
      })
    }

    if (isMergeable(make())) {
      it('merged from parts, decides as if it had learned all of it in one; the same parts in the same order give the same bytes', () => {
        fc.assert(
          fc.property(outcomes, fc.infiniteStream(fc.nat(2)), input, (stream, parts, decision) => {
            const whole = taught(stream)
            const shares: LearningInput[][] = [[], [], []]
            for (const each of stream) shares[parts.next().value]!.push(each)
            const merged = make() as MergeablePolicy
            if (whole.evicted > 0) {
              // What an evicted arm had learned is gone: no sum of the parts is the whole.
              const refused = shares.map((share) => {
                const before = merged.snapshot()
                const code = refusal(() => merged.merge(taught(share) as MergeablePolicy))
                if (code !== undefined) expect(merged.snapshot()).toEqual(before)
                return code
              })
              expect(refused).toContain('UNKNOWN_ARM')
              return
            }
            for (const share of shares) merged.merge(taught(share) as MergeablePolicy)
            expect(merged.learned).toBe(whole.learned)
            expectClose(merged, whole, decision)
            const again = make() as MergeablePolicy
            for (const share of shares) again.merge(taught(share) as MergeablePolicy)
            expect(again.snapshot()).toEqual(merged.snapshot())
          }),
        )
      })
    }
  })
}

const isMergeable = (policy: Policy): boolean =>
  'merge' in policy && (policy as MergeablePolicy).mergeable !== false

/** Two policies with states equal but for rounding: the same scores to 1e-9, read off where the policy shows them. */
const expectClose = (a: Policy, b: Policy, decision: DecisionInput): void => {
  if (!('scores' in a) || !('scores' in b)) throw new Error('a mergeable policy shows its scores')
  const scores = (policy: Policy) => [
    ...(policy as Policy & { scores(input: DecisionInput): Float64Array }).scores(decision),
  ]
  const others = scores(b)
  scores(a).forEach((score, i) => {
    expect(Math.abs(score - others[i]!)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(others[i]!)))
  })
}

/** Numbers that a decision draws in all. */
const drawsOf = (policy: Policy, decision: DecisionInput): number => {
  const random = new Xoshiro128()
  random.seed(1, 2, 3, 4)
  let count = 0
  const uniform = () => {
    count++
    return random.uniform()
  }
  policy.decide(decision, uniform, decisionOutput(decision.arms.length))
  return count
}

/** Whether the best arm is best only by its place: without it, another is as good. */
const tied = (policy: Policy, decision: DecisionInput, output: DecisionOutput): boolean => {
  if (!('scores' in policy)) return false
  const scores = (policy as Policy & { scores(input: DecisionInput): Float64Array }).scores(decision)
  // Where scores are drawn around estimates, any arms of one estimate may share the first place.
  if (policy.propensityKind === 'estimated')
    return scores.toSorted().some((score, k, sorted) => k > 0 && score - sorted[k - 1]! < 1e-9)
  return output.ranking.length > 1 && scores[output.ranking[0]!] === scores[output.ranking[1]!]
}

/** The code with which an act is refused; undefined where it is not. */
export const refusal = (act: () => unknown): string | undefined => {
  try {
    act()
  } catch (error) {
    return codeOf(error, 'INVALID_EVENT')
  }
  return undefined
}

const shuffled = (count: number, seed: number): number[] => {
  const random = new Xoshiro128()
  random.seed(seed, 5, 6, 7)
  const order = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random.uniform() * (i + 1))
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  return order
}
