import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BestNodes } from '../../../../operators/xmc/inference/best-nodes.ts'
import { kthLargest } from '../../../../operators/xmc/inference/kth-largest.ts'
import { TRANSFORMS } from '../../../../operators/xmc/inference/transform.ts'
import type { Transform } from '../../../../operators/xmc/model.ts'
import { ranked } from './naive-search.ts'

const NAMES = Object.keys(TRANSFORMS) as Transform[]
const PRODUCTS = NAMES.filter((name) => !name.startsWith('log') && name !== 'identity')

describe.each(NAMES)('%s', (name) => {
  const transform = TRANSFORMS[name]
  const parents = PRODUCTS.includes(name)
    ? fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true }))
    : fc.oneof(fc.constant(0), fc.double({ min: -1e6, max: 0, noNaN: true }))
  const values = fc.oneof(fc.double({ min: -20, max: 3, noNaN: true }), fc.constantFrom(1, -1e30, 1e30))

  it('rises with the value, never gives NaN, and no child more than its parent has', () => {
    fc.assert(
      fc.property(values, values, parents, (a, b, parent) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)].map((v) => transform.score(v, parent)) as [
          number,
          number,
        ]
        expect(low).toBeLessThanOrEqual(high)
        if (name !== 'identity') expect(high).toBeLessThanOrEqual(parent)
      }),
    )
  })

  it('tells no value too high that must be reached: whoever reaches the score reaches it', () => {
    fc.assert(
      fc.property(values, values, parents, parents, (value, other, parent, otherParent) => {
        // A score to reach: that of another node, or this one's own.
        for (const wanted of [transform.score(other, otherParent), transform.score(value, parent)]) {
          if (transform.score(value, parent) < wanted) continue
          expect(value).toBeGreaterThanOrEqual(transform.leastValue(wanted, parent))
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('tells a value that is near the one that must be reached', () => {
    const parent = PRODUCTS.includes(name) ? 0.7 : -0.3
    for (const value of [-1, 0, 0.5, 0.9]) {
      expect(transform.leastValue(transform.score(value, parent), parent)).toBeCloseTo(value, 3)
    }
    expect(transform.leastValue(Number.NEGATIVE_INFINITY, parent)).toBe(Number.NEGATIVE_INFINITY)
    if (name !== 'identity') expect(transform.leastValue(parent + 0.1, parent)).toBe(Number.POSITIVE_INFINITY)
  })
})

it('the k-th largest is the k-th of the sorted', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(0, 1, 2), fc.double({ noNaN: true })), {
        minLength: 1,
        maxLength: 80,
      }),
      fc.nat(79),
      (values, k) => {
        const sorted = [...values].sort((a, b) => b - a)
        const at = k % values.length
        expect(kthLargest(Float64Array.from(values), values.length, at + 1) - sorted[at]! || 0).toBe(0)
      },
    ),
  )
})

it('the best nodes are the first of all sorted, whatever the order they come in', () => {
  const score = fc.oneof(fc.constantFrom(0, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true }))
  const best = new BestNodes(2)
  fc.assert(
    fc.property(fc.array(score, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (scores, capacity) => {
      const all = scores.map((each, node) => ({ node, score: each }))
      best.clear(capacity)
      for (const { node, score: each } of [...all].sort((a, b) => Math.sin(a.node) - Math.sin(b.node)))
        best.offer(node, each)
      best.sort()
      const found = Array.from({ length: best.count }, (_, i) => ({
        node: best.nodes[i]!,
        score: best.scores[i]!,
      }))
      expect(found).toEqual(ranked(all).slice(0, capacity))
    }),
  )
})
