/** WordNet glosses with their hypernyms as labels: 64,517 documents to learn from and 16,082 to test, 17,740 features, 5,273 labels. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { type LabelledDocuments, readTextFormat } from '../../operators/xmc/text-format.ts'

const root = process.env['MILLRACE_DATA'] ?? fileURLToPath(new URL('../../../shared/data', import.meta.url))

/** Where the set lies. */
export const WORDNET = `${root}/wordnet-xmc`

export interface Wordnet {
  readonly train: LabelledDocuments
  readonly test: LabelledDocuments
}

/** One part of the set. @throws Error where it lies neither beside the checkout nor under MILLRACE_DATA */
export const readPart = (name: 'train' | 'test'): LabelledDocuments => {
  const path = `${WORDNET}/${name}.txt.gz`
  if (!existsSync(path)) throw new Error(`${path} is not there`)
  return readTextFormat([gunzipSync(readFileSync(path))])
}

/** @throws Error as `readPart` */
export const readWordnet = (): Wordnet => ({ train: readPart('train'), test: readPart('test') })
