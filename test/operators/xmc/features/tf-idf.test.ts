/** Text to vectors: which words there are, what they weigh, and that what was fitted is kept exactly. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashName } from '../../../../operators/numerics/hash-name.ts'
import { fitTfIdf, type TfIdfOptions, tfIdfFrom } from '../../../../operators/xmc/features/tf-idf.ts'
import { terms, tokenOptions } from '../../../../operators/xmc/features/tokens.ts'

const tokens = (text: string, options = {}) => terms(text, tokenOptions(options))
const codeOf = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    return `${(error as { code?: string }).code}: ${(error as Error).message}`
  }
  return 'none'
}

describe('terms', () => {
  it('are words of any script, in lower case, of two characters or more', () => {
    expect(tokens("A cat's 2 cats, in 1994 — Ελλάδα, naïve ﬁsh CAFE\u0301 e-mail")).toEqual([
      'cat',
      'cats',
      'in',
      '1994',
      'ελλάδα',
      'naïve',
      'fish',
      'café',
      'mail',
    ])
    expect(tokens('a 2 I', { minimalLength: 1 })).toEqual(['a', '2', 'i'])
    expect(tokens('हिन्दी में')).toEqual(['हिन्दी', 'में'])
  })

  it('are without digits where these are not wanted', () => {
    expect(tokens('born in 1918, 1st b2b naïve2', { numbers: false })).toEqual(['born', 'in', 'st', 'naïve'])
  })

  it('are runs of words too', () => {
    expect(tokens('one two three', { ngrams: 3 })).toEqual([
      'one',
      'two',
      'three',
      'one two',
      'two three',
      'one two three',
    ])
    expect(tokens('one', { ngrams: 5 })).toEqual(['one'])
  })

  it('are the same however ASCII is read, and none where there is none', () => {
    const check = (text: string): void => {
      const ascii = text.replace(/[^\x20-\x7e]/g, '')
      // A letter that is no ASCII sends the whole text the other way.
      expect(tokens(`${ascii} éé`)).toEqual([...tokens(ascii), 'éé'])
      expect(tokens(text).every((term) => term.length >= 2 && term === term.toLowerCase())).toBe(true)
    }
    fc.assert(fc.property(fc.string(), check))
    expect(tokens('')).toEqual([])
    expect(tokens(' …\n\u0000 \ud800 !')).toEqual([])
  })

  it.each([{ minimalLength: 0 }, { minimalLength: 1.5 }, { ngrams: 0 }, { ngrams: 6 }, { numbers: 1 }])(
    'refuse %j',
    (options) => expect(codeOf(() => tokens('x', options))).toMatch(/^INVALID_CONFIG: tokens\./),
  )
})

const texts = ['the cat sat', 'the cat ran ran', 'the dog']

describe('TF-IDF', () => {
  it('weighs (1 + ln tf)(1 + ln N/df), and divides by the norm', () => {
    const model = fitTfIdf(texts)
    // cat dog ran sat the
    const cat = 1 + Math.log(3 / 2)
    const ran = (1 + Math.log(2)) * (1 + Math.log(3))
    const norm = Math.hypot(cat, ran, 1)
    expect(model.transform(texts[1]!)).toEqual({
      indices: Int32Array.of(0, 2, 4),
      values: Float32Array.of(cat / norm, ran / norm, 1 / norm),
    })
    expect([model.features, model.terms]).toEqual([5, 5])
  })

  it('gives no values where no term is known, or there is none', () => {
    const model = fitTfIdf(texts)
    const nothing = { indices: new Int32Array(0), values: new Float32Array(0) }
    for (const text of ['', 'a', 'zebra', '???']) expect(model.transform(text)).toEqual(nothing)
    expect(model.matrix(['', 'cat', ''])).toMatchObject({ rows: 3, pointers: Int32Array.of(0, 0, 1, 1) })
  })

  it('keeps terms of enough documents, and of not too many; the most frequent where they are too many', () => {
    const kept = (options: TfIdfOptions) =>
      (fitTfIdf(texts, options).toJSON() as { terms?: readonly string[] }).terms
    expect(kept({ minDocuments: 2 })).toEqual(['cat', 'the'])
    expect(kept({ maxShare: 0.7 })).toEqual(['cat', 'dog', 'ran', 'sat'])
    expect(kept({ maxTerms: 3 })).toEqual(['cat', 'dog', 'the'])
  })

  it('hashes instead, without signs; terms that collide are one', () => {
    const model = fitTfIdf(['one two', 'one three'], { hash: { bits: 1, seed: 7 } })
    expect(model.features).toBe(2)
    const place = (term: string) => hashName(term, 7) & 1
    const { indices, values } = model.transform('one')
    expect([...indices]).toEqual([place('one')])
    expect([...values]).toEqual([1])
    expect(model.transform('one two three').values.every((value) => value > 0)).toBe(true)
  })

  it.each([
    [[], {}, 'INVALID_EVENT: there are no documents'],
    [['', '?'], {}, 'INVALID_EVENT: of 0 terms in 2 documents none is in at least 1'],
    [['one', 'two'], { minDocuments: 2 }, 'INVALID_EVENT: of 2 terms in 2 documents none is in at least 2'],
    [['one', undefined as unknown as string], {}, 'INVALID_EVENT: document 1 is no text'],
    [texts, { minDocuments: 0 }, 'INVALID_CONFIG: minDocuments'],
    [texts, { maxShare: 0 }, 'INVALID_CONFIG: maxShare'],
    [texts, { maxShare: Number.NaN }, 'INVALID_CONFIG: maxShare'],
    [texts, { maxTerms: 0 }, 'INVALID_CONFIG: maxTerms'],
    [texts, { hash: { bits: 25 } }, 'INVALID_CONFIG: hash.bits'],
    [texts, { hash: { bits: 4, seed: 0.5 } }, 'INVALID_CONFIG: hash.seed'],
  ])('refuses %j with %j', (documents, options, message) => {
    expect(codeOf(() => fitTfIdf(documents, options))).toContain(message)
  })

  it('refuses what is no text', () => {
    expect(codeOf(() => fitTfIdf(texts).transform(null as unknown as string))).toMatch(/^INVALID_EVENT/)
  })

  const word = fc.constantFrom('ant', 'bee', 'cat', 'dog', 'élan', '__proto__', 'constructor', 'an', 'x')
  const document = fc.array(word, { maxLength: 12 }).map((words) => words.join(' '))
  const options = fc.record(
    {
      minDocuments: fc.integer({ min: 1, max: 3 }),
      maxShare: fc.constantFrom(0.5, 1),
      tokens: fc.record({ ngrams: fc.integer({ min: 1, max: 2 }) }),
      hash: fc.record({ bits: fc.integer({ min: 1, max: 6 }) }),
    },
    { requiredKeys: [] },
  )

  it('gives rising columns and a norm of 1; is the same after JSON, in any order of documents, and a row a text', () => {
    const check = (documents: string[], given: object): void => {
      let model: ReturnType<typeof fitTfIdf>
      try {
        model = fitTfIdf(documents, given)
      } catch (error) {
        expect((error as { code?: string }).code).toBe('INVALID_EVENT')
        return
      }
      const stored = JSON.stringify(model)
      const again = tfIdfFrom(JSON.parse(stored))
      expect(JSON.stringify(again)).toBe(stored)
      expect(JSON.stringify(fitTfIdf([...documents].reverse(), given))).toBe(stored)
      const matrix = model.matrix(documents)
      for (const [row, text] of documents.entries()) {
        const { indices, values } = model.transform(text)
        expect(again.transform(text)).toEqual({ indices, values })
        expect(matrix.indices.slice(matrix.pointers[row], matrix.pointers[row + 1])).toEqual(indices)
        expect(matrix.values.slice(matrix.pointers[row], matrix.pointers[row + 1])).toEqual(values)
        expect(
          indices.every((column, i) => column < model.features && (i === 0 || column > indices[i - 1]!)),
        ).toBe(true)
        if (values.length > 0) expect(Math.hypot(...values)).toBeCloseTo(1, 6)
      }
    }
    fc.assert(fc.property(fc.array(document, { minLength: 1 }), options, check))
  })
})

describe('what was fitted', () => {
  const stored = () => JSON.parse(JSON.stringify(fitTfIdf(texts))) as Record<string, unknown>
  const hashed = () =>
    JSON.parse(JSON.stringify(fitTfIdf(texts, { hash: { bits: 8 } }))) as Record<string, unknown>

  it.each([
    ['no object', () => 7],
    ['null', () => null],
    ['a list', () => []],
    ['another format', () => ({ ...stored(), format: 2 })],
    ['a name too many', () => ({ ...stored(), extra: 1 })],
    ['no documents', () => ({ ...stored(), documents: 0 })],
    ['documents that are no number', () => ({ ...stored(), documents: null })],
    ['a frequency beyond the documents', () => ({ ...stored(), frequencies: [1, 1, 1, 1, 4] })],
    ['a frequency of 0', () => ({ ...stored(), frequencies: [0, 1, 1, 1, 3] })],
    ['frequencies that are missing', () => ({ ...stored(), frequencies: [1] })],
    ['a list with holes', () => ({ ...stored(), frequencies: new Array(5) })],
    ['no terms', () => ({ ...stored(), terms: [], frequencies: [] })],
    ['a term twice', () => ({ ...stored(), terms: ['cat', 'cat', 'ran', 'sat', 'the'] })],
    ['a term that is no text', () => ({ ...stored(), terms: ['cat', 1, 'ran', 'sat', 'the'] })],
    ['an empty term', () => ({ ...stored(), terms: ['', 'dog', 'ran', 'sat', 'the'] })],
    ['no tokens', () => ({ ...stored(), tokens: undefined })],
    ['tokens that lack a setting', () => ({ ...stored(), tokens: { ngrams: 1, numbers: true } })],
    ['tokens out of range', () => ({ ...stored(), tokens: { ngrams: 9, numbers: true, minimalLength: 2 } })],
    ['terms beside a hash', () => ({ ...stored(), hash: { bits: 3, seed: 0 } })],
    ['a hash out of range', () => ({ ...hashed(), hash: { bits: 30, seed: 0 } })],
    ['positions beyond the hash', () => ({ ...hashed(), hash: { bits: 1, seed: 0 } })],
    ['positions missing', () => ({ ...hashed(), positions: undefined })],
  ])('is refused with %s', (_, json) => {
    expect(codeOf(() => tfIdfFrom(json()))).toMatch(/^SNAPSHOT_CORRUPT: tf-idf: /)
  })
})
