import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { SourceBatch, SourceRecord } from '../../../operators/streams/batch.ts'
import { BlockGatherer } from '../../../operators/streams/blocks.ts'

const record = (offset: number): SourceRecord => ({ key: null, value: null, offset, timestamp: 0 })

/** A batch of the offsets given, ending `gap` above the last. */
const batch = (offsets: readonly number[], gap = 0, topic = 't'): SourceBatch => ({
  topic,
  partition: 3,
  records: offsets.map(record),
  nextOffset: offsets.at(-1)! + 1 + gap,
})
const offsets = ({ records }: { records: readonly SourceRecord[] }) => records.map(({ offset }) => offset)
const NONE = new Map<string, number>()

test('a block is due when it has its rows', () => {
  const gatherer = new BlockGatherer({ maxRows: 4, maxWaitMs: 1_000 }, NONE)
  gatherer.add(batch([0, 1, 2]), 0)
  expect(gatherer.due(0)).toEqual([])
  gatherer.add(batch([3, 4]), 1)
  const [block, ...more] = gatherer.due(1)
  expect(more).toEqual([])
  expect(block).toMatchObject({ topic: 't', partition: 3, from: 0, to: 5 })
  expect(offsets(block!)).toEqual([0, 1, 2, 3, 4])
  expect(gatherer.due(10_000)).toEqual([])
})

test('a block is due when its first batch has waited, whatever came after', () => {
  const gatherer = new BlockGatherer({ maxRows: 100, maxWaitMs: 1_000 }, NONE)
  gatherer.add(batch([0]), 0)
  gatherer.add(batch([1]), 999)
  expect(gatherer.due(999)).toEqual([])
  expect(gatherer.due(1_000).map(offsets)).toEqual([[0, 1]])
})

test('a block begins where the one before ended, over gaps, and the first at its position', () => {
  const gatherer = new BlockGatherer({ maxRows: 1, maxWaitMs: 1_000 }, new Map([['t', 5]]))
  gatherer.add(batch([7, 9], 3), 0)
  expect(gatherer.due(0)).toMatchObject([{ from: 5, to: 13 }])
  gatherer.add(batch([14]), 0)
  expect(gatherer.due(0)).toMatchObject([{ from: 13, to: 15 }])
})

test('what lies before the position is in a block already and is passed over', () => {
  const gatherer = new BlockGatherer({ maxRows: 1, maxWaitMs: 1_000 }, new Map([['t', 10]]))
  gatherer.add(batch([4, 5, 9]), 0)
  expect(gatherer.due(10_000)).toEqual([])
  gatherer.add(batch([8, 9, 10, 11]), 0)
  const [block] = gatherer.due(0)
  expect(block).toMatchObject({ from: 10, to: 12 })
  expect(offsets(block!)).toEqual([10, 11])
})

test('an idle batch brings nothing, and topics are apart', () => {
  const gatherer = new BlockGatherer({ maxRows: 2, maxWaitMs: 1_000 }, NONE)
  gatherer.add(batch([0], 0, 'a'), 0)
  gatherer.add({ topic: '', partition: 3, records: [], nextOffset: -1, idle: true }, 5)
  gatherer.add(batch([7, 8], 0, 'b'), 10)
  expect(gatherer.due(10)).toMatchObject([{ topic: 'b', from: 7, to: 9 }])
  expect(gatherer.due(1_000)).toMatchObject([{ topic: 'a', from: 0, to: 1 }])
})

test('every record is in exactly one block, and blocks of a topic touch', () => {
  const step = fc.record({
    topic: fc.constantFrom('a', 'b'),
    rows: fc.integer({ min: 1, max: 5 }),
    before: fc.nat(2),
    gap: fc.nat(2),
    pause: fc.nat(60),
  })
  fc.assert(
    fc.property(fc.array(step), fc.integer({ min: 1, max: 12 }), (steps, maxRows) => {
      const gatherer = new BlockGatherer({ maxRows, maxWaitMs: 100 }, new Map([['a', 0]]))
      const next = new Map([
        ['a', 0],
        ['b', 0],
      ])
      const given: string[] = []
      const blocks: ReturnType<BlockGatherer['due']> = []
      let now = 0
      for (const { topic, rows, before, gap, pause } of steps) {
        const first = next.get(topic)! + before
        const some = Array.from({ length: rows }, (_, i) => first + i)
        gatherer.add(batch(some, gap, topic), now)
        given.push(...some.map((offset) => `${topic}${offset}`))
        next.set(topic, first + rows + gap)
        now += pause
        blocks.push(...gatherer.due(now))
      }
      blocks.push(...gatherer.due(now + 100))
      expect(
        blocks.flatMap((block) => offsets(block).map((offset) => `${block.topic}${offset}`)).sort(),
      ).toEqual(given.sort())
      for (const topic of ['a', 'b']) {
        const own = blocks.filter((block) => block.topic === topic)
        own.forEach((block, i) => {
          if (i > 0) expect(block.from).toBe(own[i - 1]!.to)
          expect(offsets(block).every((offset) => offset >= block.from && offset < block.to)).toBe(true)
        })
      }
    }),
  )
})
