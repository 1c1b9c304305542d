/**
 * tag: documents → document-labels, with the model that is served (tag/live-model.ts). Labels and positions are one transaction, so every document is tagged once, by the
 * version that its labels name.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { defer, type Observable, type OperatorFunction, switchMap, takeUntil, tap } from 'rxjs'
import type { ModelMetrics } from '../infra/telemetry/metrics.ts'
import type { Outbound } from '../operators/streams/batch.ts'
import { tag as tagWith } from '../operators/xmc/tag.ts'
import { deliver } from './delivery/delivery.ts'
import { decode } from './delivery/inputs.ts'
import { job, type Pipeline } from './delivery/job.ts'
import type { Progress, Runtime } from './process/runtime.ts'
import { type LiveModel, withLiveModel } from './tag/live-model.ts'
import { tagConfig } from './tag/tag-config.ts'

export const tag: Pipeline = {
  name: 'tag',
  run: (runtime, stop) =>
    defer(() => runtime.codec.prepare(['document-labels', 'dead-letter'])).pipe(
      takeUntil(stop),
      switchMap(() => withLiveModel(runtime, stop, (live) => tagDocuments(runtime, live, stop))),
    ),
}

/** A commit costs as much as some hundred documents. */
const BATCH_DOCUMENTS = 2_500

const tagDocuments = (runtime: Runtime, live: LiveModel, stop: Observable<unknown>): Observable<Progress> => {
  const inputs = runtime.inputs('document')
  const { model } = tagConfig(runtime.config)
  return job(runtime, 'tag', stop, {
    topics: inputs.map(({ topic }) => topic),
    maxBatchRecords: BATCH_DOCUMENTS,
    chain: (task, metrics) => (batches) =>
      batches.pipe(
        decode(inputs, runtime.log),
        tagWith(model, () => live.tagger, runtime.now, turn),
        countUntagged(runtime.metrics.model(model)),
        deliver(runtime, 'tag', task, metrics),
      ),
  })
}

const countUntagged = (metrics: ModelMetrics): OperatorFunction<Outbound, Outbound> =>
  tap(({ outputs }) => {
    const untagged = outputs.filter(
      ({ event, value }) => event === 'document-labels' && value.modelVersion === 0,
    )
    if (untagged.length > 0) metrics.untagged(untagged.length)
  })
