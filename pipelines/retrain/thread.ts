/**
 * A training in a thread of its own, from the documents of a window to a model in the store, so that the event loop keeps its heartbeats and its answers. The
 * thread may have others help it (pipelines/xmc/threads.ts). Ended half way it leaves nothing but what has not got its name in the store yet.
 */
import type { FeaturesConfig, RetrainConfig } from '../../infra/config/tag.ts'
import { type ErrorCode, MillraceError } from '../../schemas/errors.ts'
import { openThread } from '../process/thread.ts'
import type { NamedMetrics } from './gate.ts'
import type { PlacedDocument } from './window.ts'

/** What the thread begins with. */
export interface TrainingStart {
  readonly features: FeaturesConfig
  readonly retrain: RetrainConfig
  /** Nodes kept of each inner level where a model is asked; its own where absent. */
  readonly beam?: number
  /** Of the model store. */
  readonly directory: string
  /** The hash of the model that is served now; null while none is. */
  readonly served: string | null
}

export type ToTraining =
  | { readonly kind: 'documents'; readonly documents: readonly PlacedDocument[] }
  /** All documents are there. */
  | { readonly kind: 'train' }

/** Why a window gives no model. */
export type Skipped = 'no-labels' | 'too-few-documents' | 'single-label' | 'nothing-held-out' | 'no-terms'

export interface Trained {
  readonly uri: string
  readonly sha256: string
  /** What it measures on the held-out documents, and what it is: sizes, seconds. */
  readonly metrics: NamedMetrics
  /** What the served model measures on them; null where there is none that could be asked. */
  readonly served: NamedMetrics | null
}

export type TrainingOutcome =
  | ({ readonly kind: 'trained' } & Trained)
  | { readonly kind: 'skipped'; readonly reason: Skipped; readonly message: string }

export type FromTraining =
  | TrainingOutcome
  | { readonly kind: 'progress'; readonly what: string; readonly done: number; readonly total: number }
  | { readonly kind: 'failed'; readonly code: ErrorCode | null; readonly message: string }

export interface TrainingOptions {
  /** Ends the thread, and the promise with its reason. */
  readonly signal: AbortSignal
  readonly onProgress: (what: string, done: number, total: number) => void
}

/**
 * Trains on the documents that `read` gives.
 * @throws what the training throws, a MillraceError with its code; what `read` throws; the signal's reason
 */
export const trainApart = async (
  start: TrainingStart,
  read: (take: (documents: readonly PlacedDocument[]) => void) => Promise<void>,
  { signal, onProgress }: TrainingOptions,
): Promise<TrainingOutcome> => {
  signal.throwIfAborted()
  const thread = openThread(import.meta.url, 'worker', start)
  const tell = (message: ToTraining) => thread.postMessage(message)
  let abort = () => {}
  try {
    const outcome = new Promise<TrainingOutcome>((resolve, reject) => {
      abort = () => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      thread.on('message', (message: FromTraining) => {
        if (message.kind === 'progress') onProgress(message.what, message.done, message.total)
        else if (message.kind === 'failed') reject(errorOf(message))
        else resolve(message)
      })
      thread.on('error', reject)
      thread.on('exit', (code) => reject(new Error(`the training ended with ${code}`)))
    })
    outcome.catch(() => {})
    await read((documents) => tell({ kind: 'documents', documents }))
    tell({ kind: 'train' })
    return await outcome
  } finally {
    signal.removeEventListener('abort', abort)
    await thread.terminate()
  }
}

const errorOf = ({ code, message }: Extract<FromTraining, { kind: 'failed' }>): Error =>
  code === null ? new Error(message) : new MillraceError(code, message)
