/** The Extreme Classification Repository's format: reading in any pieces, writing, and refusing by line and column. */
import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CsrBuilder } from '../../../operators/xmc/sparse/csr-builder.ts'
import { csrMatrix } from '../../../operators/xmc/sparse/csr-matrix.ts'
import { formatText, readTextFormat } from '../../../operators/xmc/text-format.ts'
import { goldenPath } from '../../golden.ts'

const plain = { normalise: false }

describe('reading', () => {
  it('takes labels and features in any order, documents without either, blanks and line ends of any kind', () => {
    const text = '6 9 4\r\n3,0 7:2.5 1:-1e-2\n 0:1\n2\t\n\n5:.5  6:+3. \n1  8:0 2:1\n\n'
    const { X, Y } = readTextFormat(text, plain)
    expect(Y).toEqual(csrMatrix(6, 4, [0, 2, 2, 3, 3, 3, 4], [0, 3, 2, 1], [1, 1, 1, 1]))
    expect(X).toEqual(csrMatrix(6, 9, [0, 2, 3, 3, 3, 5, 6], [1, 7, 0, 5, 6, 2], [-0.01, 2.5, 1, 0.5, 3, 1]))
  })

  it('divides each document by its norm before values become float32', () => {
    const { X } = readTextFormat('3 2 1\n0 0:3 1:4\n0 0:0\n0 0:1e-300 1:1e30\n')
    expect(X).toEqual(csrMatrix(3, 2, [0, 2, 2, 3], [0, 1, 1], [0.6, 0.8, 1]))
  })

  it('reads every number as Number does', () => {
    const digits = fc
      .stringMatching(/^\d{0,20}(\.\d{0,20})?(e-?\d{1,2})?$/)
      .filter((text) => /^\.?\d/.test(text))
    const check = (text: string): void => {
      const value = Math.fround(Number(text))
      fc.pre(Number.isFinite(value) && value !== 0)
      expect(readTextFormat(`1 1 1\n 0:${text}`, plain).X.values[0]).toBe(value)
    }
    fc.assert(fc.property(digits, check))
  })

  it('is the same however the text is cut', () => {
    const text = '3 5 3\n0,2 1:0.25 4:1.5\r\n 3:1\n1 0:0.1\n'
    const bytes = new TextEncoder().encode(text)
    const whole = readTextFormat(text)
    const check = (cuts: number[]): void => {
      const places = [0, ...cuts.sort((a, b) => a - b), bytes.length]
      const pieces = places.slice(1).map((end, i) => bytes.subarray(places[i], end))
      expect(readTextFormat(pieces)).toEqual(whole)
    }
    fc.assert(fc.property(fc.array(fc.nat(bytes.length)), check))
  })

  it.each([
    ['', 'MALFORMED_FILE: line 1, column 1: the header "N D L" is missing'],
    ['\n', 'MALFORMED_FILE: line 1, column 1: the number of documents is nothing'],
    ['3 4\n', 'MALFORMED_FILE: line 1, column 4: the number of labels is nothing'],
    ['1 -4 2\n', 'MALFORMED_FILE: line 1, column 3: the number of features is "-4"'],
    ['1 4 2.5\n', 'MALFORMED_FILE: line 1, column 5: the number of labels is "2.5"'],
    ['1 4294967296 2\n', 'MALFORMED_FILE: line 1, column 3: the number of features is "4294967296"'],
    ['1 4 2 7\n', 'MALFORMED_FILE: line 1, column 7: the header is "N D L" and no more'],
    ['2 4 2\n1 0:1\n', 'MALFORMED_FILE: line 3, column 1: the file ends after 1 of 2 documents'],
    ['1 4 2\n1 0:1\n1 0:1\n', 'MALFORMED_FILE: line 3, column 1: a document beyond the 1 of the header'],
    ['1 4 2\n0,2 0:1\n', 'WRONG_DIMENSION: line 2, column 3: label "2", the header has 2'],
    ['1 4 2\n0,-1 0:1\n', 'MALFORMED_FILE: line 2, column 3: "-1" is no label'],
    ['1 4 2\n0, 0:1\n', 'MALFORMED_FILE: line 2, column 3: nothing is no label'],
    ['1 4 2\n1,0,1 0:1\n', 'MALFORMED_FILE: line 2, column 5: label 1 for the second time'],
    ['1 4 2\n1 4:1\n', 'WRONG_DIMENSION: line 2, column 3: feature "4", the header has 4'],
    ['1 4 2\n1 0:1 -1:2\n', 'MALFORMED_FILE: line 2, column 7: "-1" is no feature'],
    ['1 4 2\n1 2:1 0:1 2:3\n', 'MALFORMED_FILE: line 2, column 11: feature 2 for the second time'],
    ['1 4 2\n1 2:1 3\n', 'MALFORMED_FILE: line 2, column 7: "3" is no "feature:value"'],
    ['1 4 2\n1 2:\n', 'MALFORMED_FILE: line 2, column 5: nothing is no number'],
    ['1 4 2\n1 2:0x1f\n', 'MALFORMED_FILE: line 2, column 5: "0x1f" is no number'],
    ['1 4 2\n1 2:1:2\n', 'MALFORMED_FILE: line 2, column 5: "1:2" is no number'],
    ['1 4 2\n1 2:1.2.3\n', 'MALFORMED_FILE: line 2, column 5: "1.2.3" is no number'],
    ['1 4 2\n1 2:NaN\n', 'NON_FINITE_NUMBER: line 2, column 5: the value "NaN"'],
    ['1 4 2\n1 2:-inf\n', 'NON_FINITE_NUMBER: line 2, column 5: the value "-inf"'],
    ['1 4 2\n1 2:1e39\n', 'NON_FINITE_NUMBER: line 2, column 5: the value "1e39"'],
    ['1 4 2\n\u0000\n', 'MALFORMED_FILE: line 2, column 1: "\\u0000" is no label'],
  ])('refuses %j', (text, message) => {
    let said = 'none'
    try {
      readTextFormat(text)
    } catch (error) {
      said = `${(error as { code?: string }).code}: ${(error as Error).message}`
    }
    expect(said).toBe(message)
  })

  it('never fails otherwise than with a code', () => {
    const piece = fc.constantFrom('0', '1', ',', ':', ' ', '\n', '.', '-', 'e', '3 4 2\n', 'x', '0:1', '\r')
    const check = (pieces: string[]): void => {
      try {
        readTextFormat(pieces)
      } catch (error) {
        expect((error as { code?: string }).code).toMatch(
          /^(MALFORMED_FILE|WRONG_DIMENSION|NON_FINITE_NUMBER)$/,
        )
        expect((error as Error).message).toMatch(/^line \d+, column \d+: /)
      }
    }
    fc.assert(fc.property(fc.array(piece), check), { numRuns: 1_000 })
  })

  it('does not slow down over a document whose features fall', { timeout: 10_000 }, () => {
    const count = 200_000
    const fields = Array.from({ length: count }, (_, i) => `${count - 1 - i}:1`)
    expect(readTextFormat(`1 ${count} 1\n0 ${fields.join(' ')}\n`).X.values.length).toBe(count)
  })
})

