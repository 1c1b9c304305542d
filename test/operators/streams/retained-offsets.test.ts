import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RetainedOffsets } from '../../../operators/streams/retained-offsets.ts'

test('it knows the earliest offset that is still needed, and what was before it', () => {
  const steps = fc.array(fc.oneof(fc.constant('add' as const), fc.nat()), { maxLength: 2_000 })
  fc.assert(
    fc.property(steps, (story) => {
      const retained = new RetainedOffsets()
      const needed: { place: number; offset: number }[] = []
      let offset = 0
      for (const step of story) {
        if (step === 'add') {
          offset += 2
          needed.push({ place: retained.add(offset, 10 * offset), offset })
        } else if (needed.length > 0) retained.release(needed.splice(step % needed.length, 1)[0]!.place)
        expect(retained.earliest).toBe(needed[0]?.offset ?? -1)
        expect(retained.earliestBefore(7)).toBe(needed.length > 0 ? 10 * needed[0]!.offset : 7)
        const last = needed.at(-1)
        if (last !== undefined) expect(retained.offset(last.place)).toBe(last.offset)
      }
    }),
    { numRuns: 50 },
  )
})

test('a long time with one record needed at its beginning grows with what came, and forgets it all', () => {
  const retained = new RetainedOffsets()
  const first = retained.add(0, Number.NEGATIVE_INFINITY)
  const places = Array.from({ length: 10_000 }, (_, i) => retained.add(i + 1, i))
  for (const place of places.slice(0, -1)) retained.release(place)
  expect(retained.earliest).toBe(0)
  retained.release(first)
  expect(retained.earliest).toBe(10_000)
  retained.release(places.at(-1)!)
  expect(retained.earliest).toBe(-1)
})
