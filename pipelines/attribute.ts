/**
 * attribute: decisions and rewards → outcomes. Each decision meets its reward, once, when its window closes. What the join still waits for
 * is rebuilt from the topics themselves: how far back rides with the committed position.
 */
import { defer, from, map, type OperatorFunction, switchMap, takeUntil, tap } from 'rxjs'
import type { Batch, Task } from '../infra/kafka/port.ts'
import type { JobMetrics } from '../infra/telemetry/metrics.ts'
import { crc32 } from '../operators/numerics/crc32.ts'
import type { Inbound, Outbound, Outgoing } from '../operators/streams/batch.ts'
import {
  JOIN_REASONS,
  type JoinInput,
  type JoinOutputs,
  type JoinProgress,
  RewardJoin,
} from '../operators/streams/reward-join.ts'
import { checkDecision, checkReward, type Fault } from '../operators/streams/validation.ts'
import { MillraceError } from '../schemas/errors.ts'
import { deliver } from './delivery.ts'
import { decode, type Input, ownInput, readBatch } from './inputs.ts'
import { job, type Pipeline } from './job.ts'
import { type Runtime, topicOf } from './runtime.ts'

type JoinEvent = 'decision' | 'reward'

export const attribute: Pipeline = {
  name: 'attribute',
  run: (runtime, stop) =>
    defer(() => runtime.codec.prepare(['outcome', 'outcome-correction', 'dead-letter'])).pipe(
      // Subscribed from the start, so that a stop meanwhile is not missed.
      takeUntil(stop),
      switchMap(() => {
        const inputs = joinInputs(runtime)
        return job(runtime, 'attribute', stop, {
          topics: inputs.map(({ topic }) => topic),
          idleMs: runtime.config.join.idleTimeout,
          chain: (task, metrics) => (batches) =>
            from(openJoin(runtime, task, inputs)).pipe(
              switchMap(({ join, position }) =>
                batches.pipe(
                  decode(inputs, runtime.log),
                  joined(join, position, inputs, runtime.now),
                  deliver(runtime, 'attribute', task, metrics),
                  tap(watchJoin(join, task, metrics)),
                ),
              ),
            ),
        })
      }),
    ),
}

/** Tells what waits, and what has been dismissed since it was last asked. */
const watchJoin = (join: RewardJoin, task: Task, metrics: JobMetrics): (() => void) => {
  const told = { ...join.counts.reasons }
  return () => {
    metrics.pending(task.partition, join.waiting.decisions)
    for (const reason of JOIN_REASONS) {
      const count = join.counts.reasons[reason]
      if (count > told[reason]) metrics.reason(reason, count - told[reason])
      told[reason] = count
    }
  }
}

/** The inputs in a fixed order: a topic's place in it is its number in the join and in the committed progress. */
const joinInputs = (runtime: Runtime): Input<JoinEvent>[] => [
  ownInput(runtime.codec, topicOf(runtime.config, 'decision'), 'decision'),
  ...runtime.inputs('reward'),
]

/**
 * The join around a batch: refuses what must not be joined, closes what event time allows. Progress rides with the position of the first
 * input, decisions, whichever topic the batch came from.
 */
const joined =
  (
    join: RewardJoin,
    start: number,
    inputs: readonly Input<JoinEvent>[],
    now: () => number,
  ): OperatorFunction<Inbound<JoinEvent>, Outbound> =>
  (source) => {
    const leading = inputs[0]!.topic
    let position = start
    return source.pipe(
      map((inbound): Outbound => {
        const { batch } = inbound
        const outputs: JoinOutputs = { outcomes: [], corrections: [] }
        const refused = [...inbound.refused]
        const time = now()
        forEachInput(inbound, inputs, (input, index) => {
          const fault = faultOf(input)
          if (fault === null) join.step(input, time, outputs)
          else refused.push({ index, stage: 'join', ...fault })
        })
        join.advance(time, outputs)
        if (batch.topic === leading) position = batch.nextOffset
        const positions = new Map<string, { offset: number; metadata?: string }>()
        if (!batch.idle) positions.set(batch.topic, { offset: batch.nextOffset })
        positions.set(leading, { offset: position, metadata: encodeProgress(join.progress, inputs) })
        const outgoing: Outgoing[] = [
          ...outputs.outcomes.map((value) => ({ event: 'outcome' as const, value })),
          ...outputs.corrections.map((value) => ({ event: 'outcome-correction' as const, value })),
        ]
        return { batch, outputs: outgoing, refused, positions }
      }),
    )
  }

