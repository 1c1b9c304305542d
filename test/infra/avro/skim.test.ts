import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { avroCodec } from '../../../infra/avro/dynamic.ts'
import { typeOfSchema } from '../../../infra/avro/payload.ts'
import { DEFAULT_LIMITS, skimOf } from '../../../infra/avro/skim.ts'
import { MillraceError } from '../../../schemas/errors.ts'

const refusalOf = (schema: unknown, bytes: readonly number[] | Buffer): string => {
  try {
    skimOf(typeOfSchema(JSON.stringify(schema)), DEFAULT_LIMITS)(Buffer.from(bytes), 0)
    return 'none'
  } catch (error) {
    return error instanceof MillraceError ? error.code : String(error)
  }
}

const array = (items: unknown) => ({ type: 'array', items })
const empty = { type: 'record', name: 'Empty', fields: [] }
const list = {
  type: 'record',
  name: 'List',
  fields: [{ name: 'next', type: ['null', 'List'] }],
}

/** A zig-zag variable-length integer. */
const long = (value: number): number[] => {
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
  const bytes: number[] = []
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return [...bytes, Number(rest)]
}

describe('before anything is decoded', () => {
  it('refuses 20 million nulls in five bytes', () => {
    const bomb = [...long(20_000_000), 0]
    expect(bomb).toHaveLength(5)
    expect(refusalOf(array('null'), bomb)).toBe('MESSAGE_TOO_LARGE')
    expect(refusalOf(array(empty), bomb)).toBe('MESSAGE_TOO_LARGE')
    expect(refusalOf(array('null'), [...long(-20_000_000), 0, 0])).toBe('MESSAGE_TOO_LARGE')
  })

  it('counts the items of all blocks together', () => {
    const block = long(300_000)
    expect(refusalOf(array('null'), [...block, 0])).toBe('none')
    expect(refusalOf(array('null'), [...block, ...block, 0])).toBe('MESSAGE_TOO_LARGE')
  })

  it('refuses 200 kB of nesting', () => {
    expect(refusalOf(list, Buffer.concat([Buffer.alloc(200_000, 2), Buffer.from([0])]))).toBe(
      'MESSAGE_TOO_LARGE',
    )
    expect(refusalOf(list, Buffer.concat([Buffer.alloc(64, 2), Buffer.from([0])]))).toBe('none')
  })

  it('refuses counts and lengths beyond what is left', () => {
    expect(refusalOf(array('double'), [...long(1000), 0])).toBe('MALFORMED_AVRO')
    expect(refusalOf(array('string'), [...long(1000), 0])).toBe('MALFORMED_AVRO')
    for (const length of [1_000_000_000, -1, 2 ** 52, -(2 ** 52)]) {
      expect(refusalOf('string', [...long(length), 0])).toBe('MALFORMED_AVRO')
      expect(refusalOf('bytes', [...long(length), 0])).toBe('MALFORMED_AVRO')
    }
    expect(refusalOf({ type: 'map', values: 'int' }, [...long(3), 2, 97])).toBe('MALFORMED_AVRO')
    expect(refusalOf(array('int'), [1, ...Array(9).fill(0xff), 1])).not.toBe('none')
  })

  it('holds a block to the size it announces', () => {
    expect(refusalOf(array('int'), [...long(-2), ...long(2), 2, 4, 0])).toBe('none')
    expect(refusalOf(array('int'), [...long(-2), ...long(3), 2, 4, 0])).toBe('MALFORMED_AVRO')
  })

  it('refuses what the decoder would take silently', () => {
    expect(refusalOf('string', [...long(2), 0xc3, 0x28])).toBe('MALFORMED_AVRO')
    expect(refusalOf('string', [...long(70), ...Array(69).fill(97), 0xff])).toBe('MALFORMED_AVRO')
    expect(refusalOf('int', long(2 ** 31))).toBe('MALFORMED_AVRO')
    expect(refusalOf('long', Array(11).fill(0x80))).toBe('MALFORMED_AVRO')
    expect(refusalOf({ type: 'enum', name: 'E', symbols: ['A'] }, long(1))).toBe('MALFORMED_AVRO')
    expect(refusalOf(['null', 'int'], long(-1))).toBe('MALFORMED_AVRO')
    expect(refusalOf('int', [2, 0])).toBe('MALFORMED_AVRO')
    const proto = Buffer.concat([Buffer.from([2, 18]), Buffer.from('__proto__'), Buffer.from([2, 0])])
    expect(refusalOf({ type: 'map', values: 'int' }, proto)).toBe('INVALID_EVENT')
  })

  it('keeps the integers that their types can hold, however many bytes they take', () => {
    const largest = { int: 2 ** 31 - 1, long: 2 ** 52 - 1 }
    for (const type of ['int', 'long'] as const) {
      for (let bits = 0; 2 ** bits - 1 <= largest[type]; bits++) {
        for (const value of [2 ** bits - 1, 1 - 2 ** bits]) expect(refusalOf(type, long(value))).toBe('none')
      }
      for (const value of [largest[type] + 2, -largest[type] - 2]) {
        expect(refusalOf(type, long(value))).toBe('MALFORMED_AVRO')
      }
      expect(refusalOf(type, [...long(largest[type]).slice(0, -1)])).toBe('MALFORMED_AVRO')
    }
  })

  it('counts the depth of records that contain one another', () => {
    const node = {
      type: 'record',
      name: 'Node',
      fields: [
        {
          name: 'edges',
          type: array({ type: 'record', name: 'Edge', fields: [{ name: 'to', type: ['null', 'Node'] }] }),
        },
      ],
    }
    /** A node with one edge to a node, and so on. */
    const chain = (depth: number): Buffer =>
      Buffer.from([...Array(depth).fill([2, 2]).flat(), 0, ...Array(depth).fill(0)])
    expect(refusalOf(node, chain(64))).toBe('none')
    expect(refusalOf(node, chain(65))).toBe('MESSAGE_TOO_LARGE')
  })

  it('ends with a code for any bytes whatever', () => {
    const schemas = [
      array(array('null')),
      array(list),
      { type: 'map', values: array(['null', 'string', 'long']) },
    ]
    for (const schema of schemas) {
      const codec = avroCodec(JSON.stringify(schema))
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
          try {
            codec.decode(Buffer.from(bytes))
          } catch (error) {
            expect(error).toBeInstanceOf(MillraceError)
          }
        }),
        { numRuns: 500 },
      )
    }
  })
})
