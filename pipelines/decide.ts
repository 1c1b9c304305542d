/**
 * decide: decision-requests → decisions. Follows `outcomes` to learn as it decides: the state of every policy is the fold of that
 * topic (learn.ts), so any number of processes that run this hold the same states. Those that own partitions of `outcomes` keep
 * snapshots of them (snapshots.ts).
 */
import { defer, type Observable, type OperatorFunction, switchMap, takeUntil, tap } from 'rxjs'
import type { JobMetrics } from '../infra/telemetry/metrics.ts'
import { decide as decideOn } from '../operators/bandits/decide.ts'
import type { PolicyTable } from '../operators/bandits/state/policy-table.ts'
import type { Inbound, Outbound } from '../operators/streams/batch.ts'
import { deliver } from './delivery/delivery.ts'
import { decode } from './delivery/inputs.ts'
import { job, type Pipeline } from './delivery/job.ts'
import type { Progress, Runtime } from './process/runtime.ts'
import { withStates } from './states/followed.ts'

export const decide: Pipeline = {
  name: 'decide',
  run: (runtime, stop) =>
    defer(() => runtime.codec.prepare(['decision', 'dead-letter'])).pipe(
      takeUntil(stop),
      switchMap(() => withStates(runtime, stop, ({ table }) => decideRequests(runtime, table, stop))),
    ),
}

/** The chain of a task: requests in, decisions out. */
const decideRequests = (
  runtime: Runtime,
  table: PolicyTable,
  stop: Observable<unknown>,
): Observable<Progress> => {
  const inputs = runtime.inputs('decision-request')
  return job(runtime, 'decide', stop, {
    topics: inputs.map(({ topic }) => topic),
    chain: (task, metrics) => (batches) =>
      batches.pipe(
        decode(inputs, runtime.log),
        timed(decideOn(table, runtime.now, runtime.config.limits.arms), metrics),
        deliver(runtime, 'decide', task, metrics),
      ),
  })
}

/** Tells how long the decisions of a batch take, one on average. The operator is synchronous. */
const timed =
  (operator: OperatorFunction<Inbound<'decision-request'>, Outbound>, metrics: JobMetrics): typeof operator =>
  (source) => {
    let started = 0
    return source.pipe(
      tap(() => {
        started = performance.now()
      }),
      operator,
      tap(({ outputs }) => {
        if (outputs.length > 0) metrics.decided((performance.now() - started) / 1_000 / outputs.length)
      }),
    )
  }
