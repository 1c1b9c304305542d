/**
 * How far the streaming fit is from the exact one: in θ, on the same outcomes of arms drawn evenly, and in regret, each deciding for itself. Seeds are
 * fixed, so that the figures are the same every time; docs/operators/ucb-glm.md names them, and the bounds leave room around them.
 */
import { describe, expect, it } from 'vitest'
import { decisionOutput, type UcbGlmOptions, ucbGlm } from '../../../../operators/bandits/index.ts'
import { Xoshiro128 } from '../../../../operators/numerics/random.ts'

const ROUNDS = 5_000
const SEEDS = [1, 2, 3, 4, 5]
const ARMS = Array.from({ length: 16 }, (_, a) => `arm ${a}`)
const DIMENSION = 3
/** Arms of the comparison in θ: 1,250 outcomes each. */
const SAMPLED = 4

interface Kind {
  readonly link: UcbGlmOptions['link']
  /** θ of every arm: this intercept, and weights drawn evenly from [−spread, spread]. */
  readonly intercept: number
  readonly spread: number
}
const CLICKS: Kind = { link: 'logistic', intercept: 0, spread: 1 }
const RARE_CLICKS: Kind = { link: 'logistic', intercept: -3, spread: 1 }
const COUNTS: Kind = { link: 'poisson', intercept: 0, spread: 0.5 }

const seeded = (seed: number, stream: number): Xoshiro128 => {
  const random = new Xoshiro128()
  random.seed(seed, stream, 3, 4)
  return random
}

/** A context of an intercept and two numbers from [−1, 1] a round, and what each arm pays in it. */
class World {
  readonly thetas: readonly Float64Array[]
  readonly context = new Float64Array(DIMENSION).fill(1)
  readonly vectors = new Float64Array(ARMS.length * DIMENSION)
  readonly means = new Float64Array(ARMS.length)
  readonly #link: UcbGlmOptions['link']
  readonly #random: Xoshiro128
  #drawn = 0

  constructor({ link, intercept, spread }: Kind, seed: number) {
    this.#link = link
    this.#random = seeded(seed, 1)
    const weight = () => spread * this.#even()
    this.thetas = ARMS.map(() => Float64Array.of(intercept, weight(), weight()))
  }

  next(): void {
    for (let i = 1; i < DIMENSION; i++) this.context[i] = this.#even()
    this.thetas.forEach((theta, a) => {
      const z = theta.reduce((sum, weight, i) => sum + weight * this.context[i]!, 0)
      this.means[a] = this.#link === 'logistic' ? 1 / (1 + Math.exp(-z)) : Math.exp(z)
      this.vectors.set(this.context, a * DIMENSION)
    })
    this.#drawn = this.#random.uniform()
  }

  /** By inversion: the number whose cumulated probability first passes what was drawn. */
  reward(arm: number): number {
    const mean = this.means[arm]!
    if (this.#link === 'logistic') return Number(this.#drawn < mean)
    let count = 0
    for (let p = Math.exp(-mean), sum = p; this.#drawn > sum && p > 0; sum += p) p *= mean / ++count
    return count
  }

  #even(): number {
    return 2 * this.#random.uniform() - 1
  }
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length
const distance = (a: Float64Array, b: Float64Array): number =>
  Math.hypot(...a.map((value, i) => value - b[i]!))

/** Means over arms and seeds, in shares of the exact θ's length: streaming θ to exact θ, and exact θ to the true one. */
const thetaDistances = (kind: Kind): { readonly between: number; readonly toTruth: number } => {
  const between: number[] = []
  const toTruth: number[] = []
  for (const seed of SEEDS) {
    const world = new World(kind, seed)
    const policies = (['exact', 'streaming'] as const).map((fit) =>
      ucbGlm({ variant: 'disjoint', dimension: DIMENSION, link: kind.link, fit }),
    )
    for (let t = 0; t < ROUNDS; t++) {
      world.next()
      const arm = t % SAMPLED
      const outcome = { arm: ARMS[arm]!, vector: world.context, reward: world.reward(arm), propensity: 1 }
      for (const policy of policies) policy.learn(outcome)
    }
    ARMS.slice(0, SAMPLED).forEach((arm, a) => {
      const [exact, streaming] = policies.map((policy) => policy.theta(arm)) as [Float64Array, Float64Array]
      const length = distance(exact, new Float64Array(DIMENSION))
      between.push(distance(exact, streaming) / length)
      toTruth.push(distance(exact, world.thetas[a]!) / length)
    })
  }
  return { between: mean(between), toTruth: mean(toTruth) }
}

/** Regret after all rounds, mean over the seeds. */
const regretOf = (kind: Kind, fit: 'exact' | 'streaming', alpha: number): number =>
  mean(
    SEEDS.map((seed) => {
      const world = new World(kind, seed)
      const random = seeded(seed, 2)
      const policy = ucbGlm({ variant: 'disjoint', dimension: DIMENSION, link: kind.link, fit, alpha })
      const output = decisionOutput(ARMS.length)
      const input = { arms: ARMS, vectors: world.vectors, oneVector: true }
      let regret = 0
      for (let t = 0; t < ROUNDS; t++) {
        world.next()
        policy.decide(input, random.uniform, output)
        const { arm, probabilities } = output
        regret += Math.max(...world.means) - world.means[arm]!
        policy.learn({
          ...{ arm: ARMS[arm]!, vector: world.context, reward: world.reward(arm) },
          propensity: probabilities[arm]!,
        })
      }
      return regret
    }),
  )

describe('UCB-GLM, streaming beside exact', () => {
  it.each([
    ['clicks', CLICKS, 0.03, 0.25],
    ['clicks at 5 %, where steps are longest', RARE_CLICKS, 0.1, 0.75],
    ['counts', COUNTS, 0.06, 0.25],
  ] as const)(
    'learns nearly the same θ from the same outcomes: nearer than the truth is, of %s',
    (_, kind, most, share) => {
      const { between, toTruth } = thetaDistances(kind)
      expect(between).toBeGreaterThan(0)
      expect(between).toBeLessThan(most)
      expect(between).toBeLessThan(share * toTruth)
    },
  )

  // The explorations differ as the widths do: of a click the slope is at most 1/4, of a count here about 1.
  it.each([
    ['clicks', CLICKS, { exact: 2, streaming: 1 }],
    ['counts', COUNTS, { exact: 2, streaming: 2 }],
  ] as const)('has much the same regret, of %s', { timeout: 300_000 }, (_, kind, alpha) => {
    const ratio = regretOf(kind, 'streaming', alpha.streaming) / regretOf(kind, 'exact', alpha.exact)
    expect(ratio).toBeGreaterThan(0.6)
    expect(ratio).toBeLessThan(1.6)
  })
})
