/** Training spread over worker threads, which read documents and problems in shared memory: each takes the next job, the longest first, when it has finished its own. */
import type { Worker } from 'node:worker_threads'
import type { Job, JobWeights } from '../../operators/xmc/rankers/jobs.ts'
import { assembled, jobsOf } from '../../operators/xmc/rankers/jobs.ts'
import type { LevelProblem, Lists, SolveLevels } from '../../operators/xmc/rankers/level-problem.ts'
import type { SolverSettings } from '../../operators/xmc/rankers/training.ts'
import { type CsrMatrix, sharedCopy } from '../../operators/xmc/sparse/csr-matrix.ts'
import { type ErrorCode, MillraceError } from '../../schemas/errors.ts'
import { openThread } from '../process/thread.ts'

/** What a thread begins with; arrays lie in shared memory. */
export interface WorkerStart {
  readonly X: CsrMatrix
  readonly problems: readonly LevelProblem[]
  readonly settings: SolverSettings
}

export interface ToWorker {
  readonly job: Job
}

export type FromWorker =
  | { readonly kind: 'finished'; readonly weights: JobWeights }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string; readonly stack: string }

/**
 * A solver for `trainXmc` in worker threads. Its results are those of one thread, bit by bit.
 *
 * @param threads at most; at least 1
 * @param signal ends all threads at once; training then rejects with its reason
 */
export const solveInThreads =
  (threads: number, signal?: AbortSignal): SolveLevels =>
  async (X, problems, settings, onDone) => {
    signal?.throwIfAborted()
    const jobs = jobsOf(problems)
    const results: JobWeights[] = new Array(jobs.length)
    const start: WorkerStart = { X: inSharedMemory(X), problems: problems.map(sharedProblem), settings }
    const workers: Worker[] = []
    let next = 0
    const work = (): Promise<void> =>
      new Promise((resolve, reject) => {
        const worker = openThread(import.meta.url, 'worker', start)
        workers.push(worker)
        let current = -1
        const take = () => {
          if (next >= jobs.length) return resolve()
          current = next++
          worker.postMessage({ job: jobs[current]! } satisfies ToWorker)
        }
        worker.on('message', (message: FromWorker) => {
          if (message.kind === 'failed') return reject(errorOf(message))
          results[current] = message.weights
          onDone(jobs[current]!.to - jobs[current]!.from)
          take()
        })
        worker.on('error', reject)
        worker.on('exit', (code) =>
          reject(signal?.reason ?? new Error(`a training thread ended with ${code}`)),
        )
        take()
      })
    const stop = () => {
      for (const worker of workers) void worker.terminate()
    }
    signal?.addEventListener('abort', stop)
    try {
      await Promise.all(Array.from({ length: Math.min(threads, jobs.length) }, work))
    } finally {
      signal?.removeEventListener('abort', stop)
      await Promise.all(workers.map((worker) => worker.terminate()))
    }
    return assembled(problems, jobs, results, X.columns)
  }

/** A matrix that threads can read: the one given, where it lies in shared memory already. */
export const inSharedMemory = (matrix: CsrMatrix): CsrMatrix =>
  matrix.values.buffer instanceof SharedArrayBuffer ? matrix : sharedCopy(matrix)

const sharedProblem = ({ children, positives, matched }: LevelProblem): LevelProblem => ({
  children: sharedLists(children),
  positives: sharedLists(positives),
  matched: sharedLists(matched),
})

const sharedLists = ({ pointers, indices }: Lists): Lists => ({
  pointers: shared(pointers),
  indices: shared(indices),
})

const shared = (array: Int32Array): Int32Array => {
  const copy = new Int32Array(new SharedArrayBuffer(array.byteLength))
  copy.set(array)
  return copy
}

/** A refusal keeps its code; a fault of millrace's own keeps its stack. */
const errorOf = ({ code, message, stack }: Extract<FromWorker, { kind: 'failed' }>): Error => {
  if (stack.includes('MillraceError')) return new MillraceError(code, message)
  const error = new Error(message)
  error.stack = stack
  return error
}
