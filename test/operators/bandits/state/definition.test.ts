import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type AlgorithmDefinition,
  canonicalJson,
  createPolicy,
  decisionOutput,
  definitionHash,
  type LinUcbDefinition,
  type Policy,
  type PolicyDefinitionBody,
  stateHash,
  type TunablePolicy,
} from '../../../../operators/bandits/index.ts'
import { refusal } from '../laws.ts'

const base: PolicyDefinitionBody & { readonly algorithm: LinUcbDefinition } = {
  algorithm: { kind: 'linUcb', variant: 'disjoint', alpha: 0.25 },
  features: { dense: 3 },
}

const linear = { variant: 'disjoint', lambda: 1 } as const
const linUcb: LinUcbDefinition = { kind: 'linUcb', ...linear, alpha: 'theory' }
/** One of each other algorithm, and syndicates that differ in what they tune. */
const others: readonly AlgorithmDefinition[] = [
  { kind: 'linTs', ...linear, draws: 4 },
  { kind: 'epsilonGreedy', ...linear, epsilon: 0.2 },
  { kind: 'squareCb', ...linear, gamma: 5 },
  { kind: 'ucbGlm', variant: 'disjoint', link: 'logistic' },
  { kind: 'ucbGlm', variant: 'disjoint', link: 'logistic', fit: 'exact' },
  { kind: 'uniform' },
  { kind: 'syndicated', base: linUcb, candidates: { alpha: [0.1, 1] } },
  { kind: 'syndicated', base: linUcb, candidates: { alpha: [0.1, 1], lambda: [0.1, 1] } },
  { kind: 'syndicated', base: linUcb, candidates: { alpha: [0.1, 1] }, tuner: 'thompson' },
  { kind: 'syndicated', base: linUcb, candidates: { discount: [0.9, 0.99] } },
  { kind: 'robust', base: linUcb },
  { kind: 'robust', base: linUcb, levels: 'paper' },
  { kind: 'robust', base: { kind: 'restarting', base: linUcb, sigma: 0.1 }, tuner: 'exp4' },
  {
    kind: 'syndicated',
    base: { kind: 'restarting', base: linUcb, sigma: 0.1 },
    candidates: { lambda: [0.1, 1] },
  },
  { kind: 'restarting', base: linUcb, sigma: 0.1 },
  { kind: 'confidenceWeighted', base: linUcb, scale: 0.5 },
  { kind: 'rewardGuard', base: { kind: 'robust', base: linUcb }, rewards: [0, 1] },
  { kind: 'robust', base: linUcb, levels: [0, 1, 4], candidates: { lambda: [0.1, 1] } },
]