const faultOf = (input: JoinInput): Fault | null =>
  input.kind === 'decision' ? checkDecision(input.event) : checkReward(input.event)

const forEachInput = (
  { batch, event, events }: Inbound<JoinEvent>,
  inputs: readonly Input<JoinEvent>[],
  each: (input: JoinInput, index: number) => void,
): void => {
  const topic = inputs.findIndex((input) => input.topic === batch.topic)
  for (const [index, value] of events.entries()) {
    if (value == null) continue
    each({ kind: event, event: value, topic, offset: batch.records[index]!.offset } as JoinInput, index)
  }
}

/** Rebuilds a task's join from the records that were still undecided at its committed positions; and where decisions go on. */
const openJoin = async (
  runtime: Runtime,
  task: Task,
  inputs: readonly Input<JoinEvent>[],
): Promise<{ readonly join: RewardJoin; readonly position: number }> => {
  const { broker, config, log, now } = runtime
  const { window, grace, defaultReward, idleTimeout, maxFutureSkew } = config.join
  const join = new RewardJoin(
    { windowMs: window, graceMs: grace, defaultReward, idleMs: idleTimeout, maxFutureSkewMs: maxFutureSkew },
    inputs.length,
    now(),
  )
  const leading = inputs[0]!.topic
  const committed = task.committed.get(leading)
  if (committed === undefined) {
    const ends = (await broker.admin.offsets(leading)).find(({ partition }) => partition === task.partition)
    return { join, position: ends?.earliest ?? 0 }
  }
  const progress = decodeProgress(committed.metadata, inputs)
  if (progress === null) return { join, position: committed.offset }
  for (const [i, { topic }] of inputs.entries()) {
    const start = progress.earliest[i]!
    const end = task.committed.get(topic)?.offset ?? 0
    if (start < 0 || start >= end) continue
    const range = { topic, from: new Map([[task.partition, start]]), to: new Map([[task.partition, end]]) }
    await broker.read(range, async (batch: Batch) => {
      const inbound = await readBatch(batch, inputs, log)
      forEachInput(inbound, inputs, (input) => {
        if (faultOf(input) === null) join.rebuild(input)
      })
    })
  }
  join.resume(progress)
  log.info({ partition: task.partition, pending: join.waiting.decisions }, 'the join is rebuilt')
  return { join, position: committed.offset }
}

/** The watermark, and of each topic the largest event time and the earliest undecided offset: what rides in a position's metadata. */
interface WrittenProgress {
  readonly v: number
  /** -Infinity, which JSON lacks, is null. */
  readonly w: number | null
  readonly t: Readonly<Record<string, readonly [largest: number | null, earliest: number]>>
}

/** Topics by a hash of their names, so that inputs may come, go and change places between two starts. */
const shortName = ({ topic }: Input<JoinEvent>): string => crc32(Buffer.from(topic)).toString(36)

const encodeProgress = (
  { watermark, largest, earliest }: JoinProgress,
  inputs: readonly Input<JoinEvent>[],
): string => {
  const topics = inputs.map((input, i) => [shortName(input), [largest[i]!, earliest[i]!]])
  return JSON.stringify({ v: 1, w: watermark, t: Object.fromEntries(topics) })
}

const decodeProgress = (metadata: string, inputs: readonly Input<JoinEvent>[]): JoinProgress | null => {
  if (metadata === '') return null
  const { v, w, t } = JSON.parse(metadata) as WrittenProgress
  if (v !== 1)
    throw new MillraceError(
      'SNAPSHOT_MISMATCH',
      `the join's committed progress has version ${v}, this millrace reads 1`,
    )
  const found = inputs.map((input) => t[shortName(input)] ?? ([null, -1] as const))
  const time = (value: number | null) => value ?? Number.NEGATIVE_INFINITY
  return {
    watermark: time(w),
    largest: found.map(([largest]) => time(largest)),
    earliest: found.map(([, earliest]) => earliest),
  }
}
