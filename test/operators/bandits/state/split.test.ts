import { expect, test } from 'vitest'
import { partKey, partOf } from '../../../../operators/bandits/state/split.ts'

// Computed with Python's zlib.crc32: the hash is part of the format and must never change.
test.each([
  ['r1', [1, 0, 2, 433]],
  ['request-17', [1, 1, 4, 905]],
  ['рекомендация', [1, 1, 0, 635]],
  ['', [0, 0, 0, 0]],
])('the part of %j is the CRC-32 of its UTF-8 bytes, modulo the parts', (id, expected) => {
  expect([2, 3, 7, 1_024].map((parts) => partOf(id, parts))).toEqual(expected)
  expect(partOf(id, 1)).toBe(0)
})

test('ids that differ in a number spread evenly over the parts', () => {
  for (const parts of [2, 3, 4, 16]) {
    const counts = new Array<number>(parts).fill(0)
    for (let i = 0; i < 16_000; i++) counts[partOf(`user-${i}`, parts)]! += 1
    for (const count of counts) expect(Math.abs(count - 16_000 / parts)).toBeLessThan(800 / Math.sqrt(parts))
  }
})

test('a part has a key of its own; a policy that is not split has its name', () => {
  expect(partKey('homepage', 0, 1)).toBe('homepage')
  expect([0, 1].map((part) => partKey('homepage', part, 2))).toEqual(['homepage#0', 'homepage#1'])
})
