import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { ClickHouse } from '../../../infra/clickhouse/connect.ts'
import { RowBinaryWriter } from '../../../infra/clickhouse/row-binary.ts'
import {
  blockToken,
  encodeBlock,
  RECORDED,
  type RecordedName,
  tableOf,
} from '../../../infra/clickhouse/rows.ts'
import type { EventTypes } from '../../../schemas/generated/events.ts'
import { describeWithClickHouse, useClickHouse } from '../../clickhouse-server.ts'
import { BARE, EXAMPLES } from './events.ts'

const RANGE = { cluster: 'c', topic: 'events', partition: 4, from: 10, to: 12 }

/** What the table gives back, said in the words of the event. */
const readBack = (name: RecordedName, row: Record<string, unknown>): unknown => {
  const event: Record<string, unknown> = {}
  for (const [column, value] of Object.entries(row)) {
    const field = column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    event[field] = value
  }
  if (name === 'dead-letter') {
    for (const field of ['topic', 'partition', 'offset']) {
      event[field] = event[`source${field[0]!.toUpperCase()}${field.slice(1)}`]
    }
  }
  if (name === 'ledger') event['partition'] = event['task']
  if (name === 'model') {
    const ranges = event['trainedOn'] as Record<string, unknown>[]
    event['trainedOn'] = ranges.map((range) => ({
      ...range,
      from: Number(range['from']),
      to: Number(range['to']),
    }))
  }
  return event
}

/** Columns as values that JSON carries exactly: times as milliseconds, bytes as hex, integers as strings turned to numbers. */
const expression = (name: RecordedName, column: string): string => {
  if (/(_at|^at)$/.test(column)) return `toUnixTimestamp64Milli(${column}) AS ${column}`
  if (name === 'dead-letter' && (column === 'key' || column === 'value')) return `hex(${column}) AS ${column}`
  if (column === 'reasons') return 'mapApply((reason, n) -> (reason, toInt32(n)), reasons) AS reasons'
  return column
}

const comparable = (value: unknown): unknown => {
  if (Buffer.isBuffer(value)) return value.toString('hex').toUpperCase()
  if (Array.isArray(value)) return value.map(comparable)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, comparable(inner)]))
}

const numbers = (row: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(row).map(([key, value]) => [
      key,
      typeof value === 'string' &&
      /_?(offset|at|length|taken|used|pending|watermark)$/.test(key) &&
      /^-?\d+$/.test(value)
        ? Number(value)
        : value,
    ]),
  )

describeWithClickHouse('recorded events', () => {
  const server = useClickHouse()
  let ch: ClickHouse
  beforeAll(async () => {
    ch = await server.open()
  })

  it.each(RECORDED)('%s round trips through every column', async (name) => {
    const records = [
      { event: EXAMPLES[name], offset: 10 },
      { event: BARE[name], offset: Number.MAX_SAFE_INTEGER },
    ] as { event: EventTypes[typeof name]; offset: number }[]
    const block = encodeBlock(name, RANGE, records)
    await ch.insertBlock(block)
    const columns = block.columns.map((column) => expression(name, column)).join(', ')
    const rows = await ch.query<Record<string, unknown>>(
      `SELECT ${columns} FROM ${tableOf(name)} ORDER BY offset`,
    )
    expect(rows.length).toBe(2)
    rows.forEach((row, i) => {
      expect(row).toMatchObject({ topic: 'events', partition: 4 })
      expect(Number(row['offset'])).toBe(records[i]!.offset)
      expect(readBack(name, numbers(row))).toMatchObject(comparable(records[i]!.event) as object)
    })
    const table = await ch.query<{ name: string }>(
      'SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String} ORDER BY position',
      { table: tableOf(name) },
    )
    expect([...block.columns].sort()).toEqual(table.map((column) => column.name).sort())
  })

  it('any text, bytes and numbers come back as they were', async () => {
    await ch.command(
      'CREATE TABLE anything (i UInt32, s String, b String, d Float64, n Int64, a Array(Float64), t Array(String), m Int32, y Bool) ENGINE = Memory',
    )
    const number = fc.double({ noNaN: true, noDefaultInfinity: true })
    const row = fc.record({
      s: fc.string({ unit: 'grapheme', maxLength: 100 }),
      b: fc.uint8Array({ maxLength: 300 }),
      d: number,
      n: fc.maxSafeInteger(),
      a: fc.array(number),
      t: fc.array(fc.string({ unit: 'grapheme' })),
      m: fc.integer(),
      y: fc.boolean(),
    })
    const rows = fc.sample(row, 2_000)
    const writer = new RowBinaryWriter(16)
    rows.forEach(({ s, b, d, n, a, t, m, y }, i) => {
      writer.uint32(i)
      writer.string(s)
      writer.bytes(b)
      writer.float64(d)
      writer.int64(n)
      writer.float64Array(a)
      writer.stringArray(t)
      writer.int32(m)
      writer.bool(y)
    })
    const columns = ['i', 's', 'b', 'd', 'n', 'a', 't', 'm', 'y']
    await ch.insertBlock({ table: 'anything', columns, bytes: writer.finish(), token: 'x' })
    const back = await ch.query(
      'SELECT hex(s) AS s, hex(b) AS b, reinterpretAsUInt64(d) AS d, n, arrayMap(x -> reinterpretAsUInt64(x), a) AS a, arrayMap(x -> hex(x), t) AS t, m, y FROM anything ORDER BY i',
    )
    const hex = (bytes: Uint8Array | string) =>
      Buffer.from(bytes as string)
        .toString('hex')
        .toUpperCase()
    const bits = (value: number) => new BigUint64Array(Float64Array.of(value).buffer)[0]!.toString()
    expect(back).toEqual(
      rows.map(({ s, b, d, n, a, t, m, y }) => ({
        ...{ s: hex(s), b: hex(b), d: bits(d), n: String(n), a: a.map(bits), t: t.map(hex), m, y },
      })),
    )
  })
})

