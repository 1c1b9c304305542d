/**
 * The way out: what a batch became leaves with its position in one transaction, dead letters included. A dead letter that cannot be
 * written stops the task loudly: nothing is skipped.
 */
import { concatMap, type OperatorFunction } from 'rxjs'
import type { OutputRecord, Task } from '../infra/kafka/port.ts'
import type { JobMetrics } from '../infra/telemetry/metrics.ts'
import type { Outbound, Outgoing } from '../operators/streams/batch.ts'
import { deadLetter } from '../operators/streams/dead-letter.ts'
import { KEYS } from '../schemas/catalogue.ts'
import { codeOf, MillraceError } from '../schemas/errors.ts'
import { type Progress, type Runtime, topicOf } from './runtime.ts'

/** Commits each batch and says what it was. */
export const deliver = (
  runtime: Runtime,
  pipeline: string,
  task: Task,
  metrics: JobMetrics,
): OperatorFunction<Outbound, Progress> =>
  concatMap(async ({ batch, outputs, refused, positions: given }) => {
    const started = performance.now()
    const records = [
      ...encode(runtime, outputs),
      ...refused.map((refusal) => deadLetterRecord(runtime, batch, refusal)),
    ]
    const positions = given ?? new Map([[batch.topic, { offset: batch.nextOffset }]])
    if (batch.idle && records.length === 0) task.release()
    else await commit(task, records, positions, refused.length > 0)
    metrics.received(batch.records.length)
    metrics.sent(outputs.length)
    for (const { code } of refused) metrics.deadLetter(code)
    if (!batch.idle) metrics.committed((performance.now() - started) / 1_000)
    return progressOf(pipeline, batch, task, outputs, refused.length)
  })

const commit = async (
  task: Task,
  outputs: readonly OutputRecord[],
  positions: Parameters<Task['commit']>[0]['positions'],
  letters: boolean,
): Promise<void> => {
  try {
    await task.commit({ outputs, positions })
  } catch (error) {
    if (!letters || codeOf(error, 'DEAD_LETTER_FAILED') !== 'MESSAGE_TOO_LARGE') throw error
    throw new MillraceError('DEAD_LETTER_FAILED', `a dead letter could not be written: ${String(error)}`, {
      cause: error,
    })
  }
}

/** Outputs as records of their topics, and of the user's topics that are mapped from them. */
const encode = ({ codec, config, sinks }: Runtime, outputs: readonly Outgoing[]): OutputRecord[] => {
  const records: OutputRecord[] = []
  for (const output of outputs) {
    const key = keyOf(output)
    records.push({
      topic: topicOf(config, output.event),
      key: Buffer.from(key),
      value: codec.encode(output.event, output.value),
    })
    for (const sink of sinks) if (sink.event === output.event) records.push(sink.record(output.value, key))
  }
  return records
}

const keyOf = (output: Outgoing): string =>
  (KEYS[output.event] as (value: Outgoing['value']) => string)(output.value)

/** The dead letter of a refused record, ready to be written. */
export const deadLetterRecord = (
  { codec, config, now }: Runtime,
  { topic, partition, records }: Pick<Outbound['batch'], 'topic' | 'partition' | 'records'>,
  { index, ...refusal }: Outbound['refused'][number],
): OutputRecord => {
  const { key, value, offset } = records[index]!
  const event = deadLetter(
    { topic, partition, offset, key, value },
    refusal,
    value === null ? '' : codec.schemaIdOf(value),
    now(),
  )
  return {
    topic: topicOf(config, 'dead-letter'),
    key: Buffer.from(KEYS['dead-letter'](event)),
    value: codec.encode('dead-letter', event),
  }
}

const progressOf = (
  pipeline: string,
  { topic, records }: Outbound['batch'],
  { partition }: Task,
  outputs: readonly Outgoing[],
  deadLetters: number,
): Progress => {
  const sent: Record<string, number> = {}
  for (const { event } of outputs) sent[event] = (sent[event] ?? 0) + 1
  return { pipeline, topic, partition, received: records.length, sent, deadLetters }
}
