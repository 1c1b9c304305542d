/**
 * record: every event → ClickHouse. A block's range is committed as a plan before it is inserted, and its rows and token depend on that range
 * alone: after a crash the very same block is sent again and ClickHouse counts it once, in tables and rollups alike.
 *
 * A ClickHouse that is away is waited for, however long: the block under way is tried again, and since the next batch comes after the
 * last was done with, memory stays bounded. Nothing else waits for it.
 */
import {
  catchError,
  concatMap,
  EMPTY,
  Observable,
  type OperatorFunction,
  switchMap,
  takeUntil,
  tap,
  throwError,
} from 'rxjs'
import type { RecordedName } from '../infra/clickhouse/rows.ts'
import { checkTables } from '../infra/clickhouse/tables.ts'
import type { Batch, Task } from '../infra/kafka/port.ts'
import type { JobMetrics } from '../infra/telemetry/metrics.ts'
import { BlockGatherer } from '../operators/streams/blocks.ts'
import { recordedEvents } from './checks/topics.ts'
import type { Input } from './delivery/inputs.ts'
import { job, type Pipeline } from './delivery/job.ts'
import { Remote } from './process/remote.ts'
import type { Progress, Runtime } from './process/runtime.ts'
import { BlockWriter, type Recorder, type WrittenBlock } from './record/block-writer.ts'

export const record: Pipeline = {
  name: 'record',
  run: (runtime, stop) => {
    const { codec, broker, config, health, log } = runtime
    const component = health.component('clickhouse')
    component.failing('not reached yet')
    const server = new Remote({ name: 'ClickHouse', away: 'CLICKHOUSE_UNAVAILABLE', component, log })
    // No task is taken before there is somewhere to record to: another process may have it.
    return abortable(async (signal): Promise<Recorder> => {
      await codec.prepare(['dead-letter'])
      await server.reach(async () => checkTables(await runtime.clickhouse(0)), signal)
      return { runtime, server, inputs: recordedInputs(runtime), cluster: await broker.admin.clusterId() }
    }).pipe(
      // Subscribed from the start, so that a stop meanwhile is not missed.
      takeUntil(stop),
      switchMap((recorder) => {
        const { maxRows, maxWait } = config.record
        return job(runtime, 'record', stop, {
          topics: recorder.inputs.map(({ topic }) => topic),
          tickMs: Math.min(maxWait / TICKS, LONGEST_TICK_MS),
          maxBatchRecords: Math.min(maxRows, MOST_IN_A_BATCH),
          chain: (task, metrics) => recordBatches(recorder, task, metrics),
        })
      }),
    )
  },
}

/** Large batches make few commits; larger ones than this save nothing more. */
const MOST_IN_A_BATCH = 5_000
/** How often it is asked, in the time that a block may wait, whether one is due. */
const TICKS = 4
const LONGEST_TICK_MS = 1_000

/** What is recorded: the events that have a table, rewards and the like from wherever they come. */
const recordedInputs = (runtime: Runtime): Input<RecordedName>[] =>
  recordedEvents(runtime.config).flatMap((event) => runtime.inputs(event) as readonly Input<RecordedName>[])

/** The chain of a task: batches into blocks, blocks into tables. */
const recordBatches =
  (recorder: Recorder, task: Task, metrics: JobMetrics): OperatorFunction<Batch, Progress> =>
  (batches) => {
    const { runtime, server } = recorder
    const { record, shutdown } = runtime.config
    const ended = new AbortController()
    const writer = new BlockWriter(recorder, task, ended.signal)
    let gatherer: BlockGatherer | null = null
    /** What is under way may end, but is waited for no longer: it stays planned, and whoever comes next sends it. */
    const giveUp = () => {
      if (server.isAway) ended.abort()
      else setTimeout(() => ended.abort(), shutdown.grace / 4).unref()
    }
    return batches.pipe(
      tap({ finalize: giveUp }),
      concatMap(async (batch): Promise<Progress> => {
        gatherer ??= new BlockGatherer(
          { maxRows: record.maxRows, maxWaitMs: record.maxWait },
          await writer.repeatPlanned(),
        )
        gatherer.add(batch, runtime.now())
        const started = performance.now()
        const blocks = gatherer.due(runtime.now())
        const written = await writer.write(blocks)
        metrics.received(batch.records.length)
        for (const { refused } of written) for (const { code } of refused) metrics.deadLetter(code)
        if (blocks.length > 0) metrics.committed((performance.now() - started) / 1_000)
        const progress = progressOf(task, batch.topic, batch.records.length, written)
        metrics.sent(Object.values(progress.sent).reduce((sum, rows) => sum + rows, 0))
        return progress
      }),
      catchError((error: unknown) => (error === ended.signal.reason ? EMPTY : throwError(() => error))),
    )
  }

const progressOf = (
  { partition }: Task,
  topic: string,
  received: number,
  written: readonly WrittenBlock[],
): Progress => {
  const sent: Record<string, number> = {}
  let deadLetters = 0
  for (const { table, rows, refused } of written) {
    sent[table] = (sent[table] ?? 0) + rows
    deadLetters += refused.length
  }
  return { pipeline: 'record', topic, partition, received, sent, deadLetters }
}

/** A promise whose work is told when nobody waits for it any more. */
const abortable = <T>(work: (signal: AbortSignal) => Promise<T>): Observable<T> =>
  new Observable((subscriber) => {
    const unwanted = new AbortController()
    work(unwanted.signal).then(
      (value) => {
        subscriber.next(value)
        subscriber.complete()
      },
      (error: unknown) => subscriber.error(error),
    )
    return () => unwanted.abort()
  })
