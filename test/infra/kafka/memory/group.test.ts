import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assign } from '../../../../infra/kafka/memory/group.ts'

describe('dealing tasks to members', () => {
  it('gives every number one owner, in even counts, and moves as few as it must', () => {
    const counts = fc.tuple(fc.integer({ min: 0, max: 24 }), fc.integer({ min: 1, max: 6 }))
    const owners = fc.array(fc.option(fc.nat(5)), { minLength: 24, maxLength: 24 })
    fc.assert(
      fc.property(counts, owners, ([partitions, members], ownerOf) => {
        const owned = Array.from({ length: members }, () => new Set<number>())
        for (let partition = 0; partition < partitions; partition++)
          owned[ownerOf[partition] ?? members]?.add(partition)
        const dealt = assign(partitions, owned)
        expect(dealt.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: partitions }, (_, i) => i))
        const sizes = dealt.map(({ length }) => length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
        const kept = dealt.map((numbers, index) => numbers.filter((each) => owned[index]!.has(each)).length)
        for (const [index, count] of kept.entries())
          expect(count).toBe(Math.min(owned[index]!.size, sizes[index]!))
      }),
    )
  })
})
