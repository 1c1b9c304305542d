/**
 * The demo's documents: glosses of WordNet in a seeded order, each with the hypernyms that serve as labels. They are read in a thread of their own
 * (glosses-worker.ts), so that the event loop goes on.
 */
import { openThread } from '../process/thread.ts'

export interface GlossDocument {
  /** WordNet's offset of the noun. */
  readonly id: string
  readonly text: string
  /** Places in `Glosses.labels`; at least one. */
  readonly labels: readonly number[]
}

export interface Glosses {
  readonly labels: readonly string[]
  readonly documents: readonly GlossDocument[]
}

/** What the thread tells: documents a few at a time, and the labels at the end. */
export type FromGlosses =
  | { readonly kind: 'documents'; readonly documents: readonly GlossDocument[] }
  | { readonly kind: 'labels'; readonly labels: readonly string[] }

/** All that have labels, about 81,000. */
export const loadGlosses = async (): Promise<Glosses> => {
  const thread = openThread(import.meta.url, 'glosses-worker', null)
  const documents: GlossDocument[] = []
  try {
    const labels = await new Promise<readonly string[]>((resolve, reject) => {
      thread.on('message', (message: FromGlosses) => {
        if (message.kind === 'labels') resolve(message.labels)
        else for (const document of message.documents) documents.push(document)
      })
      thread.on('error', reject)
      thread.on('exit', (code) => reject(new Error(`reading the glosses ended with ${code}`)))
    })
    return { labels, documents }
  } finally {
    await thread.terminate()
  }
}