describe('blocks', () => {
  it.each(RECORDED)('the same %s records give the same bytes and token', (name) => {
    const records = [EXAMPLES[name], BARE[name]].map((event, i) => ({ event, offset: i })) as {
      event: EventTypes[typeof name]
      offset: number
    }[]
    const copies = records.map(({ event, offset }) => ({ offset, event: structuredClone(event) }))
    for (const { event } of copies) {
      // The order of an object's keys is not part of an event; Buffers come back from a clone as plain arrays.
      for (const field of ['labels', 'reasons', 'metrics'])
        if (field in event && !Array.isArray(event[field as never]))
          Object.assign(event, {
            [field]: Object.fromEntries(Object.entries(event[field as never]).reverse()),
          })
    }
    const [first, second] = [encodeBlock(name, RANGE, records), encodeBlock(name, RANGE, copies)]
    expect(Buffer.compare(first.bytes, second.bytes)).toBe(0)
    expect(first.token).toBe(second.token)
  })

  it('tokens differ where any part of the range differs', () => {
    const tokens = [
      RANGE,
      { ...RANGE, cluster: 'd' },
      { ...RANGE, topic: 'e' },
      { ...RANGE, partition: 5 },
      { ...RANGE, from: 11 },
      { ...RANGE, to: 13 },
    ].map((range) => blockToken(range, 'outcomes'))
    expect(new Set([...tokens, blockToken(RANGE, 'decisions')]).size).toBe(7)
  })

  it.each([
    ['a reward that is NaN', { reward: Number.NaN }, 'NON_FINITE_NUMBER'],
    ['an infinite entry of a vector', { vector: [1, Number.POSITIVE_INFINITY] }, 'NON_FINITE_NUMBER'],
    ['a probability that is NaN', { probabilities: [Number.NaN] }, 'NON_FINITE_NUMBER'],
    ['a time that is NaN', { occurredAt: Number.NaN }, 'NON_FINITE_NUMBER'],
    ['a time beyond what the column holds', { occurredAt: Date.UTC(2070, 0, 1) }, 'INVALID_EVENT'],
    ['a time before 1970', { occurredAt: -1 }, 'INVALID_EVENT'],
    ['an offset beyond 2^53', { stateOffset: 2 ** 53 }, 'INVALID_EVENT'],
    ['a version beyond 32 bits', { policyVersion: 2 ** 31 }, 'INVALID_EVENT'],
  ])('%s is refused, with the record named; or left out where asked', (_, change, code) => {
    const good = { event: EXAMPLES.outcome, offset: 10 }
    const bad = { event: { ...EXAMPLES.outcome, ...change }, offset: 11 }
    const name = expect.stringContaining('events/4 at 11')
    expect(() => encodeBlock('outcome', RANGE, [good, bad])).toThrow(
      expect.objectContaining({ code, message: name }),
    )
    const refused: unknown[] = []
    const block = encodeBlock('outcome', RANGE, [bad, good, bad], (record, error) =>
      refused.push(record, error.code),
    )
    expect(refused).toEqual([bad, code, bad, code])
    expect(block.bytes).toEqual(encodeBlock('outcome', RANGE, [good]).bytes)
  })

  it('a negative count of bytes, a negative unsigned number and a fraction are refused', () => {
    const writer = new RowBinaryWriter()
    expect(() => writer.uint32(-1)).toThrow()
    expect(() => writer.uint64(-1)).toThrow()
    expect(() => writer.int64(0.5)).toThrow()
    expect(() => writer.int32(0.5)).toThrow()
    expect(writer.length).toBe(0)
  })
})
