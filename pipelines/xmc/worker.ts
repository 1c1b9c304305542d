/** A thread that trains one job after the other. It is given all documents at its start, then a job at a time. */
import { parentPort, workerData } from 'node:worker_threads'
import { JobSolver } from '../../operators/xmc/rankers/job-solver.ts'
import { codeOf } from '../../schemas/errors.ts'
import type { FromWorker, ToWorker, WorkerStart } from './threads.ts'

const port = parentPort
if (port === null) throw new Error('worker.ts is run in a worker thread only')
const { X, problems, settings } = workerData as WorkerStart
const solver = new JobSolver(X, problems, settings)

port.on('message', ({ job }: ToWorker) => {
  try {
    const weights = solver.solve(job)
    const message: FromWorker = { kind: 'finished', weights }
    const { pointers, indices, values } = weights
    port.postMessage(
      message,
      [pointers, indices, values].map(({ buffer }) => buffer as ArrayBuffer),
    )
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const stack = error instanceof Error ? (error.stack ?? '') : ''
    port.postMessage({
      kind: 'failed',
      code: codeOf(error, 'INVALID_EVENT'),
      message,
      stack,
    } satisfies FromWorker)
  }
})
