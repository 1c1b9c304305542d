/**
 * What a model learns from and what it is judged by: the labelled documents of a window, a slice of them held out. Which slice follows from a document's id alone, so that no model
 * has ever learned from what it is judged by, and two models are judged by the same. Of several documents with one id the last counts.
 */
import { murmur2 } from '../../infra/kafka/partitioner.ts'
import { checkDocument, type Features } from '../../operators/xmc/tag.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { PlacedDocument } from './window.ts'

/** A document that can be learned from. */
export interface Example {
  readonly text: string | null
  readonly features: Features | null
  /** Sorted, each once; at least one. */
  readonly labels: readonly string[]
}

export interface Examples {
  readonly training: readonly Example[]
  readonly heldOut: readonly Example[]
}

/** Whether a document is held out. @param share of all, 0 to 1 */
export const isHeldOut = (documentId: string, share: number): boolean =>
  (murmur2(Buffer.from(documentId)) >>> 0) / 2 ** 32 < share

/**
 * The examples of documents in any order, sorted by where they lie. Those that are none, and those of the other kind than asked for, are left out.
 * @param dimension of given features; null for texts
 */
export const examplesOf = (
  documents: readonly PlacedDocument[],
  dimension: number | null,
  holdOut: number,
): Examples => {
  const placed = [...documents].sort(
    (a, b) => compare(a.topic, b.topic) || a.partition - b.partition || a.offset - b.offset,
  )
  const byId = new Map<string, Example>()
  for (const { document } of placed) {
    const example = exampleOf(document, dimension)
    if (example !== null) byId.set(document.documentId, example)
  }
  const training: Example[] = []
  const heldOut: Example[] = []
  for (const [id, example] of byId) (isHeldOut(id, holdOut) ? heldOut : training).push(example)
  return { training, heldOut }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const exampleOf = (document: PlacedDocument['document'], dimension: number | null): Example | null => {
  const labels = [...new Set(document.labels ?? [])].sort(compare)
  if (labels.length === 0) return null
  try {
    checkDocument(document)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    return null
  }
  const { text, features } = document
  if (dimension === null) return text === null ? null : { text, features: null, labels }
  if (features === null || (features.indices.at(-1) ?? 0) >= dimension) return null
  const { indices, values } = features
  return {
    text: null,
    features: { indices: Int32Array.from(indices), values: Float32Array.from(values) },
    labels,
  }
}
