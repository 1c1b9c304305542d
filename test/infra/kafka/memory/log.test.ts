import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PartitionLog } from '../../../../infra/kafka/memory/log.ts'
import type { WireRecord } from '../../../../infra/kafka/port.ts'

const record = (value: string, key: string | null = null): WireRecord => ({
  key: key === null ? null : Buffer.from(key),
  value: Buffer.from(value),
})
const values = (log: PartitionLog, from = log.earliest): string[] =>
  log.read(from, 10_000).records.map(({ value }) => value!.toString())
const numbers = (from: number, to: number): WireRecord[] =>
  Array.from({ length: to - from }, (_, index) => record(`${from + index}`))

type Step =
  | { readonly kind: 'append'; readonly transaction: number | null; readonly count: number }
  | { readonly kind: 'end'; readonly transaction: number; readonly committed: boolean }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('append' as const),
    transaction: fc.option(fc.nat(3)),
    count: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({ kind: fc.constant('end' as const), transaction: fc.nat(3), committed: fc.boolean() }),
)

describe('a partition log', () => {
  it('shows what a plain list of decided records shows, for any interleaving of transactions', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 5 }), (steps, max) => {
        const log = new PartitionLog({ compact: false })
        const owners = [{}, {}, {}, {}]
        // The model: every offset ever given, and what became of it.
        const model: {
          value: string | null
          state: 'open' | 'shown' | 'gone'
          transaction: number | null
        }[] = []
        for (const each of steps) {
          const { transaction } = each
          if (each.kind === 'append') {
            const owner = transaction === null ? null : owners[transaction]!
            const records = Array.from({ length: each.count }, (_, index) =>
              record(`${model.length + index}`),
            )
            log.append(records, owner, 0)
            for (let count = 0; count < each.count; count++)
              model.push({
                value: `${model.length}`,
                state: transaction === null ? 'shown' : 'open',
                transaction,
              })
          } else {
            const open = model.filter((entry) => entry.transaction === transaction && entry.state === 'open')
            log.endTransaction(owners[each.transaction]!, each.committed)
            for (const entry of open) entry.state = each.committed ? 'shown' : 'gone'
            if (open.length > 0) model.push({ value: null, state: 'gone', transaction: null })
          }
        }
        const firstOpen = model.findIndex(({ state }) => state === 'open')
        const stable = firstOpen < 0 ? model.length : firstOpen
        expect(log.end).toBe(model.length)
        expect(log.stable).toBe(stable)
        const shown = model.slice(0, stable).flatMap(({ state, value }) => (state === 'shown' ? [value] : []))
        const seen: string[] = []
        for (let from = 0; ; ) {
          const { records, nextOffset } = log.read(from, max)
          for (const { offset, value } of records) {
            expect(value!.toString()).toBe(`${offset}`)
            seen.push(value!.toString())
          }
          if (nextOffset === from) break
          from = nextOffset
        }
        expect(seen).toEqual(shown)
      }),
    )
  })

  it('drops what every consumer has passed, and keeps what one of them still needs', () => {
    const log = new PartitionLog({ compact: false })
    const [fast, slow, reader] = [{}, {}, {}]
    log.append(numbers(0, 10), null, 0)
    log.hold(reader, 2, false)
    expect([log.earliest, log.size], 'readers alone drop nothing').toEqual([0, 10])
    log.hold(fast, 8, true)
    expect(log.earliest).toBe(2)
    log.hold(slow, 5, true)
    log.unhold(reader)
    expect([log.earliest, log.size]).toEqual([5, 5])
    expect(values(log)).toEqual(['5', '6', '7', '8', '9'])
  })

  it('never drops above the last stable offset', () => {
    const log = new PartitionLog({ compact: false })
    const transaction = {}
    log.append(numbers(0, 2), null, 0)
    log.append(numbers(2, 4), transaction, 0)
    log.hold({}, 4, true)
    expect(log.earliest).toBe(2)
    log.endTransaction(transaction, true)
    expect(values(log)).toEqual(['2', '3'])
  })

  it('keeps the newest records that `retention.records` names, or all', () => {
    for (const [records, kept] of [
      [3, 3],
      [-1, 10],
    ] as const) {
      const log = new PartitionLog({ compact: false, records })
      log.append(numbers(0, 10), null, 0)
      log.hold({}, 10, true)
      expect(log.size).toBe(kept)
      expect(log.earliest).toBe(10 - kept)
    }
    const unread = new PartitionLog({ compact: false, records: 3 })
    for (let at = 0; at < 100; at++) unread.append(numbers(at, at + 1), null, 0)
    expect(values(unread)).toEqual(['97', '98', '99'])
  })

  it('keeps the latest of each key of a compacted topic, whoever has read it', () => {
    const log = new PartitionLog({ compact: true })
    const latest = new Map<string, string>()
    for (let at = 0; at < 5000; at++) {
      const key = `k${(at * 7919) % 10}`
      log.append([record(`${at}`, key)], null, 0)
      latest.set(key, `${at}`)
    }
    log.hold({}, 5000, true)
    expect(log.size).toBeLessThan(200)
    const found = new Map(
      log.read(0, 10_000).records.map(({ key, value }) => [key!.toString(), value!.toString()]),
    )
    expect(found).toEqual(latest)
  })

  it('gives large records a batch of a fetch’s bytes at a time, at least one', () => {
    const log = new PartitionLog({ compact: false })
    const large = { key: null, value: Buffer.alloc(400_000) }
    log.append([large, large, large, { key: null, value: Buffer.alloc(2_000_000) }], null, 0)
    const sizes: number[] = []
    for (let from = 0; from < 4; ) {
      const { records, nextOffset } = log.read(from, 1000)
      sizes.push(records.length)
      from = nextOffset
    }
    expect(sizes).toEqual([2, 1, 1])
  })
})