describe('writing', () => {
  it('reading again gives the same matrices, bit for bit', () => {
    const value = fc.float({ noNaN: true, noDefaultInfinity: true }).filter((x) => x !== 0)
    const row = fc.dictionary(fc.nat(30).map(String), value)
    const check = (rows: Record<string, number>[]): void => {
      const x = new CsrBuilder()
      const y = new CsrBuilder()
      for (const features of rows) {
        const ids = Object.keys(features)
          .map(Number)
          .sort((a, b) => a - b)
        for (const id of ids) {
          x.add(id, features[id]!)
          if (id % 3 === 0) y.add(id, 1)
        }
        x.endRow()
        y.endRow()
      }
      const matrices = { X: x.build(31), Y: y.build(31) }
      expect(readTextFormat(formatText(matrices), plain)).toEqual(matrices)
    }
    fc.assert(fc.property(fc.array(row), check))
  })

  it('writes what the format says', () => {
    const X = csrMatrix(2, 4, [0, 2, 2], [1, 3], [0.1, -(2 ** -30)])
    const Y = csrMatrix(2, 3, [0, 0, 2], [0, 2], [1, 1])
    expect([...formatText({ X, Y })].join('')).toBe('2 4 3\n 1:0.100000001 3:-9.31322575e-10\n0,2\n')
    expect(() => [...formatText({ X, Y: csrMatrix(1, 1, [0, 0], [], []) })]).toThrow(
      '2 documents, labels of 1',
    )
  })
})

// The vectors are too large to be copied into the checkout.
const folder = (() => {
  try {
    return `${goldenPath('xmc')}/wordnet-a`
  } catch {
    return ''
  }
})()
const there = existsSync(`${folder}/train.txt`)
if (!there) console.warn('SKIPPED: no reference vectors xmc/wordnet-a: reading their documents is not tested')

describe.skipIf(!there)('the reference documents', () => {
  it('have the sizes, values and sums that the reference read', () => {
    const { summary } = JSON.parse(readFileSync(`${folder}/index.json`, 'utf8')) as {
      summary: Record<string, number> & { train: number[]; test: number[] }
    }
    const sums = (name: string) => {
      const { X, Y } = readTextFormat(readFileSync(`${folder}/${name}.txt`, 'utf8'))
      return {
        shape: [X.rows, X.columns, Y.columns],
        values: X.values.length,
        labels: Y.values.length,
        sum: X.values.reduce((sum, value) => sum + value, 0),
      }
    }
    expect(sums('train')).toEqual({
      shape: [...summary.train, summary['labels']],
      values: summary['nnzX'],
      labels: summary['nnzY'],
      sum: expect.closeTo(summary['sumXtrain']!, 9),
    })
    expect(sums('test')).toEqual({
      shape: [...summary.test, summary['labels']],
      values: summary['nnzXtest'],
      labels: summary['nnzYtest'],
      sum: expect.closeTo(summary['sumXtest']!, 9),
    })
  })
})
