/**
 * retrain: documents with labels → models. Each model has one trainer (retrain/trainer.ts); the pipeline is owning the partition that makes one, and asking it now and then
 * whether a training is due. The task is that ownership and nothing more: its first batch is held, and nothing of `models` is fetched twice.
 */
import {
  defer,
  endWith,
  exhaustMap,
  finalize,
  ignoreElements,
  type Observable,
  type OperatorFunction,
  switchMap,
  takeUntil,
  tap,
  timer,
} from 'rxjs'
import type { Batch, Task } from '../infra/kafka/port.ts'
import type { JobMetrics } from '../infra/telemetry/metrics.ts'
import { job, type Pipeline } from './delivery/job.ts'
import { type Progress, type Runtime, topicOf } from './process/runtime.ts'
import { Trainer } from './retrain/trainer.ts'
import { trainingLine } from './retrain/training-line.ts'
import { tagConfig } from './tag/tag-config.ts'

/** Between two looks at the ends of `documents`. */
const LOOK_MS = 500

export const retrain: Pipeline = {
  name: 'retrain',
  run: (runtime, stop) =>
    defer(() => {
      tagConfig(runtime.config)
      return runtime.codec.prepare(['model', 'metric'])
    }).pipe(
      takeUntil(stop),
      switchMap(() => trainModels(runtime, stop)),
    ),
}

const trainModels = (runtime: Runtime, stop: Observable<unknown>): Observable<Progress> =>
  job(runtime, 'retrain', stop, {
    topics: [topicOf(runtime.config, 'model')],
    maxBatchRecords: 1,
    chain: (task, metrics) => trainWhileOwned(runtime, task, metrics),
  })

const trainWhileOwned =
  (runtime: Runtime, task: Task, metrics: JobMetrics): OperatorFunction<Batch, Progress> =>
  (batches) =>
    defer(() => {
      const gone = new AbortController()
      const trainer = new Trainer(runtime, task, gone.signal, trainingLine(process.stderr))
      const ended = batches.pipe(
        // The position of this job is where `models` was read: as a lag it would mislead.
        tap(() => metrics.forget(task.partition)),
        finalize(() => gone.abort()),
        ignoreElements(),
        endWith(null),
      )
      return timer(0, LOOK_MS).pipe(
        takeUntil(ended),
        exhaustMap(() => trainer.trainDue()),
      )
    })
