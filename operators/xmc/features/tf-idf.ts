/**
 * Texts as sparse vectors: (1 + ln tf)(1 + ln N/df) of each term, the whole divided by its Euclidean norm (Salton and Buckley 1988, "Term-weighting
 * approaches in automatic text retrieval"). tf counts a term in the text; df counts the documents, of the N that were fitted on, that hold it.
 *
 * A term's feature is its place in the sorted vocabulary, or its hash (without signs, so that weights stay positive; terms that collide are one). Terms that were in
 * too few or too many documents, or in none, count for nothing. What was fitted is plain JSON, and is kept with the model that learned from it.
 *
 * Cost of a transform: linear in the text, plus sorting its features. Memory of a fit: linear in the distinct terms.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { hashName } from '../../numerics/hash-name.ts'
import { CsrBuilder } from '../sparse/csr-builder.ts'
import type { CsrMatrix } from '../sparse/csr-matrix.ts'
import { type StoredTfIdf, storedTfIdf } from './stored-tf-idf.ts'
import { type TokenOptions, terms, tokenOptions } from './tokens.ts'

export interface TfIdfOptions {
  readonly tokens?: TokenOptions
  /** Terms in fewer documents are passed over. Default 1. */
  readonly minDocuments?: number
  /** Terms in a larger part of the documents are passed over, above 0 up to 1. Default 1. */
  readonly maxShare?: number
  /** At most so many terms, those of most documents first (ties: the smaller term). Default: all. */
  readonly maxTerms?: number
  /** 2^bits features by hash instead of a vocabulary, bits 1 to 24. */
  readonly hash?: { readonly bits: number; readonly seed?: number }
}

/** A document: columns rise. */
export interface SparseVector {
  readonly indices: Int32Array
  readonly values: Float32Array
}

/**
 * Counts the terms of the documents and keeps those that the options allow.
 *
 * @throws MillraceError INVALID_CONFIG (options), INVALID_EVENT (no documents; one that is no text; no term is left)
 */
export const fitTfIdf = (documents: Iterable<string>, options: TfIdfOptions = {}): TfIdf => {
  const { minDocuments = 1, maxShare = 1, maxTerms = Number.POSITIVE_INFINITY, hash } = options
  const tokens = tokenOptions(options.tokens)
  if (!Number.isInteger(minDocuments) || minDocuments < 1) {
    throw new MillraceError('INVALID_CONFIG', `minDocuments: ${minDocuments} is not 1, 2, …`)
  }
  if (!(maxShare > 0 && maxShare <= 1)) {
    throw new MillraceError('INVALID_CONFIG', `maxShare: ${maxShare} is not above 0 and up to 1`)
  }
  if (!(maxTerms >= 1)) throw new MillraceError('INVALID_CONFIG', `maxTerms: ${maxTerms} is not 1, 2, …`)
  if (hash !== undefined) checkHash(hash.bits, hash.seed ?? 0)

  /** Of each term, or position of a hash: how many documents hold it, and the last that did. */
  const met = new Map<string | number, { documents: number; last: number }>()
  let count = 0
  for (const text of documents) {
    if (typeof text !== 'string') throw new MillraceError('INVALID_EVENT', `document ${count} is no text`)
    for (const term of terms(text, tokens)) {
      const key = hash === undefined ? term : position(term, hash.bits, hash.seed ?? 0)
      const entry = met.get(key)
      if (entry === undefined) met.set(key, { documents: 1, last: count })
      else if (entry.last !== count) {
        entry.documents++
        entry.last = count
      }
    }
    count++
  }
  if (count === 0) throw new MillraceError('INVALID_EVENT', 'there are no documents')

  const most = maxShare * count
  let kept = [...met].filter(([, { documents }]) => documents >= minDocuments && documents <= most)
  if (kept.length > maxTerms) {
    kept.sort(([a, x], [b, y]) => y.documents - x.documents || (a < b ? -1 : 1))
    kept = kept.slice(0, maxTerms)
  }
  if (kept.length === 0) {
    throw new MillraceError(
      'INVALID_EVENT',
      `of ${met.size} terms in ${count} documents none is in at least ${minDocuments} and at most ${Math.floor(most)}`,
    )
  }
  kept.sort(([a], [b]) => (a < b ? -1 : 1))
  const frequencies = kept.map(([, { documents }]) => documents)
  const fitted = { format: 1, documents: count, tokens, frequencies } as const
  return new TfIdf(
    hash === undefined
      ? { ...fitted, terms: kept.map(([term]) => String(term)) }
      : {
          ...fitted,
          hash: { bits: hash.bits, seed: hash.seed ?? 0 },
          positions: kept.map(([place]) => Number(place)),
        },
  )
}

