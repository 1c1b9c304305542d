import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { murmur2, partitionOf } from '../../../infra/kafka/partitioner.ts'
import { goldenPath } from '../../golden.ts'

interface Vector {
  readonly hex: string
  readonly murmur2: number
  readonly partition: Readonly<Record<string, number>>
}

const vectors = JSON.parse(readFileSync(`${goldenPath('kafka')}/murmur2.json`, 'utf8')) as Vector[]

describe('partitioner', () => {
  it('hashes every reference key as Java does', () => {
    expect(vectors.length).toBeGreaterThanOrEqual(50)
    for (const { hex, murmur2: expected } of vectors)
      expect(murmur2(Buffer.from(hex, 'hex')), hex).toBe(expected)
  })

  it('puts every reference key into the partition of a Java producer', () => {
    for (const { hex, partition } of vectors)
      for (const [partitions, expected] of Object.entries(partition))
        expect(partitionOf(Buffer.from(hex, 'hex'), Number(partitions)), hex).toBe(expected)
  })

  it('gives a partition in range for any key, the same each time, whatever view holds the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 1, max: 1000 }), (key, partitions) => {
        const partition = partitionOf(key, partitions)
        expect(partition).toBeGreaterThanOrEqual(0)
        expect(partition).toBeLessThan(partitions)
        expect(Number.isInteger(partition)).toBe(true)
        const shifted = Buffer.concat([Buffer.from([7]), key]).subarray(1)
        expect(partitionOf(shifted, partitions)).toBe(partition)
      }),
    )
  })
})
