import { describe, expect, it } from 'vitest'
import { avroCodec } from '../../../infra/avro/dynamic.ts'

/** A schema as users have them: nested, with a recursive part, unions and a wide id. */
const auction = JSON.stringify({
  type: 'record',
  name: 'Auction',
  namespace: 'com.example',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'price', type: ['null', 'double'], default: null },
    { name: 'size', type: ['null', 'int', 'double'] },
    { name: 'hash', type: { type: 'fixed', name: 'Hash', size: 4 } },
    {
      name: 'category',
      type: {
        type: 'record',
        name: 'Category',
        fields: [
          { name: 'name', type: 'string' },
          { name: 'parent', type: ['null', 'Category'] },
        ],
      },
    },
  ],
})

describe("a user's own schema", () => {
  const codec = avroCodec(auction)
  const value = {
    id: 1_234_567_890_123_456_789n,
    at: 1_700_000_000_000,
    price: null,
    size: { int: 3 },
    hash: Buffer.from([1, 2, 3, 4]),
    category: { name: 'shoes', parent: { name: 'clothes', parent: null } },
  }

  it('comes back, ids beyond 2^53 with every digit', () => {
    expect(codec.decode(codec.encode(value))).toEqual(value)
    expect(codec.decode(codec.encode({ ...value, id: -7 }))).toEqual({ ...value, id: -7 })
  })

  it('names the path of a wrong value', () => {
    const wrong = { ...value, category: { name: 'shoes', parent: { name: 1, parent: null } } }
    expect(() => codec.encode(wrong)).toThrow(expect.objectContaining({ code: 'INVALID_EVENT' }))
    expect(() => codec.encode({ ...value, id: 2n ** 63n })).toThrow(/Auction\.id/)
  })

  it('refuses nesting beyond what recursion is allowed', () => {
    let category: unknown = null
    for (let depth = 0; depth < 66; depth++) category = { name: 'c', parent: category }
    expect(() => codec.encode({ ...value, category })).toThrow(
      expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }),
    )
  })

  it('is refused where it is no schema', () => {
    for (const text of ['{', '{"type":"record"}', '{"type":"nonesuch"}']) {
      expect(() => avroCodec(text)).toThrow(expect.objectContaining({ code: 'UNKNOWN_SCHEMA' }))
    }
  })
})
