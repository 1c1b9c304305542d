/**
 * `tag`: documents in, their labels out. A tagger is a model made ready to be asked; it is looked up once a batch, so a new one takes over between two batches and
 * never within one. Cost: the features of a text and one beam search a document.
 */
import { concatMap, type OperatorFunction } from 'rxjs'
import { MillraceError } from '../../schemas/errors.ts'
import type { Document, ScoredLabel, SparseVector } from '../../schemas/generated/events.ts'
import type { Inbound, Outbound, Outgoing, Refused } from '../streams/batch.ts'
import { BeamSearch } from './inference/beam-search.ts'
import { type Predictions, predictions } from './inference/predictions.ts'
import type { TagModel } from './tag-model.ts'

export interface TaggerOptions {
  readonly name: string
  readonly version: number
  /** Labels a document, at most. */
  readonly top: number
  /** Nodes kept of each inner level; the model's own where absent. */
  readonly beam?: number
}

/** The features of one document. */
export interface Features {
  readonly indices: Int32Array
  readonly values: Float32Array
}

/**
 * Whether a document is one at all: text or features, the latter rising and finite.
 * @throws MillraceError INVALID_EVENT, NON_FINITE_NUMBER, WRONG_DIMENSION
 */
export const checkDocument = ({ text, features }: Document): void => {
  if (text === null && features === null)
    throw new MillraceError('INVALID_EVENT', 'the document has neither text nor features')
  if (text !== null && features !== null)
    throw new MillraceError('INVALID_EVENT', 'the document has text and features: which of them counts?')
  if (features !== null) checkFeatures(features)
}

const checkFeatures = ({ indices, values }: SparseVector): void => {
  if (indices.length !== values.length)
    throw new MillraceError(
      'WRONG_DIMENSION',
      `features: ${indices.length} indices and ${values.length} values`,
    )
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!
    if (index < 0) throw new MillraceError('WRONG_DIMENSION', `features: index ${index}`)
    if (i > 0 && index <= indices[i - 1]!)
      throw new MillraceError('INVALID_EVENT', `features: index ${index} follows ${indices[i - 1]}`)
    // Kept as float32: what is beyond is infinite there.
    if (!Number.isFinite(Math.fround(values[i]!)))
      throw new MillraceError('NON_FINITE_NUMBER', `features: the value at index ${index} is ${values[i]}`)
  }
}

/** A model made ready to be asked. */
export class Tagger {
  readonly name: string
  readonly version: number
  private readonly model: TagModel
  private readonly search: BeamSearch
  private readonly top: number
  private readonly found: Predictions

  /** @throws MillraceError as `BeamSearch` */
  constructor(model: TagModel, { name, version, top, beam }: TaggerOptions) {
    this.name = name
    this.version = version
    this.model = model
    this.search = new BeamSearch(model.xmc, beam === undefined ? {} : { beam })
    this.top = top
    this.found = predictions(top)
  }

  /**
   * The features of a document as the model sees them.
   * @throws MillraceError as `checkDocument`; INVALID_EVENT where the model reads the other of text and features; WRONG_DIMENSION for a feature that it does not have
   */
  featuresOf(document: Document): Features {
    checkDocument(document)
    const { tfIdf, xmc } = this.model
    const { text, features } = document
    if (text !== null) {
      if (tfIdf === null) throw this.otherKind('features', 'text')
      return tfIdf.transform(text)
    }
    if (tfIdf !== null) throw this.otherKind('text', 'features')
    const { indices, values } = features!
    const last = indices.at(-1) ?? -1
    if (last >= xmc.features)
      throw new MillraceError('WRONG_DIMENSION', `features: index ${last}, the model has ${xmc.features}`)
    return { indices: Int32Array.from(indices), values: Float32Array.from(values) }
  }

  /** The labels of a document, best first. @throws MillraceError as `featuresOf` */
  tag(document: Document): ScoredLabel[] {
    const { indices, values } = this.featuresOf(document)
    const { found, model } = this
    this.search.predict(indices, values, this.top, found)
    const labels = new Array<ScoredLabel>(found.count)
    for (let i = 0; i < found.count; i++)
      labels[i] = { label: model.labels[found.labels[i]!]!, score: found.scores[i]! }
    return labels
  }

  private otherKind(reads: string, has: string): MillraceError {
    const message = `the document has ${has}, and version ${this.version} of model "${this.name}" reads ${reads}`
    return new MillraceError('INVALID_EVENT', message)
  }
}

/** Documents between two pauses. */
const SLICE = 100

/**
 * Turns batches of documents into their labels. While there is no model a document gets none, by version 0; one that cannot be tagged is refused with its code.
 * @param name of the model, for documents that none has tagged
 * @param tagger who tags the batch at hand; null while no model is served
 * @param pause lets others have their turn, now and then in a batch
 */
export const tag =
  (
    name: string,
    tagger: () => Tagger | null,
    now: () => number,
    pause: () => Promise<unknown>,
  ): OperatorFunction<Inbound<'document'>, Outbound> =>
  (source) =>
    source.pipe(
      concatMap(async ({ batch, events, refused }): Promise<Outbound> => {
        const outputs: Outgoing[] = []
        const refusals: Refused[] = [...refused]
        const current = tagger()
        const taggedAt = now()
        const [modelName, modelVersion] = current === null ? [name, 0] : [current.name, current.version]
        for (const [index, document] of events.entries()) {
          if (index % SLICE === SLICE - 1) await pause()
          if (document == null) continue
          try {
            if (current === null) checkDocument(document)
            const labels = current?.tag(document) ?? []
            const { documentId, occurredAt } = document
            const value = { documentId, labels, modelName, modelVersion, occurredAt, taggedAt }
            outputs.push({ event: 'document-labels', value, index })
          } catch (error) {
            if (!(error instanceof MillraceError)) throw error
            refusals.push({ index, stage: 'tag', code: error.code, message: error.message })
          }
        }
        return { batch, outputs, refused: refusals }
      }),
    )
