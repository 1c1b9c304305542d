/** A thread that plays one run after the other. It is given all data at its start, then a run at a time. */
import { parentPort, workerData } from 'node:worker_threads'
import { codeOf } from '../../schemas/errors.ts'
import { playRun } from './run.ts'
import type { FromWorker, ToWorker, WorkerStart } from './threads.ts'

const TELL_EVERY_MS = 200

const port = parentPort
if (port === null) throw new Error('worker.ts is run in a worker thread only')
const { simulation, data } = workerData as WorkerStart
const tell = (message: FromWorker): void => port.postMessage(message)

port.on('message', ({ run }: ToWorker) => {
  let played = 0
  let told = performance.now()
  try {
    const result = playRun(run, simulation, data[run.environment.name]!, (rounds) => {
      played += rounds
      if (performance.now() - told < TELL_EVERY_MS) return
      tell({ kind: 'progress', rounds: played })
      played = 0
      told = performance.now()
    })
    tell({ kind: 'finished', rounds: played, result })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const stack = error instanceof Error ? (error.stack ?? '') : ''
    tell({ kind: 'failed', code: codeOf(error, 'INVALID_EVENT'), message, stack })
  }
})
