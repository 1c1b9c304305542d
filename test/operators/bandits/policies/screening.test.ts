/** A policy that is glanced at answers as one that is looked at: the same favourites, rankings, decisions and refusals, to the last bit. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  type DecisionInput,
  decisionOutput,
  type LinUcb,
  type LinUcbOptions,
  linUcb,
  type SyndicateOptions,
  syndicated,
} from '../../../../operators/bandits/index.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'
import { refusal } from '../laws.ts'

const D = 96
const ARMS = Array.from({ length: 12 }, (_, a) => `arm ${a}`)
const ALPHAS = [0, 0.1, 1, 10]

const seeded = (seed: number) => {
  const random = new Xoshiro128()
  random.seed(seed, 2, 3, 4)
  return random.uniform
}
/** Few distinct contexts, so that arms tie. */
const contextOf = (uniform: () => number): Float64Array => {
  const seed = seeded(1 + Math.floor(20 * uniform()))
  return Float64Array.from({ length: D }, () => (2 * seed() - 1) / 8)
}
const inputOf = (x: Float64Array, arms: readonly string[] = ARMS): DecisionInput => {
  const vectors = new Float64Array(arms.length * D)
  for (let a = 0; a < arms.length; a++) vectors.set(x, a * D)
  return { arms, vectors }
}

/** LinUCB that always looks. */
const looking = (options: LinUcbOptions): LinUcb => {
  const policy = linUcb(options)
  Object.defineProperty(policy, 'glance', { value: undefined })
  return policy
}

const base: LinUcbOptions = { variant: 'disjoint', dimension: D, refreshEvery: 9 }
const OPTIONS: readonly Partial<LinUcbOptions>[] = [
  {},
  { lambda: 1e-6 },
  { maxArms: 7 },
  { prior: 'pooled' },
  { forgetting: { window: 30 } },
  { forgetting: { discount: 0.95 } },
]

it.each(OPTIONS)('LinUCB with %o', (options) => {
  const policy = linUcb({ ...base, ...options })
  const uniform = seeded(7)
  const teach = (): void => {
    const vector = contextOf(uniform)
    const arm = ARMS[Math.floor(ARMS.length * uniform() ** 2)]!
    policy.learn({ arm, vector, reward: Math.round(3 * uniform()), propensity: 1 })
  }
  const [found, expected] = [new Int32Array(ARMS.length), new Int32Array(ARMS.length)]
  for (let t = 0; t < 120; t++) {
    teach()
    if (t === 60) policy.restore(policy.snapshot())
    const input = inputOf(contextOf(uniform))
    const answers = (ask: () => void, ranking: Int32Array) => {
      ask()
      return ALPHAS.map((alpha) => {
        const favourite = policy.favourite(alpha)
        policy.rank(alpha, ranking)
        return [favourite, ...ranking]
      })
    }
    expect(answers(() => policy.glance(input), found)).toEqual(answers(() => policy.look(input), expected))
  }
})

it.each<SyndicateOptions>([{}, { tuner: 'thompson' }, { tuner: 'exp4' }])(
  'a syndicate over five α and three λ, with %o',
  (options) => {
    const candidates = { alpha: [...ALPHAS, 0.01], lambda: [0.01, 0.1, 1] }
    const given = { rewardRange: [0, 3], ...options } as const
    const pair = [linUcb, looking].map((make) => ({
      policy: syndicated((parameters) => make({ ...base, ...parameters }), candidates, given),
      uniform: seeded(5),
      output: decisionOutput(ARMS.length),
    }))
    for (let t = 0; t < 150; t++) {
      for (const { policy, uniform, output } of pair) {
        const x = contextOf(seeded(100 + t))
        const input = inputOf(x)
        policy.decide(input, uniform, output)
        const outcome = {
          ...{ arm: ARMS[output.arm]!, vector: x, reward: output.arm % 4 },
          ...{ propensity: output.probabilities[output.arm]!, hyperParameters: output.hyperParameters },
        }
        if (t % 10 === 0) policy.observe(input, outcome)
        else policy.learn(outcome)
      }
      expect(pair[0]!.output).toEqual(pair[1]!.output)
    }
    expect(Buffer.compare(pair[0]!.policy.snapshot(), pair[1]!.policy.snapshot())).toBe(0)
  },
)

it('refuses what a look refuses, and takes vectors of any size', () => {
  const number = fc.constantFrom(0, 1, -1, 1e-170, 1e20, 1e160, 1e308, Number.NaN, Number.POSITIVE_INFINITY)
  fc.assert(
    fc.property(
      fc.array(number, { minLength: 3, maxLength: 3 }),
      fc.array(
        number.filter((n) => Math.abs(n) < 1e100),
        { minLength: 3, maxLength: 3 },
      ),
      (context, learned) => {
        const policy = linUcb({ ...base, lambda: 0.5 })
        const spread = (values: readonly number[]) =>
          Float64Array.from({ length: D }, (_, i) => values[i % 3]!)
        policy.learn({ arm: ARMS[0]!, vector: spread(learned), reward: 1, propensity: 1 })
        policy.learn({ arm: ARMS[1]!, vector: spread([1, 2, 3]), reward: 2, propensity: 1 })
        const input = inputOf(spread(context), ARMS.slice(0, 3))
        const refused = refusal(() => policy.look(input))
        const favourites = refused === undefined ? ALPHAS.map((alpha) => policy.favourite(alpha)) : []
        expect(refusal(() => policy.glance(input))).toBe(refused)
        if (refused === undefined) expect(ALPHAS.map((alpha) => policy.favourite(alpha))).toEqual(favourites)
      },
    ),
  )
})
