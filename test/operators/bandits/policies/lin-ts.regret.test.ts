/** LinTS against the regret table of the reference: random numbers of our own, the same protocol, rounds and count of seeds; 200,000 decisions. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { decisionOutput, linTs } from '../../../../operators/bandits/index.ts'
import { standardNormal } from '../../../../operators/numerics/normal.ts'
import { DecisionRandom } from '../../../../operators/numerics/random.ts'
import { goldenPath } from '../../../golden.ts'

const file = `${goldenPath('bandits')}/table-regret.json`

interface Table {
  readonly protocol: {
    readonly [name in 'T' | 'd' | 'K' | 'sigma' | 'lambda_fixed' | 'delta' | 'L']: number
  } & { readonly seeds: readonly number[] }
  readonly results: Record<
    'asInCode' | 'centred',
    Record<string, { readonly mean: number; readonly std: number }>
  >
}

const regretOf = ({ protocol }: Table, seed: number, centred: boolean, draws: number): number => {
  const { T, d, K, sigma, lambda_fixed: lambda, delta, L: maxNorm } = protocol
  const random = new DecisionRandom('environment', `${centred}`, draws)
  const own = new DecisionRandom('policy', `${centred}`, draws)
  for (const generator of [random, own]) generator.reseed(String(seed))
  const policy = linTs({
    ...{ variant: 'shared', dimension: d, lambda, alpha: 'theory', theory: { sigma, delta, maxNorm } },
    ...{ draws, explorationFloor: 0 },
  })
  const span = (): number => (2 * random.uniform() - 1) / Math.sqrt(d)
  const theta = Float64Array.from({ length: d }, span)
  const arms = Array.from({ length: K }, (_, a) => String(a))
  const vectors = new Float64Array(K * d)
  const output = decisionOutput(K)
  let regret = 0
  for (let t = 0; t < T; t++) {
    let best = Number.NEGATIVE_INFINITY
    for (let k = 0; k < K * d; k++) vectors[k] = span()
    const meanOf = (arm: number): number => {
      let product = 0
      for (let i = 0; i < d; i++) product += vectors[arm * d + i]! * theta[i]!
      return (product + 1) / 2
    }
    for (let a = 0; a < K; a++) best = Math.max(best, meanOf(a))
    policy.decide({ arms, vectors }, own.uniform, output)
    const { arm } = output
    const mean = meanOf(arm)
    const observed = mean + sigma * standardNormal(random.uniform())
    const vector = vectors.subarray(arm * d, (arm + 1) * d)
    const reward = centred ? 2 * observed - 1 : observed
    policy.learn({ arm: arms[arm]!, vector, reward, propensity: output.probabilities[arm]! })
    regret += best - mean
  }
  return regret
}

describe.skipIf(!existsSync(file))('regret of LinTS with the theoretical exploration', () => {
  it.each([
    ['asInCode', 1],
    ['centred', 1],
  ] as const)(
    'agrees with the reference, %s, %d draws: within 3 pooled standard errors',
    (protocol, draws) => {
      const table = JSON.parse(readFileSync(file, 'utf8')) as Table
      const expected = table.results[protocol]['LinTS-theory']!
      const { seeds } = table.protocol
      const regrets = seeds.map((seed) => regretOf(table, seed, protocol === 'centred', draws))
      const mean = regrets.reduce((sum, each) => sum + each) / seeds.length
      const variance = regrets.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (seeds.length - 1)
      const pooled = Math.sqrt((variance + expected.std ** 2) / 2)
      expect(Math.abs(mean - expected.mean)).toBeLessThan((3 * pooled) / Math.sqrt(seeds.length))
    },
    180_000,
  )
})
