/**
 * Texts as terms: words, and runs of words (n-grams). A word is a run of letters with their marks, and of digits where these are wanted, of any script, in
 * compatibility form (NFKC) and lower case; all else only parts words. Scripts that write no spaces are not cut: a run of theirs is one word.
 *
 * A function of the text and the options alone. Linear in the text.
 */
import { MillraceError } from '../../../schemas/errors.ts'

export interface TokenOptions {
  /** Words shorter than this (in UTF-16 units) are passed over, at least 1. Default 2. */
  readonly minimalLength?: number
  /** Whether digits belong to words; else they part them. Default true. */
  readonly numbers?: boolean
  /** Runs of up to so many words are terms, 1 to 5. Default 1: words alone. */
  readonly ngrams?: number
}

/** With every default written out. @throws MillraceError INVALID_CONFIG */
export const tokenOptions = (options: TokenOptions = {}): Required<TokenOptions> => {
  const { minimalLength = 2, numbers = true, ngrams = 1 } = options
  if (!Number.isInteger(minimalLength) || minimalLength < 1) {
    throw new MillraceError('INVALID_CONFIG', `tokens.minimalLength: ${minimalLength} is not 1, 2, …`)
  }
  if (typeof numbers !== 'boolean') throw new MillraceError('INVALID_CONFIG', 'tokens.numbers: true or false')
  if (!Number.isInteger(ngrams) || ngrams < 1 || ngrams > 5) {
    throw new MillraceError('INVALID_CONFIG', `tokens.ngrams: ${ngrams} is not one of 1 to 5`)
  }
  return { minimalLength, numbers, ngrams }
}

const ASCII_WORDS = /[a-z0-9]+/g
const ASCII_LETTERS = /[a-z]+/g
const WORDS = /[\p{L}\p{N}][\p{L}\p{M}\p{N}]*/gu
const LETTERS = /\p{L}[\p{L}\p{M}]*/gu
// biome-ignore lint/suspicious/noControlCharactersInRegex: the whole of ASCII is meant
const ASCII = /^[\x00-\x7f]*$/

/** The words of a text, in its order. */
export const words = (text: string, { minimalLength, numbers }: Required<TokenOptions>): string[] => {
  // The classes of Unicode cost ten times those of ASCII, in which most texts are.
  const found = ASCII.test(text)
    ? text.toLowerCase().match(numbers ? ASCII_WORDS : ASCII_LETTERS)
    : text
        .normalize('NFKC')
        .toLowerCase()
        .match(numbers ? WORDS : LETTERS)
  if (found === null) return []
  return minimalLength === 1 ? found : found.filter(({ length }) => length >= minimalLength)
}

/** The terms of a text: its words and, after them, its runs of 2, 3, … words, joined by a space. */
export const terms = (text: string, options: Required<TokenOptions>): string[] => {
  const singles = words(text, options)
  if (options.ngrams === 1) return singles
  const all = [...singles]
  for (let n = 2; n <= options.ngrams; n++) {
    for (let i = 0; i + n <= singles.length; i++) all.push(singles.slice(i, i + n).join(' '))
  }
  return all
}
