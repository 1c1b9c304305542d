import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DecisionRandom, Xoshiro128 } from '../../../operators/numerics/random.ts'
import { HmacSha256 } from '../../../operators/numerics/sha256.ts'

const hex = (words: Int32Array): string =>
  [...words].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')

describe('HMAC-SHA-256', () => {
  // RFC 4231, sections 4.2 to 4.8 (4.6 is about truncation).
  const vectors = [
    {
      key: Buffer.alloc(20, 0x0b),
      data: Buffer.from('Hi There'),
      mac: 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    },
    {
      key: Buffer.from('Jefe'),
      data: Buffer.from('what do ya want for nothing?'),
      mac: '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    },
    {
      key: Buffer.alloc(20, 0xaa),
      data: Buffer.alloc(50, 0xdd),
      mac: '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
    },
    {
      key: Buffer.from(Array.from({ length: 25 }, (_, i) => i + 1)),
      data: Buffer.alloc(50, 0xcd),
      mac: '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
    },
    {
      key: Buffer.alloc(131, 0xaa),
      data: Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First'),
      mac: '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    },
    {
      key: Buffer.alloc(131, 0xaa),
      data: Buffer.from(
        'This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.',
      ),
      mac: '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
    },
  ]

  it.each(vectors)('gives the digest of RFC 4231: $mac', ({ key, data, mac }) => {
    expect(hex(new HmacSha256(key).digest(data, data.length))).toBe(mac)
  })

  it('agrees with node:crypto for keys and messages of any length', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 140 }),
        fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 4 }),
        (key, messages) => {
          const hmac = new HmacSha256(key)
          for (const message of messages) {
            const expected = createHmac('sha256', key).update(message).digest('hex')
            expect(hex(hmac.digest(message, message.length))).toBe(expected)
          }
        },
      ),
    )
  })
})

describe('the generator of a decision', () => {
  it('is seeded by HMAC-SHA-256 of policy, version and request under the salt', () => {
    const digest = createHmac('sha256', 'a1b2').update('digits/3/request-7é').digest()
    const expected = new Xoshiro128()
    expected.seed(digest.readInt32BE(0), digest.readInt32BE(4), digest.readInt32BE(8), digest.readInt32BE(12))
    const random = new DecisionRandom('a1b2', 'digits', 3)
    random.reseed('request-7é')
    for (let i = 0; i < 10; i++) expect(random.uniform()).toBe(expected.uniform())
  })

  it('gives a request the same numbers whatever came before it, and other requests others', () => {
    const random = new DecisionRandom('salt', 'p', 1)
    random.reseed('x')
    const first = [random.uniform(), random.uniform()]
    random.reseed('a longer id '.repeat(100))
    random.uniform()
    random.reseed('x')
    expect([random.uniform(), random.uniform()]).toEqual(first)
    for (const [salt, policy, version, id] of [
      ['other', 'p', 1, 'x'],
      ['salt', 'q', 1, 'x'],
      ['salt', 'p', 2, 'x'],
      ['salt', 'p', 1, 'y'],
    ] as const) {
      const other = new DecisionRandom(salt, policy, version)
      other.reseed(id)
      expect(other.uniform()).not.toBe(first[0])
    }
  })

  it('is uniform over [0, 1) across requests', () => {
    const random = new DecisionRandom('salt', 'p', 1)
    const cells = new Array<number>(20).fill(0)
    const draws = 40_000
    for (let i = 0; i < draws; i++) {
      random.reseed(`request-${i}`)
      const u = random.uniform()
      expect(u >= 0 && u < 1).toBe(true)
      cells[Math.floor(u * cells.length)]! += 1
    }
    const expected = draws / cells.length
    const chiSquared = cells.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
    expect(chiSquared).toBeLessThan(50) // 19 degrees of freedom: p < 0.0002
  })
})

describe('xoshiro128**', () => {
  it('gives the numbers of its reference implementation', () => {
    // From the state 1, 2, 3, 4, as the algorithm is published.
    const random = new Xoshiro128()
    random.seed(1, 2, 3, 4)
    const state = [1n, 2n, 3n, 4n]
    const mask = (1n << 32n) - 1n
    const rotate = (x: bigint, k: bigint) => ((x << k) | (x >> (32n - k))) & mask
    for (let i = 0; i < 1_000; i++) {
      const result = (rotate((state[1]! * 5n) & mask, 7n) * 9n) & mask
      const t = (state[1]! << 9n) & mask
      state[2]! ^= state[0]!
      state[3]! ^= state[1]!
      state[1]! ^= state[2]!
      state[0]! ^= state[3]!
      state[2]! ^= t
      state[3] = rotate(state[3]!, 11n)
      expect(random.next()).toBe(Number(result))
    }
  })

  it('never stays at zero', () => {
    const random = new Xoshiro128()
    random.seed(0, 0, 0, 0)
    const numbers = Array.from({ length: 8 }, () => random.next())
    expect(new Set(numbers).size).toBeGreaterThan(4)
  })
})
