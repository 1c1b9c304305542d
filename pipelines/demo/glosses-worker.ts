/** The thread of glosses.ts. */
import { parentPort } from 'node:worker_threads'
import { Xoshiro128 } from '../../operators/numerics/random.ts'
import type { FromGlosses, GlossDocument } from './glosses.ts'
import { commonHypernyms, labelOf, readNouns } from './wordnet.ts'

/** Labels are hypernyms of so many documents at least, and of such a part of them at most. */
const LEAST = 5
const SHARE = 0.05
const AT_ONCE = 500

const port = parentPort
if (port === null) throw new Error('glosses-worker.ts is run in a worker thread only')
const tell = (message: FromGlosses): void => port.postMessage(message)

const nouns = readNouns()
const below = nouns.filter(({ hypernyms }) => hypernyms.length > 0)
const labels = commonHypernyms(nouns, below, LEAST, SHARE)
const labelAt = new Map(labels.map((noun, label) => [noun, label]))
const documents = below.flatMap(({ offset, gloss, hypernyms }): GlossDocument[] => {
  const own = hypernyms.flatMap((noun) => labelAt.get(noun) ?? [])
  return own.length === 0 ? [] : [{ id: offset, text: gloss, labels: own }]
})

const random = new Xoshiro128()
random.seed(3, 5, 7, 11)
for (let i = documents.length - 1; i > 0; i--) {
  const j = Math.floor(random.uniform() * (i + 1))
  const other = documents[j]!
  documents[j] = documents[i]!
  documents[i] = other
}
for (let i = 0; i < documents.length; i += AT_ONCE)
  tell({ kind: 'documents', documents: documents.slice(i, i + AT_ONCE) })
tell({ kind: 'labels', labels: labels.map((noun) => labelOf(nouns[noun]!)) })
