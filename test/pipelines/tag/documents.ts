/** Documents whose labels can be learned: each label has words of its own, and a document is made of those of its labels. */
import type { Log } from '../../../infra/telemetry/log.ts'
import type { Opened } from '../../../pipelines/process/open.ts'
import type { Document, Model } from '../../../schemas/generated/events.ts'
import type { Stage } from '../harness.ts'

export interface Corpus {
  readonly labels: number
  /** Words of each label. */
  readonly words?: number
  /** How many of a document's words belong to no label. */
  readonly noise?: number
  /** Put before labels and words, so that two corpora share none. */
  readonly prefix?: string
}

/** A cheap, fixed sequence: the same numbers for the same i and salt. */
const draw = (i: number, salt: number): number => {
  let x = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(salt + 1, 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d)
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39)
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32
}

/** The i-th document of a corpus, with one or two labels. */
export const documentAt = (
  i: number,
  { labels, words = 6, noise = 3, prefix = '' }: Corpus,
  change: Partial<Document> = {},
): Document => {
  const first = Math.floor(draw(i, 0) * labels)
  const second = Math.floor(draw(i, 1) * labels)
  const own = draw(i, 2) < 0.3 ? [...new Set([first, second])] : [first]
  const text = [
    ...own.flatMap((label) =>
      Array.from(
        { length: 4 },
        (_, w) => `${prefix}w${label}x${Math.floor(draw(i, 10 + w + 7 * label) * words)}`,
      ),
    ),
    ...Array.from({ length: noise }, (_, w) => `common${Math.floor(draw(i, 100 + w) * 40)}`),
  ].join(' ')
  return {
    documentId: `${prefix}d${i}`,
    text,
    features: null,
    labels: own.map((label) => `${prefix}label-${label}`),
    occurredAt: 1_700_000_000_000 + i,
    ...change,
  }
}

export const documentsFrom = (
  from: number,
  count: number,
  corpus: Corpus,
  change: Partial<Document> = {},
): Document[] => Array.from({ length: count }, (_, i) => documentAt(from + i, corpus, change))

/** `tag:` for a stage: small windows, trained at once. */
export const TAG = {
  top: 5,
  retrain: {
    every: 200,
    window: 2_000,
    holdOut: 0.2,
    minDocuments: 100,
    tree: { branching: 4, maxLeafSize: 4 },
    threads: 1,
  },
}

/** The versions in the log, oldest first, without the records that say which is served. */
export const versionsOf = async (stage: Stage): Promise<Model[]> =>
  (await stage.events('model')).filter(({ key }) => !key?.endsWith('/live')).map(({ event }) => event)

/** What was served, one after the other. */
export const servedBy = async (stage: Stage): Promise<Model[]> =>
  (await stage.events('model')).filter(({ key }) => key?.endsWith('/live')).map(({ event }) => event)

/** Calls `then` when the trainer says that it begins. */
export const whenItTrains = (runtime: Opened, then: () => void): Opened => {
  const log = new Proxy(runtime.log, {
    get: (target, name: keyof Log) => {
      if (name !== 'info') return target[name]
      return (fields: object, message: string) => {
        if (message === 'retraining') then()
        target.info(fields, message)
      }
    },
  })
  return { ...runtime, log }
}
