import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createFeaturizer,
  type FeatureRequest,
  type FeaturesDefinition,
  featureDimension,
} from '../../../operators/streams/featurize.ts'
import { refusal } from '../bandits/laws.ts'

const request = (
  context: FeatureRequest['context'],
  ...features: FeatureRequest['context'][]
): FeatureRequest => ({ context, arms: features.map((each, a) => ({ id: `arm ${a}`, features: each })) })

const rows = (definition: FeaturesDefinition, each: FeatureRequest): number[][] => {
  const featurizer = createFeaturizer(definition)
  const { arms, vectors } = featurizer(each)
  expect(vectors.length).toBe(arms.length * featurizer.dimension)
  return arms.map((_, a) => [...vectors.subarray(a * featurizer.dimension, (a + 1) * featurizer.dimension)])
}

describe('featurize', () => {
  it('gives every arm the dense context where arms have no features', () => {
    const definition = { dense: 3 }
    expect(rows(definition, request([1, 2, 3], null, null))).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ])
    expect(createFeaturizer(definition)(request([1, 2, 3], null)).oneVector).toBe(true)
  })

  it('lays out context, arm, their products and the bias', () => {
    const definition = { context: { dense: 2 }, arm: { dense: 2 }, interactions: true, bias: true }
    expect(featureDimension(definition)).toBe(9)
    expect(rows(definition, request([2, 3], [5, 7], [-1, 0]))).toEqual([
      [2, 3, 5, 7, 10, 14, 15, 21, 1],
      [2, 3, -1, 0, -2, 0, -3, 0, 1],
    ])
    expect(createFeaturizer(definition)(request([2, 3], [5, 7])).oneVector).toBe(false)
  })

  it('puts declared names in their positions, those not given being 0', () => {
    const definition = { arm: { names: ['price', 'age', 'clicks'] } }
    expect(rows(definition, request(null, { clicks: 4, price: 2 }, {}))).toEqual([
      [2, 0, 4],
      [0, 0, 0],
    ])
  })

  it('hashes names to the same vector in any order, signs and collisions included', () => {
    const features = fc.dictionary(fc.string(), fc.double({ min: -1e6, max: 1e6, noNaN: true }), {
      maxKeys: 20,
    })
    fc.assert(
      fc.property(features, fc.integer({ min: 1, max: 4 }), (named, bits) => {
        const backwards = Object.fromEntries(Object.entries(named).reverse())
        const definition = { context: { hash: { bits, seed: 3 } } }
        expect(rows(definition, request(backwards, null))).toEqual(rows(definition, request(named, null)))
      }),
    )
    const [row] = rows({ context: { hash: { bits: 4 } } }, request({ a: 2 }, null))
    expect(row!.filter((value) => value !== 0).map(Math.abs)).toEqual([2])
    const other = rows({ context: { hash: { bits: 10, seed: 1 } } }, request({ a: 2 }, null))
    expect(other).not.toEqual(rows({ context: { hash: { bits: 10 } } }, request({ a: 2 }, null)))
  })

  it('reuses its buffer without leaking one request into the next', () => {
    const featurizer = createFeaturizer({ arm: { names: ['a', 'b'] }, bias: true })
    const many = Array.from({ length: 100 }, () => ({ a: 1, b: 2 }))
    featurizer(request(null, ...many))
    const { arms, vectors } = featurizer(request(null, { b: 5 }, {}))
    expect([...vectors]).toEqual([0, 5, 1, 0, 0, 1])
    const again = featurizer(request(null, {}, {}))
    expect(again.vectors).toBe(vectors)
    expect(arms).toEqual(['arm 0', 'arm 1'])
  })

  it.each([
    ['no arms', { dense: 1 }, request([1]), 'EMPTY_ARMS', 'arms'],
    [
      'a repeated arm',
      { dense: 1 },
      {
        context: [1],
        arms: [
          { id: 'a', features: null },
          { id: 'a', features: null },
        ],
      },
      'DUPLICATE_ARM',
      "arms[1]: 'a'",
    ],
    ['a short context', { dense: 2 }, request([1], null), 'WRONG_DIMENSION', 'context: 1 numbers'],
    ['a missing context', { dense: 2 }, request(null, null), 'INVALID_EVENT', 'context'],
    ['names for numbers', { dense: 2 }, request({ a: 1 }, null), 'INVALID_EVENT', 'context'],
    ['numbers for names', { names: ['a'] }, request([1], null), 'INVALID_EVENT', 'context'],
    ['an undeclared name', { names: ['a'] }, request({ b: 1 }, null), 'INVALID_EVENT', 'context.b'],
    ['a context not asked for', { arm: { dense: 1 } }, request([1], [1]), 'INVALID_EVENT', 'context'],
    [
      'arm features not asked for',
      { dense: 1 },
      request([1], null, [1]),
      'INVALID_EVENT',
      'arms[1].features',
    ],
    ['a long arm', { arm: { dense: 1 } }, request(null, [1], [1, 2]), 'WRONG_DIMENSION', 'arms[1].features'],
    ['NaN', { dense: 2 }, request([1, Number.NaN], null), 'NON_FINITE_NUMBER', 'context[1]'],
    [
      'infinity',
      { arm: { names: ['a'] } },
      request(null, { a: -Infinity }),
      'NON_FINITE_NUMBER',
      'arms[0].features.a',
    ],
    [
      'infinity, hashed',
      { hash: { bits: 2 } },
      request({ a: Infinity }, null),
      'NON_FINITE_NUMBER',
      'context.a',
    ],
  ] as const)('refuses %s and names the place', (_, definition, bad, code, place) => {
    const featurizer = createFeaturizer(definition as FeaturesDefinition)
    expect(refusal(() => featurizer(bad))).toBe(code)
    expect(() => featurizer(bad)).toThrow(place)
  })

  it('passes over what is not declared when told to', () => {
    const definition = { context: { names: ['a'] }, ignoreUnknown: true }
    expect(rows(definition, request({ a: 1, b: 2 }, { c: 3 }))).toEqual([[1]])
    expect(refusal(() => rows(definition, request({ b: Number.NaN }, null)))).toBe('NON_FINITE_NUMBER')
  })

  it('takes names that objects have of themselves for names', () => {
    const named = JSON.parse('{"__proto__": 2, "constructor": 3}')
    expect(rows({ names: ['constructor', '__proto__', 'toString'] }, request(named, null))).toEqual([
      [3, 2, 0],
    ])
  })

  it.each([
    { dense: 0 },
    { names: [] },
    { names: ['a', 'a'] },
    { hash: { bits: 0 } },
    { context: { dense: 1 }, interactions: true },
    { bias: false },
  ] as FeaturesDefinition[])('refuses the definition %j', (definition) => {
    expect(refusal(() => createFeaturizer(definition))).toBe('INVALID_CONFIG')
  })
})