describe('policy definitions', () => {
  it('have one canonical text, whatever the order of their members', () => {
    const shuffled = {
      features: { dense: 3 },
      algorithm: { alpha: 0.25, variant: 'disjoint', kind: 'linUcb' },
    }
    expect(canonicalJson(base)).toBe(
      '{"algorithm":{"alpha":0.25,"kind":"linUcb","variant":"disjoint"},"features":{"dense":3}}',
    )
    expect(canonicalJson(shuffled)).toBe(canonicalJson(base))
    expect(definitionHash(base)).toMatch(/^[0-9a-f]{64}$/)
  })

  it('canonical JSON is JSON: it reads back as it was, and is its own canonical text', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value)
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
        expect(canonicalJson(JSON.parse(text))).toBe(text)
      }),
    )
  })

  it('canonical JSON refuses what JSON cannot say, naming the path', () => {
    expect(() => canonicalJson({ a: [1, Number.NaN] })).toThrow('$.a[1]')
    expect(() => canonicalJson({ f: () => 1 })).toThrow('$.f')
    expect(canonicalJson({ a: undefined, b: 1 })).toBe('{"b":1}')
  })

  it('keep their state when exploration changes, and when a default is written out', () => {
    const { algorithm, features } = base
    const same: PolicyDefinitionBody[] = [
      { ...base, explorationFloor: 0.2 },
      { features, algorithm: { ...algorithm, alpha: 'theory', theory: { delta: 0.01 } } },
      { features, algorithm: { ...algorithm, maxArms: 10_000, refreshEvery: 1_000, lambda: 1 } },
      { features, algorithm: { ...algorithm, prior: 'zero', forgetting: 'never' } },
      { algorithm, features: { context: { dense: 3 }, bias: false } },
    ]
    for (const definition of same) {
      expect(stateHash(definition)).toBe(stateHash(base))
      expect(definitionHash(definition)).not.toBe(definitionHash(base))
    }
  })

  it('get another state when its meaning changes', () => {
    const { algorithm, features } = base
    const different: PolicyDefinitionBody[] = [
      { features, algorithm: { ...algorithm, variant: 'shared' } },
      { features, algorithm: { ...algorithm, lambda: 2 } },
      { features, algorithm: { ...algorithm, maxArms: 7 } },
      { features, algorithm: { ...algorithm, refreshEvery: 10 } },
      { features, algorithm: { ...algorithm, prior: 'pooled' } },
      { features, algorithm: { ...algorithm, forgetting: { discount: 0.99 } } },
      { features, algorithm: { ...algorithm, forgetting: { window: 1_000 } } },
      ...others.map((other) => ({ features, algorithm: other })),
      { algorithm, features: { dense: 4 } },
      { algorithm, features: { names: ['a', 'b', 'c'] } },
      { algorithm, features: { context: { dense: 3 }, bias: true } },
    ]
    const hashes = [base, ...different].map(stateHash)
    expect(new Set(hashes).size).toBe(hashes.length)
  })

  it('say how the state is split only where it is, so that states of before keep their hash', () => {
    // Computed before policies could be split.
    expect(stateHash(base)).toBe('b21478cd04b20ac903e390e7ad9a609f8f59d89fde3f77913ebd317329739d20')
    for (const one of [{ partitions: 1 }, { partitions: 1, mergeEvery: 7 }, { mergeEvery: 7 }]) {
      expect(stateHash({ ...base, ...one })).toBe(stateHash(base))
    }
    const split = { ...base, partitions: 4 }
    expect(stateHash({ ...split, mergeEvery: 100 })).toBe(stateHash(split))
    const others = [base, split, { ...split, partitions: 3 }, { ...split, mergeEvery: 99 }].map(stateHash)
    expect(new Set(others).size).toBe(others.length)
  })

  it('are refused for parts that cannot be', () => {
    for (const wrong of [{ partitions: 0 }, { partitions: 1.5 }, { partitions: 2, mergeEvery: 0 }]) {
      expect(refusal(() => createPolicy({ ...base, ...wrong }))).toBe('INVALID_CONFIG')
    }
    expect(createPolicy({ ...base, partitions: 2 }).kind).toBe('lin-ucb-disjoint')
  })

  it('make the policy they describe', () => {
    const policy = createPolicy({ ...base, features: { context: { dense: 3 }, bias: true } })
    expect(policy.kind).toBe('lin-ucb-disjoint')
    expect(policy.dimension).toBe(4)
    expect(policy.propensityKind).toBe('exact')
    expect(exploration(policy)).toBe(0.25)
    const theory = createPolicy({ ...base, algorithm: { ...base.algorithm, alpha: 'theory' } })
    const before = exploration(theory)
    theory.learn({ arm: 'a', vector: Float64Array.of(1, 0, 0), reward: 1, propensity: 1 })
    expect(exploration(theory)).toBeGreaterThan(before)
  })

  it.each(others)('make a policy that decides and learns, as $kind', (algorithm) => {
    const policy = createPolicy({ algorithm, features: { dense: 3 }, explorationFloor: 0.1 })
    const output = decisionOutput(2)
    const vectors = Float64Array.of(1, 0, 0.5, 1, 0, 0.5)
    policy.decide({ arms: ['a', 'b'], vectors }, () => 0.25, output)
    expect(output.probabilities[0]! + output.probabilities[1]!).toBeCloseTo(1, 12)
    expect(Math.min(...output.probabilities)).toBeGreaterThanOrEqual(0.05)
    const { hyperParameters } = output
    policy.learn({ arm: 'a', vector: vectors.subarray(0, 3), reward: 1, propensity: 0.5, hyperParameters })
    expect(policy.learned).toBe(1)
  })

  it('of a syndicate are refused for hyper-parameters that its base does not have', () => {
    const algorithm: AlgorithmDefinition = { kind: 'syndicated', base: linUcb, candidates: { beta: [1, 2] } }
    expect(() => createPolicy({ ...base, algorithm })).toThrow(
      'candidates.beta: a syndicate of linUcb has candidates of alpha, corruption, lambda',
    )
  })

  it('are refused for an unknown algorithm', () => {
    const unknown = { ...base, algorithm: { kind: 'oracle' } } as unknown as PolicyDefinitionBody
    expect(refusal(() => createPolicy(unknown))).toBe('INVALID_CONFIG')
  })
})

const exploration = (policy: Policy): number => (policy as TunablePolicy).exploration
