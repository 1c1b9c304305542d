import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { examplesOf, isHeldOut } from '../../../pipelines/retrain/examples.ts'
import { passes } from '../../../pipelines/retrain/gate.ts'
import {
  documentsSince,
  type PartitionEnds,
  type PlacedDocument,
  windowOf,
} from '../../../pipelines/retrain/window.ts'
import { documentsFrom } from './documents.ts'

const endsOf = (held: readonly (readonly [earliest: number, count: number])[]): PartitionEnds[] =>
  held.map(([earliest, count], partition) => ({ topic: 't', partition, earliest, latest: earliest + count }))

const anyEnds = fc
  .array(fc.tuple(fc.nat(1e9), fc.nat(1e6)), { minLength: 1, maxLength: 20 })
  .map((held) => endsOf(held))

const sizeOf = (window: ReturnType<typeof windowOf>): number =>
  window.reduce((sum, { from, to }) => sum + to - from, 0)

describe('the window', () => {
  it('is exactly as large as asked, or all there is; its ranges end where the partitions do, and share in proportion', () => {
    fc.assert(
      fc.property(anyEnds, fc.integer({ min: 1, max: 1e7 }), (ends, size) => {
        const held = ends.reduce((sum, { earliest, latest }) => sum + latest - earliest, 0)
        const window = windowOf(ends, size)
        expect(sizeOf(window)).toBe(Math.min(size, held))
        for (const [i, { from, to }] of window.entries()) {
          const { earliest, latest } = ends[i]!
          expect(to).toBe(latest)
          expect(from).toBeGreaterThanOrEqual(earliest)
          if (held > 0)
            expect(Math.abs(to - from - (Math.min(size, held) * (latest - earliest)) / held)).toBeLessThan(
              1 + 1e-6,
            )
        }
      }),
    )
  })

  it('says what came after it: nothing at once, then all that came, and of a topic made anew all', () => {
    const before = endsOf([
      [0, 100],
      [5, 20],
    ])
    const window = windowOf(before, 50)
    expect(documentsSince(before, window)).toBe(0)
    expect(
      documentsSince(
        endsOf([
          [0, 130],
          [5, 21],
        ]),
        window,
      ),
    ).toBe(31)
    // A partition that was added, and one whose records below are gone.
    expect(
      documentsSince(
        endsOf([
          [120, 10],
          [5, 20],
          [0, 7],
        ]),
        window,
      ),
    ).toBe(17)
    expect(
      documentsSince(
        endsOf([
          [0, 3],
          [0, 2],
        ]),
        window,
      ),
    ).toBe(5)
    expect(documentsSince(before, [])).toBe(120)
  })
})

describe('the gate', () => {
  const at = (one: number, psp = 50) => ({
    'precision@1': one,
    'precision@3': 40,
    'precision@5': 30,
    'psp@1': psp,
    'psp@3': psp,
    'psp@5': psp,
  })

  it.each([
    ['better at one, equal elsewhere', at(61), at(60), true],
    ['equal everywhere', at(60), at(60), false],
    ['worse at one', at(59), at(60), false],
    ['better at precision, worse for rare labels', at(90, 49), at(60, 50), false],
    ['the first, right now and then', at(1), null, true],
    ['the first, never right', at(0), null, false],
  ])('%s', (_, candidate, served, expected) => {
    expect(passes(candidate, served)).toBe(expected)
  })
})

describe('examples', () => {
  const placed = (offset: number, change: object): PlacedDocument => {
    const document = { ...documentsFrom(offset, 1, { labels: 4 })[0]!, ...change }
    return { topic: 't', partition: offset % 3, offset, document }
  }

  it('are the same in whatever order the documents come, and the same documents are held out of every window', () => {
    const documents = Array.from({ length: 300 }, (_, i) => placed(i, {}))
    const forth = examplesOf(documents, null, 0.2)
    const back = examplesOf([...documents].reverse(), null, 0.2)
    expect(back).toEqual(forth)
    expect(forth.heldOut.length).toBe(
      documents.filter(({ document }) => isHeldOut(document.documentId, 0.2)).length,
    )
    expect(forth.heldOut.length).toBeGreaterThan(30)
    expect(forth.heldOut.length).toBeLessThan(90)
    // What is held out at a small share is so at a larger one.
    for (const { document } of documents)
      if (isHeldOut(document.documentId, 0.1)) expect(isHeldOut(document.documentId, 0.2)).toBe(true)
  })

  it('take the last of several documents with one id, labels once each, and leave out what cannot be learned from', () => {
    const features = { indices: [1], values: [1] }
    const { training, heldOut } = examplesOf(
      [
        placed(9, { documentId: 'a', labels: ['new', 'new', 'b'] }),
        placed(3, { documentId: 'a', labels: ['old'] }),
        placed(4, { documentId: 'none', labels: [] }),
        placed(5, { documentId: 'both', features }),
        placed(6, { documentId: 'other', text: null, features }),
      ],
      null,
      0.001,
    )
    const all = [...training, ...heldOut]
    expect(all.map(({ labels }) => labels)).toEqual([['b', 'new']])
    const given = examplesOf(
      [
        placed(1, { text: null, features }),
        placed(2, { text: null, features: { indices: [7], values: [1] } }),
        placed(3, {}),
      ],
      7,
      0.001,
    )
    expect(given.training.length + given.heldOut.length).toBe(1)
  })
})
