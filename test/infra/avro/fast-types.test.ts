import avsc from 'avsc'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { typeOfSchema } from '../../../infra/avro/payload.ts'

const RECORD = {
  type: 'record',
  name: 'R',
  fields: [
    { name: 'doubles', type: { type: 'array', items: 'double' } },
    { name: 'text', type: 'string' },
    { name: 'texts', type: { type: 'array', items: 'string' } },
    { name: 'either', type: ['null', { type: 'array', items: 'double' }, { type: 'map', values: 'double' }] },
  ],
}
const plain = avsc.Type.forSchema(RECORD as avsc.schema.AvroSchema, { wrapUnions: 'auto' })
const fast = typeOfSchema(JSON.stringify(RECORD))

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.string({ minLength: 28, maxLength: 70 }),
)
const value = fc.record({
  doubles: fc.array(fc.double(), { maxLength: 40 }),
  text,
  texts: fc.array(text, { maxLength: 5 }),
  either: fc.oneof(fc.constant(null), fc.array(fc.double()), fc.dictionary(fc.string(), fc.double())),
})
const wellFormed = (strings: readonly string[]) =>
  strings.every((string) => Buffer.from(string).toString() === string)

describe('the fast types', () => {
  test("write avsc's own bytes and read them to the same values", () => {
    fc.assert(
      fc.property(value, (given) => {
        fc.pre(wellFormed([given.text, ...given.texts]))
        const bytes = plain.toBuffer(given)
        expect(fast.toBuffer(given).equals(bytes)).toBe(true)
        expect(fast.fromBuffer(bytes)).toEqual(plain.fromBuffer(bytes))
      }),
      { numRuns: 500 },
    )
  })

  test('read from any place in a larger buffer, and from one buffer after another', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), fc.nat(9), (values, offset) => {
        fc.pre(values.every((given) => wellFormed([given.text, ...given.texts])))
        for (const given of values) {
          const bytes = plain.toBuffer(given)
          const larger = Buffer.concat([Buffer.alloc(offset, 0xff), bytes, Buffer.alloc(3, 0x7f)])
          expect(fast.fromBuffer(larger.subarray(offset, offset + bytes.length))).toEqual(
            plain.fromBuffer(bytes),
          )
        }
      }),
    )
  })

  test('read arrays in several blocks, and blocks that state their size', () => {
    const type = typeOfSchema('{"type":"array","items":"double"}')
    const double = (n: number) => {
      const bytes = Buffer.alloc(8)
      bytes.writeDoubleLE(n)
      return bytes
    }
    const blocks = Buffer.concat([
      Buffer.from([2]),
      double(1.5),
      Buffer.from([4]),
      double(2.5),
      double(3.5),
      Buffer.from([0]),
    ])
    expect(type.fromBuffer(blocks)).toEqual([1.5, 2.5, 3.5])
    const sized = Buffer.concat([Buffer.from([3, 32]), double(1.5), double(2.5), Buffer.from([0])])
    expect(type.fromBuffer(sized)).toEqual([1.5, 2.5])
  })

  test('read as doubles what another schema wrote as floats', () => {
    const writer = typeOfSchema('{"type":"array","items":"float"}')
    const reader = typeOfSchema('{"type":"array","items":"double"}')
    const bytes = writer.toBuffer([0.5, -2])
    expect(reader.fromBuffer(bytes, reader.createResolver(writer))).toEqual([0.5, -2])
  })

  test('grow with their buffer, and refuse what is no double or no string', () => {
    const scratch = Buffer.alloc(4)
    const given = { doubles: [1, 2], text: 'abc', texts: ['d'], either: null }
    expect(fast.encode(given, scratch, 0)).toBe(-(fast.toBuffer(given).length - scratch.length))
    for (const wrong of [
      { ...given, doubles: [1, '2'] },
      { ...given, text: 5 },
      { ...given, texts: [null] },
    ]) {
      expect(() => fast.toBuffer(wrong)).toThrow()
    }
  })
})