/** What `toJSON` gave, as it was. @throws MillraceError SNAPSHOT_CORRUPT, naming what is wrong */
export const tfIdfFrom = (json: unknown): TfIdf => new TfIdf(storedTfIdf(json))

/** Texts to vectors, by what was fitted. */
export class TfIdf {
  /** Length of the vectors. */
  readonly features: number
  readonly #stored: StoredTfIdf
  readonly #tokens: Required<TokenOptions>
  readonly #featureOf: (term: string) => number
  /** 1 + ln N/df of each feature; 0 of a position that counts for nothing. */
  readonly #weights: Float64Array
  /** How often the text at hand holds each feature: zeros between calls. */
  readonly #counts: Int32Array
  #found: Int32Array = new Int32Array(64)

  /** From checked parts: use `fitTfIdf` or `tfIdfFrom`. */
  constructor(stored: StoredTfIdf) {
    const { documents, frequencies } = stored
    this.#stored = stored
    this.#tokens = stored.tokens
    this.features = 'hash' in stored ? 2 ** stored.hash.bits : stored.terms.length
    this.#weights = new Float64Array(this.features)
    this.#counts = new Int32Array(this.features)
    const places = 'hash' in stored ? stored.positions : null
    for (let i = 0; i < frequencies.length; i++) {
      this.#weights[places?.[i] ?? i] = 1 + Math.log(documents / frequencies[i]!)
    }
    if ('hash' in stored) {
      const { bits, seed } = stored.hash
      this.#featureOf = (term) => position(term, bits, seed)
    } else {
      const numbers = new Map(stored.terms.map((term, i) => [term, i]))
      this.#featureOf = (term) => numbers.get(term) ?? -1
    }
  }

  /** Terms that count: at most `features`. */
  get terms(): number {
    return this.#stored.frequencies.length
  }

  /**
   * The vector of a text: of norm 1, or without any value where it holds no term that counts.
   *
   * @throws MillraceError INVALID_EVENT where it is no text
   */
  transform(text: string): SparseVector {
    const count = this.#find(text)
    const indices = this.#found.slice(0, count)
    const values = new Float32Array(count)
    const norm = this.#norm(count)
    for (let i = 0; i < count; i++) values[i] = this.#value(indices[i]!) / norm
    this.#clear(count)
    return { indices, values }
  }

  /** The vectors of many texts, a row each. @throws MillraceError INVALID_EVENT */
  matrix(texts: Iterable<string>): CsrMatrix {
    const builder = new CsrBuilder()
    for (const text of texts) {
      const count = this.#find(text)
      const norm = this.#norm(count)
      for (let i = 0; i < count; i++) builder.add(this.#found[i]!, this.#value(this.#found[i]!) / norm)
      this.#clear(count)
      builder.endRow()
    }
    return builder.build(this.features)
  }

  /** All that was fitted, as plain JSON: `tfIdfFrom` makes the same of it. */
  toJSON(): StoredTfIdf {
    return this.#stored
  }

  /** Counts the features of a text; answers how many, lying sorted in `#found`. */
  #find(text: string): number {
    if (typeof text !== 'string') throw new MillraceError('INVALID_EVENT', 'a document is no text')
    let count = 0
    for (const term of terms(text, this.#tokens)) {
      const feature = this.#featureOf(term)
      if (feature < 0 || this.#weights[feature] === 0) continue
      if (this.#counts[feature]!++ === 0) {
        if (count === this.#found.length) {
          const longer = new Int32Array(2 * count)
          longer.set(this.#found)
          this.#found = longer
        }
        this.#found[count++] = feature
      }
    }
    this.#found.subarray(0, count).sort()
    return count
  }

  #value(feature: number): number {
    return (1 + Math.log(this.#counts[feature]!)) * this.#weights[feature]!
  }

  #norm(count: number): number {
    let squares = 0
    for (let i = 0; i < count; i++) squares += this.#value(this.#found[i]!) ** 2
    return Math.sqrt(squares)
  }

  #clear(count: number): void {
    for (let i = 0; i < count; i++) this.#counts[this.#found[i]!] = 0
  }
}

const position = (term: string, bits: number, seed: number): number => hashName(term, seed) & (2 ** bits - 1)

const checkHash = (bits: number, seed: number): void => {
  if (!Number.isInteger(bits) || bits < 1 || bits > 24) {
    throw new MillraceError('INVALID_CONFIG', `hash.bits: ${bits} is not one of 1 to 24`)
  }
  if (!Number.isInteger(seed)) throw new MillraceError('INVALID_CONFIG', `hash.seed: ${seed} is no integer`)
}
