/**
 * The way out: what a batch became leaves with its position in one transaction, dead letters included. An output that its topic cannot take
 * (too large, not to be written in the user's schema) makes a dead letter of the record it came from, and the rest goes through. A dead
 * letter that cannot be written stops the task loudly: nothing is skipped.
 */
import { concatMap, type OperatorFunction } from 'rxjs'
import type { Admin, OutputRecord, Task } from '../../infra/kafka/port.ts'
import type { JobMetrics } from '../../infra/telemetry/metrics.ts'
import type { Outbound, Outgoing, Refused } from '../../operators/streams/batch.ts'
import { deadLetter, type RefusedRecord } from '../../operators/streams/dead-letter.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import { codeOf, MillraceError } from '../../schemas/errors.ts'
import { type Progress, type Runtime, topicOf } from '../process/runtime.ts'

/** Commits each batch and says what it was. */
export const deliver = (
  runtime: Runtime,
  pipeline: string,
  task: Task,
  metrics: JobMetrics,
): OperatorFunction<Outbound, Progress> => {
  const limits = new MessageLimits(runtime.broker.admin)
  return concatMap(async (outbound) => {
    const started = performance.now()
    const { batch } = outbound
    const positions = outbound.positions ?? new Map([[batch.topic, { offset: batch.nextOffset }]])
    let leaving = await limits.sort(runtime, outbound)
    if (batch.idle && leaving.records.length === 0) task.release()
    else {
      try {
        await task.commit({ outputs: leaving.records, positions })
      } catch (error) {
        if (codeOf(error, 'COMMIT_UNKNOWN') !== 'MESSAGE_TOO_LARGE') throw error
        // A limit may have been lowered since it was asked for; beyond that it is a dead letter that does not fit.
        limits.forget()
        leaving = await limits.sort(runtime, outbound)
        await task.commit({ outputs: leaving.records, positions }).catch(letterFailed)
      }
    }
    metrics.received(batch.records.length)
    metrics.sent(leaving.sent.length)
    for (const { code } of leaving.refused) metrics.deadLetter(code)
    if (!batch.idle) metrics.committed((performance.now() - started) / 1_000)
    return progressOf(pipeline, batch, task, leaving.sent, leaving.refused.length)
  })
}

/** Throws a commit's failure on; one of size, where all else was measured before, says that a dead letter could not be written. */
export const letterFailed = (error: unknown): never => {
  if (codeOf(error, 'COMMIT_UNKNOWN') !== 'MESSAGE_TOO_LARGE') throw error
  throw new MillraceError('DEAD_LETTER_FAILED', `a dead letter could not be written: ${String(error)}`, {
    cause: error,
  })
}

/** What leaves in one transaction. */
interface Leaving {
  readonly records: readonly OutputRecord[]
  readonly sent: readonly Outgoing[]
  readonly refused: readonly Pick<Refused, 'code'>[]
}

/** A batch of one record, as brokers measure it, beside key and value: at most so many bytes. */
const RECORD_OVERHEAD = 100

/** What each topic takes in one record, asked once. */
class MessageLimits {
  private readonly admin: Admin
  private readonly limits = new Map<string, number>()

  constructor(admin: Admin) {
    this.admin = admin
  }

  forget(): void {
    this.limits.clear()
  }

  /** Sorts a batch's outputs into what can leave and what becomes a dead letter. */
  async sort(runtime: Runtime, { batch, outputs, refused }: Outbound): Promise<Leaving> {
    const records: OutputRecord[] = []
    const letters = refused.map((refusal) => deadLetterRecord(runtime, batch, refusal))
    const sent: Outgoing[] = []
    const refusals: Pick<Refused, 'code'>[] = [...refused]
    for (const output of outputs) {
      try {
        const made = encode(runtime, output)
        for (const record of made) {
          if (!this.limits.has(record.topic)) await this.ask(record.topic)
          this.check(record)
        }
        for (const record of made) records.push(record)
        sent.push(output)
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        const refusal = { stage: 'deliver', code: error.code, message: error.message }
        refusals.push(refusal)
        letters.push(
          output.index === undefined
            ? lostOutputRecord(runtime, output, refusal)
            : deadLetterRecord(runtime, batch, { ...refusal, index: output.index }),
        )
      }
    }
    return { records: [...records, ...letters], sent, refused: refusals }
  }

  private async ask(topic: string): Promise<void> {
    this.limits.set(topic, await this.admin.maxMessageBytes(topic))
  }

  private check({ topic, key, value }: OutputRecord): void {
    const bytes = (key?.length ?? 0) + (value?.length ?? 0) + RECORD_OVERHEAD
    const limit = this.limits.get(topic)!
    if (bytes <= limit) return
    throw new MillraceError(
      'MESSAGE_TOO_LARGE',
      `${bytes} bytes for ${topic}, whose max.message.bytes is ${limit}`,
    )
  }
}

/** An output as a record of its topic, and of the user's topics that are mapped from it. */
const encode = ({ codec, config, sinks }: Runtime, output: Outgoing): OutputRecord[] => {
  const key = keyOf(output)
  const value = codec.encode(output.event, output.value)
  const records: OutputRecord[] = [{ topic: topicOf(config, output.event), key: Buffer.from(key), value }]
  for (const sink of sinks) if (sink.event === output.event) records.push(sink.record(output.value, key))
  return records
}

const keyOf = (output: Outgoing): string =>
  output.key ?? (KEYS[output.event] as (value: Outgoing['value']) => string)(output.value)

/** The dead letter of a refused record, ready to be written. @throws MillraceError DEAD_LETTER_FAILED */
export const deadLetterRecord = (
  runtime: Runtime,
  { topic, partition, records }: Pick<Outbound['batch'], 'topic' | 'partition' | 'records'>,
  { index, ...refusal }: Refused,
): OutputRecord => {
  const { key, value, offset } = records[index]!
  return letterRecord(runtime, { topic, partition, offset, key, value }, refusal)
}

/**
 * The dead letter of an output whose record came in an earlier batch: it names the topic that the output was meant for, holds it as JSON, and is
 * marked as cut, so that no replay takes it for a record.
 */
const lostOutputRecord = (
  runtime: Runtime,
  output: Outgoing,
  refusal: Omit<Refused, 'index'>,
): OutputRecord => {
  const topic = topicOf(runtime.config, output.event)
  const value = Buffer.from(JSON.stringify(output.value))
  const lost = { topic, partition: -1, offset: -1, key: Buffer.from(keyOf(output)), value }
  return letterRecord(runtime, lost, refusal, true)
}

const letterRecord = (
  { codec, config, now }: Runtime,
  record: RefusedRecord,
  refusal: Omit<Refused, 'index'>,
  cut = false,
): OutputRecord => {
  const schemaId = record.value === null || cut ? '' : codec.schemaIdOf(record.value)
  const letter = deadLetter(record, refusal, schemaId, now())
  const event = cut ? { ...letter, truncated: true } : letter
  try {
    return {
      topic: topicOf(config, 'dead-letter'),
      key: Buffer.from(KEYS['dead-letter'](event)),
      value: codec.encode('dead-letter', event),
    }
  } catch (error) {
    return letterFailed(error)
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
