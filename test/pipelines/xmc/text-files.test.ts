/** Files of documents, labels and predictions: what is written is read again, packed too, and what is wrong is told by file, line and column. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  formatPredictions,
  predictionLines,
  readPredictions,
} from '../../../pipelines/xmc/predictions-file.ts'
import { readDocuments, readLabels } from '../../../pipelines/xmc/text-files.ts'

const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) })

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-text-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A file's path. */
const file = (name: string, content: string | Buffer): string => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}

const DOCUMENTS = '2 3 2\n0,1 0:3 2:4\n 1:2\n'

describe('documents', () => {
  it('are read from plain and from packed files alike', async () => {
    const plain = await readDocuments(file('d.txt', DOCUMENTS))
    expect(plain.X.values).toEqual(Float32Array.of(0.6, 0.8, 1))
    expect(plain.Y.indices).toEqual(Int32Array.of(0, 1))
    expect(await readDocuments(file('d.txt.gz', gzipSync(DOCUMENTS)))).toEqual(plain)
    expect((await readDocuments(file('d.txt', DOCUMENTS), { normalise: false })).X.values).toEqual(
      Float32Array.of(3, 4, 2),
    )
  })

  it('are refused by file, line and column', async () => {
    const path = file('d.txt', '2 3 2\n0 0:1\n1 0:1 1:one\n')
    await expect(readDocuments(path)).rejects.toEqual(refusal('MALFORMED_FILE', /d\.txt, line 3, column 9: /))
    await expect(readDocuments(join(folder, 'none.txt'))).rejects.toEqual(
      refusal('INVALID_CONFIG', /cannot read .*none\.txt: there is no such file/),
    )
    await expect(readDocuments(folder)).rejects.toEqual(refusal('INVALID_CONFIG', /EISDIR/))
  })

  it('are refused where the packed file is cut, or is none', async () => {
    const packed = gzipSync(DOCUMENTS)
    for (const content of [packed.subarray(0, packed.length - 9), Buffer.from(DOCUMENTS)])
      await expect(readDocuments(file('d.txt.gz', content))).rejects.toEqual(
        refusal('MALFORMED_FILE', /d\.txt\.gz: it is no sound gzip/),
      )
  })

  it('fill no memory with a line that never ends', async () => {
    const bomb = gzipSync(Buffer.alloc(2 ** 28 + 2 ** 20, '1'))
    await expect(readDocuments(file('bomb.txt.gz', bomb))).rejects.toEqual(
      refusal('MALFORMED_FILE', /a line takes more than 268435456 bytes/),
    )
  })
})

describe('label ids', () => {
  it('are the lines of a file', async () => {
    expect(await readLabels(file('l.txt', 'cat\ndög\n'), 2)).toEqual(['cat', 'dög'])
    expect(await readLabels(file('l.txt', 'cat\r\na dog'), 2)).toEqual(['cat', 'a dog'])
  })

  it.each([
    ['cat\n', /line 2, column 1: 1 labels, not 2/],
    ['cat\ncat\n', /line 2, column 1: "cat" is there already, in line 1/],
    ['cat\n\n', /line 2, column 1: a label without a name/],
  ])('%j are refused', async (text, message) => {
    await expect(readLabels(file('l.txt', text), 2)).rejects.toEqual(refusal('MALFORMED_FILE', message))
  })
})

describe('predictions', () => {
  const found = {
    pointers: Int32Array.of(0, 2, 2, 3),
    labels: Int32Array.of(4, 0, 1),
    scores: Float64Array.of(0.123456789, 1e-9, -3),
    innerProducts: new Int32Array(3),
  }

  it('are lines of labels and scores, best first', async () => {
    const text = [...formatPredictions([found], 3, 5)].join('')
    expect(text).toBe('3 5\n4:0.1234568 0:1e-9\n\n1:-3\n')
    const again = await readPredictions(file('p.txt', text))
    expect(again).toEqual({ pointers: found.pointers, labels: found.labels, labelCount: 5 })
  })

  it('are lines of JSON, labels by their ids', () => {
    const lines = [...predictionLines([found, found], ['a', 'b', 'c', 'd', 'e'])]
    expect(lines).toHaveLength(6)
    expect(JSON.parse(lines[5]!).document).toBe(5)
    expect(lines.slice(0, 3).map((line) => JSON.parse(line))).toEqual([
      {
        document: 0,
        labels: [
          { label: 'e', score: 0.1234568 },
          { label: 'a', score: 1e-9 },
        ],
      },
      { document: 1, labels: [] },
      { document: 2, labels: [{ label: 'b', score: -3 }] },
    ])
  })

  it('are ranked by score, whatever their order in the file, ties by the smaller label', async () => {
    const entry = fc.record({ label: fc.nat(9), score: fc.constantFrom(0.1, 0.2, 0.3) })
    const rows = fc.array(fc.uniqueArray(entry, { selector: ({ label }) => label, maxLength: 6 }), {
      minLength: 1,
      maxLength: 4,
    })
    await fc.assert(
      fc.asyncProperty(rows, async (drawn) => {
        const lines = drawn.map((row) => row.map(({ label, score }) => `${label}:${score}`).join(' '))
        const { labels } = await readPredictions(file('p.txt', `${drawn.length} 10\n${lines.join('\n')}\n`))
        const ranked = drawn.flatMap((row) =>
          [...row].sort((a, b) => b.score - a.score || a.label - b.label).map(({ label }) => label),
        )
        expect([...(labels as Int32Array)]).toEqual(ranked)
      }),
      { numRuns: 30 },
    )
  })

  it.each([
    ['', 'MALFORMED_FILE', /line 1, column 1: the header/],
    ['2 5\n1:2\n', 'MALFORMED_FILE', /line 3, column 1: 1 documents, the header says 2/],
    ['1 5\n1:2\n1:2\n', 'MALFORMED_FILE', /line 4, column 1: 2 documents/],
    ['1 5\n1:2 x\n', 'MALFORMED_FILE', /p\.txt, line 2, column 5: no "label:score"/],
    ['1 5\n1:2 5:2\n', 'WRONG_DIMENSION', /line 2, column 5: label 5 of 5/],
    ['1 5\n1:2 1:3\n', 'MALFORMED_FILE', /line 2, column 5: label 1 is there already/],
    ['1 5\n1:2 2:NaN\n', 'NON_FINITE_NUMBER', /line 2, column 5: the score of label 2/],
  ])('%j are refused', async (text, code, message) => {
    await expect(readPredictions(file('p.txt', text))).rejects.toEqual(refusal(code, message))
  })
})
