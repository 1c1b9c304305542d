import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BinaryHeap } from '../../../operators/streams/binary-heap.ts'

test('values leave in the order of their priorities, equal ones in the order they came', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9 })), (priorities) => {
      const heap = new BinaryHeap<number>()
      for (const [i, priority] of priorities.entries()) heap.push(priority, i)
      const expected = priorities
        .map((priority, i) => ({ priority, i }))
        .sort((a, b) => a.priority - b.priority || a.i - b.i)
      const left: number[] = []
      while (heap.size > 0) left.push(heap.pop()!)
      expect(left).toEqual(expected.map(({ i }) => i))
      expect(heap.minimum).toBe(Number.POSITIVE_INFINITY)
      expect(heap.pop()).toBeUndefined()
    }),
  )
})
