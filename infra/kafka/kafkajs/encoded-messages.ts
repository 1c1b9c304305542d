/**
 * Records encoded before kafkajs sees them. Its own encoder makes arrays a varint and a buffer a record, and it groups messages by partition
 * by copying the group for every one of them: a third of the work of a transactional hop. What it asks of a topic's messages is little
 * (`find` one without a value, `reduce` them to partitions, then the `length` of each and two `map`s), so objects that answer these with
 * records already encoded take their place. Bytes: the records of a batch of magic 2, the Kafka protocol's Record.
 */
import type { PackedRecord } from '../adapter/packing.ts'
import { bodyBytes, varintBytes } from '../record-size.ts'

/** Writes zig-zag varints and fields into a buffer that is known to be large enough. */
class Writer {
  readonly bytes: Buffer
  at = 0

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size)
  }

  /** A whole number, exact up to 2^52. */
  varint(value: number): void {
    const { bytes } = this
    let rest = value < 0 ? -2 * value - 1 : 2 * value
    while (rest >= 2 ** 31) {
      bytes[this.at++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    while (rest > 0x7f) {
      bytes[this.at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    bytes[this.at++] = rest
  }

  field(field: Buffer | null): void {
    if (field === null) {
      this.varint(-1)
      return
    }
    this.varint(field.length)
    this.bytes.set(field, this.at)
    this.at += field.length
  }
}

const write = (
  to: Writer,
  { key, value, headers }: PackedRecord,
  timestampDelta: number,
  offsetDelta: number,
): void => {
  to.bytes[to.at++] = 0
  to.varint(timestampDelta)
  to.varint(offsetDelta)
  to.field(key)
  to.field(value)
  const names = headers === undefined ? [] : Object.keys(headers)
  to.varint(names.length)
  for (const name of names) {
    to.field(Buffer.from(name))
    to.field(headers![name]!)
  }
}

/** The records of one partition: to kafkajs, its messages. */
class PartitionMessages {
  readonly length: number
  private readonly timestamps: readonly [first: number, largest: number]
  private readonly encoded: Buffer

  /** @param now the timestamp of records that have none. */
  constructor(records: readonly PackedRecord[], now: number) {
    this.length = records.length
    let first = Number.POSITIVE_INFINITY
    let largest = Number.NEGATIVE_INFINITY
    for (const { timestamp = now } of records) {
      if (timestamp < first) first = timestamp
      if (timestamp > largest) largest = timestamp
    }
    this.timestamps = [first, largest]
    const sizes = records.map((record, i) => bodyBytes(record, (record.timestamp ?? now) - first, i))
    const writer = new Writer(sizes.reduce((sum, size) => sum + varintBytes(size) + size, 0))
    for (const [i, record] of records.entries()) {
      writer.varint(sizes[i]!)
      write(writer, record, (record.timestamp ?? now) - first, i)
    }
    this.encoded = writer.bytes
  }

  /**
   * kafkajs maps twice: to the timestamps, of which it wants the first and the largest after filtering and sorting, and (with an index) to
   * encoded records, of which it wants the number and the bytes: here in the first place of an otherwise empty array.
   */
  map(callback: (...values: never[]) => unknown): unknown {
    if (callback.length === 1) return { filter: () => ({ sort: () => this.timestamps }) }
    const records = new Array<{ buf: Buffer; buffer: Buffer }>(this.length)
    records[0] = { buf: this.encoded, buffer: this.encoded }
    return records
  }
}

/** The records of one topic in a request: to kafkajs, its messages. */
export class TopicMessages {
  private readonly partitions: Readonly<Record<number, PartitionMessages>>

  constructor(records: readonly PackedRecord[], now: number) {
    const groups = new Map<number, PackedRecord[]>()
    for (const record of records) {
      const group = groups.get(record.partition)
      if (group === undefined) groups.set(record.partition, [record])
      else group.push(record)
    }
    this.partitions = Object.fromEntries(
      [...groups].map(([partition, group]) => [partition, new PartitionMessages(group, now)]),
    )
  }

  /** kafkajs looks for a message without a value: there is none, a tombstone's being null. */
  find(): undefined {
    return undefined
  }

  /** kafkajs reduces the messages to a list for each partition. */
  reduce(): Readonly<Record<number, PartitionMessages>> {
    return this.partitions
  }
}
