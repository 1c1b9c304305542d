/**
 * decide: decision-requests → decisions. Follows `outcomes` to learn as it decides: the state of every policy is the fold of that
 * topic, so any number of processes that run this hold the same states.
 */
import {
  concat,
  defer,
  finalize,
  ignoreElements,
  merge,
  type Observable,
  type OperatorFunction,
  switchMap,
  takeUntil,
  tap,
} from 'rxjs'
import { partitionOf } from '../infra/kafka/partitioner.ts'
import type { JobMetrics } from '../infra/telemetry/metrics.ts'
import { decide as decideOn } from '../operators/bandits/decide.ts'
import { learn } from '../operators/bandits/learn.ts'
import { PolicyTable } from '../operators/bandits/policy-table.ts'
import type { Inbound, Outbound } from '../operators/streams/batch.ts'
import { deliver } from './delivery.ts'
import { follow } from './follow.ts'
import { decode, ownInput } from './inputs.ts'
import { job, type Pipeline } from './job.ts'
import { agreedDefinitions } from './policies.ts'
import { type Progress, type Runtime, topicOf } from './runtime.ts'

export const decide: Pipeline = {
  name: 'decide',
  run: (runtime, stop) =>
    defer(async () => {
      await runtime.codec.prepare(['decision', 'dead-letter'])
      return new PolicyTable(await agreedDefinitions(runtime))
    }).pipe(
      switchMap(async (table) => ({ table, log: await outcomesOf(runtime, table) })),
      // Subscribed from the start, so that a stop meanwhile is not missed.
      takeUntil(stop),
      switchMap(({ table, log }) => {
        const component = runtime.health.component('policies')
        component.failing('the policies are catching up with their outcomes')
        const catchUp = learnFrom(runtime, table, log.from, log.to).pipe(
          takeUntil(stop),
          finalize(() => component.ready()),
        )
        const learnOn = defer(() => learnFrom(runtime, table, log.to)).pipe(takeUntil(stop))
        const decisions = defer(() => decideRequests(runtime, table, stop))
        return concat(
          catchUp,
          defer(() => merge(decisions, learnOn)),
        )
      }),
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

type Offsets = ReadonlyMap<number, number>

/** Where the policies' outcomes begin and, for now, end, by partition; partitions of no policy are not followed. */
const outcomesOf = async (
  { broker, config }: Runtime,
  table: PolicyTable,
): Promise<{ from: Offsets; to: Offsets }> => {
  const offsets = await broker.admin.offsets(topicOf(config, 'outcome'))
  const from = new Map<number, number>()
  for (const { name, from: begins } of table) {
    const partition = partitionOf(Buffer.from(name), offsets.length)
    from.set(partition, Math.min(begins, from.get(partition) ?? begins))
  }
  const followed = offsets.filter(({ partition }) => from.has(partition))
  return { from, to: new Map(followed.map(({ partition, latest }) => [partition, latest])) }
}

/** The fold: outcomes into the table's states, up to `to` or for ever. */
const learnFrom = (runtime: Runtime, table: PolicyTable, from: Offsets, to?: Offsets): Observable<never> => {
  const { broker, codec, config, log } = runtime
  const topic = topicOf(config, 'outcome')
  const inputs = [ownInput(codec, topic, 'outcome')]
  const metrics = runtime.metrics.job('learn')
  return follow(broker, { topic, from, ...(to === undefined ? {} : { to }) }, (batches) =>
    batches.pipe(decode(inputs, log), learn(table)),
  ).pipe(
    tap(({ learned, refused }) => {
      metrics.received(learned + refused.length)
      for (const { code, message } of refused) {
        metrics.deadLetter(code)
        log.warn({ code }, `an outcome was not learned from: ${message}`)
      }
      for (const { name, stateOffset } of table) runtime.metrics.policy(name).stateOffset(stateOffset)
    }),
    ignoreElements(),
  )
}
