/**
 * A topic of the in-memory broker: its partitions, its configuration, and what it accepts. Configurations it understands:
 * `max.message.bytes` (counted as Kafka counts a batch of one record), `cleanup.policy=compact` (the latest record of a key is kept
 * for ever), and its own `retention.records`: the newest records of each partition that stay though every consumer has
 * passed them (-1: all). Without it, a topic that jobs consume keeps what some consumer still needs, and any other keeps everything.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { partitionOf } from '../partitioner.ts'
import type { OutputRecord, TopicDescription, WireRecord } from '../port.ts'
import { BATCH_HEADER_BYTES, recordBytes } from '../record-size.ts'
import { type Owner, PartitionLog, type Retention } from './log.ts'

/** Kafka's default: 1 MiB and a batch header's first 12 bytes. */
const MAX_MESSAGE_BYTES = 1_048_588

export class Topic {
  readonly name: string
  readonly config: Readonly<Record<string, string>>
  readonly maxMessageBytes: number
  readonly #partitions: PartitionLog[] = []
  readonly #retention: Retention
  /** Deals out records without a key in turn. */
  #next = 0

  constructor({ topic, partitions, config = {} }: TopicDescription) {
    this.name = topic
    this.config = config
    this.maxMessageBytes = Number(config['max.message.bytes'] ?? MAX_MESSAGE_BYTES)
    const records = config['retention.records']
    this.#retention = {
      compact: (config['cleanup.policy'] ?? '').split(',').includes('compact'),
      ...(records === undefined ? {} : { records: Number(records) }),
    }
    this.grow(partitions)
  }

  get partitions(): readonly PartitionLog[] {
    return this.#partitions
  }

  /** Adds partitions up to a number. */
  grow(count: number): void {
    while (this.#partitions.length < count) this.#partitions.push(new PartitionLog(this.#retention))
  }

  /** @throws MillraceError MISSING_TOPIC where there is no such partition. */
  log(partition: number): PartitionLog {
    const log = this.partitions[partition]
    if (log === undefined)
      throw new MillraceError('MISSING_TOPIC', `topic '${this.name}' has no partition ${partition}`)
    return log
  }

  /**
   * The partition a record goes to.
   * @throws MillraceError MESSAGE_TOO_LARGE, MISSING_TOPIC (no such partition)
   */
  route(record: OutputRecord): PartitionLog {
    const size = BATCH_HEADER_BYTES + recordBytes(record)
    if (size > this.maxMessageBytes)
      throw new MillraceError(
        'MESSAGE_TOO_LARGE',
        `a record of ${size} bytes for topic '${this.name}', whose limit is ${this.maxMessageBytes}`,
      )
    if (record.partition !== undefined) return this.log(record.partition)
    if (record.key !== null) return this.log(partitionOf(record.key, this.partitions.length))
    return this.log(this.#next++ % this.partitions.length)
  }
}

/** Appends records to their partitions, all or none. `topicOf` throws where a topic is missing. */
export const appendAll = (
  records: readonly OutputRecord[],
  topicOf: (name: string) => Topic,
  transaction: Owner | null,
  now: number,
): readonly PartitionLog[] => {
  const byLog = new Map<PartitionLog, WireRecord[]>()
  for (const record of records) {
    const log = topicOf(record.topic).route(record)
    const there = byLog.get(log)
    if (there === undefined) byLog.set(log, [record])
    else there.push(record)
  }
  for (const [log, some] of byLog) log.append(some, transaction, now)
  return [...byLog.keys()]
}
