/** The thread of one training: gathers the documents of the window, trains, measures, stores, and says what came of it. */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { MillraceError } from '../../schemas/errors.ts'
import type { FromTraining, ToTraining, TrainingStart } from './thread.ts'
import { trainOn } from './training.ts'
import type { PlacedDocument } from './window.ts'

const port = parentPort
if (port === null) throw new Error('worker.ts is run in a worker thread only')
const tell = (message: FromTraining): void => port.postMessage(message)
const documents: PlacedDocument[] = []

/** As `nice` has it: between 0 and 19. */
const NICE = 10

/** Whoever answers goes first, where the system knows priorities of threads; threads that help inherit it. */
const giveWay = (): void => {
  try {
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), NICE)
  } catch {
    // As before, then.
  }
}

port.on('message', (message: ToTraining) => {
  if (message.kind === 'documents') {
    for (const document of message.documents) documents.push(document)
    return
  }
  trainOn(documents, workerData as TrainingStart, (what, done, total) =>
    tell({ kind: 'progress', what, done, total }),
  ).then(tell, (error: unknown) => {
    const code = error instanceof MillraceError ? error.code : null
    tell({ kind: 'failed', code, message: error instanceof Error ? error.message : String(error) })
  })
})

giveWay()
