/** Runs spread over worker threads: each takes the next one when it has finished its own, so that all cores are busy until the last. */
import { Worker } from 'node:worker_threads'
import { type ErrorCode, MillraceError } from '../../schemas/errors.ts'
import type { EnvironmentData } from './data.ts'
import { type FinishedRun, type Run, type RunResult, runsOf, type Simulation } from './simulation.ts'

/** What a thread begins with. */
export interface WorkerStart {
  readonly simulation: Pick<Simulation, 'rounds' | 'points' | 'delay'>
  /** By environment. */
  readonly data: Readonly<Record<string, EnvironmentData>>
}

export interface ToWorker {
  readonly run: Run
}

export type FromWorker =
  | { readonly kind: 'progress'; readonly rounds: number }
  | { readonly kind: 'finished'; readonly rounds: number; readonly result: RunResult }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string; readonly stack: string }

export interface PlayOptions {
  readonly data: WorkerStart['data']
  /** Threads at most; at least 1. */
  readonly threads: number
  /** Told how many rounds more were played. */
  readonly onRounds?: (rounds: number) => void
  /** Told each run as it is finished, in any order. */
  readonly onFinished?: (finished: FinishedRun) => void
  /** Ends all threads at once; what is finished by then is kept. */
  readonly signal?: AbortSignal
}

/**
 * Plays every run.
 * @returns the runs that were finished, in the order of `runsOf`
 * @throws MillraceError as a policy, naming the run; the other threads are ended then
 */
export const playAll = async (simulation: Simulation, options: PlayOptions): Promise<FinishedRun[]> => {
  const { data, threads, signal } = options
  const runs = runsOf(simulation)
  const results = new Map<number, RunResult>()
  let next = 0
  const { rounds, points, delay } = simulation
  const start: WorkerStart = { simulation: { rounds, points, delay }, data }
  const workers: Worker[] = []
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = openWorker(start)
      workers.push(worker)
      let current = -1
      const take = () => {
        if (next >= runs.length) return resolve()
        current = next++
        worker.postMessage({ run: runs[current]! } satisfies ToWorker)
      }
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'failed') return reject(errorOf(message))
        options.onRounds?.(message.rounds)
        if (message.kind === 'progress') return
        results.set(current, message.result)
        options.onFinished?.({ run: runs[current]!, result: message.result })
        take()
      })
      worker.on('error', reject)
      worker.on('exit', () => resolve())
      take()
    })
  const stop = () => {
    for (const worker of workers) void worker.terminate()
  }
  signal?.addEventListener('abort', stop)
  try {
    if (signal?.aborted !== true)
      await Promise.all(Array.from({ length: Math.min(threads, runs.length) }, work))
  } finally {
    signal?.removeEventListener('abort', stop)
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
  return runs.flatMap((run, index) => {
    const result = results.get(index)
    return result === undefined ? [] : [{ run, result }]
  })
}

/** As shipped the thread's program is JavaScript; from sources it begins with what runs TypeScript. */
const openWorker = (workerData: WorkerStart): Worker => {
  if (!import.meta.url.endsWith('.ts'))
    return new Worker(new URL('./worker.js', import.meta.url), { workerData })
  const [tsx, program] = [import.meta.resolve('tsx/esm/api'), new URL('./worker.ts', import.meta.url).href]
  const code = `import { register } from ${JSON.stringify(tsx)}; register(); await import(${JSON.stringify(program)})`
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { workerData })
}

/** A policy's refusal keeps its code; a fault of millrace's own keeps its stack. */
const errorOf = ({ code, message, stack }: Extract<FromWorker, { kind: 'failed' }>): Error => {
  if (stack.includes('MillraceError')) return new MillraceError(code, message)
  const error = new Error(message)
  error.stack = stack
  return error
}
