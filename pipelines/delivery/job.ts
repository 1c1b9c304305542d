/**
 * A job: its tasks as they become this process's, each running its own chain. A task that is lost (fenced, or of a stale generation) ends
 * quietly and comes back from its committed positions when its partition is assigned again; anything else stops the pipeline.
 */
import {
  BehaviorSubject,
  catchError,
  concat,
  EMPTY,
  filter,
  finalize,
  type MonoTypeOperatorFunction,
  mergeMap,
  type Observable,
  type OperatorFunction,
  of,
  switchMap,
  take,
  takeUntil,
  tap,
  throwError,
} from 'rxjs'
import type { Batch, Task, TaskGroupOptions } from '../../infra/kafka/port.ts'
import type { JobMetrics } from '../../infra/telemetry/metrics.ts'
import { codeOf, type ErrorCode } from '../../schemas/errors.ts'
import type { EventName } from '../../schemas/generated/events.ts'
import { type Progress, type Runtime, topicOf } from '../process/runtime.ts'

/** What runs. */
export interface Pipeline {
  readonly name: string
  /**
   * Runs until `stop` emits: then pulls no more, finishes the batches under way and completes. Errors with what stopped it, as a
   * MillraceError where it is a known one.
   */
  run(runtime: Runtime, stop: Observable<unknown>): Observable<Progress>
}

const LOST: ReadonlySet<ErrorCode> = new Set(['PRODUCER_FENCED', 'STALE_GENERATION', 'COMMIT_UNKNOWN'])

/** What the jobs' transactions write, beside the user's sinks. */
const WRITTEN = [
  'decision',
  'outcome',
  'outcome-correction',
  'ledger',
  'snapshot',
  'dead-letter',
] as const satisfies readonly EventName[]
/** The same of the jobs of documents. */
const WRITTEN_OF_DOCUMENTS = ['document-labels', 'model', 'metric'] as const satisfies readonly EventName[]

export interface JobOptions extends Omit<TaskGroupOptions, 'app' | 'job'> {
  /** The chain of one task, from its batches to what was committed. */
  readonly chain: (task: Task, metrics: JobMetrics) => OperatorFunction<Batch, Progress>
}

export const job = (
  runtime: Runtime,
  name: string,
  stop: Observable<unknown>,
  { chain, ...group }: JobOptions,
): Observable<Progress> => {
  const { broker, config, health } = runtime
  const log = runtime.log.child({ job: name })
  const metrics = runtime.metrics.job(name)
  const component = health.component(name)
  component.ready()
  const { sessionTimeout, transactionTimeout, revokeTimeout } = config.kafka
  const timeouts = {
    sessionTimeoutMs: sessionTimeout,
    transactionTimeoutMs: transactionTimeout,
    revokeTimeoutMs: revokeTimeout,
  }
  const outputs = [
    ...[...WRITTEN, ...(config.tag === undefined ? [] : WRITTEN_OF_DOCUMENTS)].map((event) =>
      topicOf(config, event),
    ),
    ...runtime.sinks.map(({ topic }) => topic),
  ]
  const working = new BehaviorSubject(0)
  let stopping = false
  // The group is left when the work under way has ended: who leaves may commit no more.
  const ended = stop.pipe(
    take(1),
    tap(() => {
      stopping = true
    }),
    switchMap(() => working.pipe(filter((tasks) => tasks === 0))),
  )
  return broker.tasks({ app: config.app, job: name, outputs, ...timeouts, ...group }).pipe(
    takeUntil(ended),
    filter(() => !stopping),
    mergeMap((task) => {
      working.next(working.value + 1)
      log.info({ partition: task.partition }, 'task opened')
      const work = task.batches.pipe(takeUntil(stop), watchLag(metrics), chain(task, metrics))
      return concat(of(opened(name, task)), work).pipe(
        catchError((error: unknown) => {
          const code = codeOf(error, 'INVALID_EVENT')
          if (!LOST.has(code)) return throwError(() => error)
          log.warn({ partition: task.partition, code }, 'task lost: it goes on from its committed positions')
          return EMPTY
        }),
        finalize(() => {
          metrics.forget(task.partition)
          working.next(working.value - 1)
        }),
      )
    }),
    catchError((error: unknown) => {
      component.failing(error instanceof Error ? error.message : String(error))
      return throwError(() => error)
    }),
  )
}

const opened = (pipeline: string, { partition }: Task): Progress => ({
  pipeline,
  opened: true,
  topic: '',
  partition,
  received: 0,
  sent: {},
  deadLetters: 0,
})

const watchLag = (metrics: JobMetrics): MonoTypeOperatorFunction<Batch> =>
  tap(({ idle, topic, partition, highWatermark, nextOffset }) => {
    if (!idle) metrics.lag(topic, partition, Math.max(0, highWatermark - nextOffset))
  })
