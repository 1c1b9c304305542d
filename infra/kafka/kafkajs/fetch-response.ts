/**
 * The answer to a fetch, read straight into the port's records. kafkajs makes a dozen objects a record on the way (decoders, big
 * integers, decimal strings); here it is one, and keys and values are views of the received buffer. Layout: the Kafka protocol's Fetch
 * response, version 11, and record batches of magic 2; an older message set, which no broker since Kafka 1.0 writes, is refused.
 */
import kafkajs from 'kafkajs'
import { MillraceError } from '../../../schemas/errors.ts'
import type { ConsumedRecord } from '../port.ts'

/** The version that is asked for and read: known to every broker since Kafka 2.3. */
export const FETCH_VERSION = 11
export const FETCH_API_KEY = 1

/** Consecutive records of one producer. */
export interface RecordBatch {
  readonly producerId: bigint
  readonly firstOffset: number
  /** Offset after the batch, records removed by compaction included. */
  readonly nextOffset: number
  readonly inTransaction: boolean
  /** What a control batch says; null for records. */
  readonly control: 'commit' | 'abort' | 'other' | null
  readonly records: readonly ConsumedRecord[]
}

export interface FetchedPartition {
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly abortedTransactions: readonly { readonly producerId: bigint; readonly firstOffset: number }[]
  readonly batches: readonly RecordBatch[]
}

export interface FetchResponse {
  readonly errorCode: number
  readonly responses: readonly {
    readonly topicName: string
    readonly partitions: readonly FetchedPartition[]
  }[]
}

const TIMESTAMP_OF_LOG = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const COMPRESSION = 0x07
/** Bytes from a batch's first offset up to the end of its length. */
const BATCH_PREFIX = 12
/** Bytes of a batch before its records. */
const BATCH_HEADER = 61

/** A cursor over the response. */
class Reader {
  readonly bytes: Buffer
  at: number

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  int16(): number {
    this.at += 2
    return this.bytes.readInt16BE(this.at - 2)
  }

  int32(): number {
    this.at += 4
    return this.bytes.readInt32BE(this.at - 4)
  }

  /** Exact up to 2^53. */
  int64(): number {
    this.at += 8
    return this.bytes.readInt32BE(this.at - 8) * 2 ** 32 + this.bytes.readUInt32BE(this.at - 4)
  }

  bigint64(): bigint {
    this.at += 8
    return this.bytes.readBigInt64BE(this.at - 8)
  }

  text(): string {
    const length = this.int16()
    this.at += length
    return this.bytes.toString('utf8', this.at - length, this.at)
  }

  array<T>(item: () => T): T[] {
    const items: T[] = []
    for (let left = this.int32(); left > 0; left--) items.push(item())
    return items
  }

  /** A zig-zag varint, exact up to 2^53. */
  varint(): number {
    const { bytes } = this
    let byte = bytes[this.at++]!
    let value = byte & 0x7f
    let shift = 7
    while (byte > 0x7f && shift < 28) {
      byte = bytes[this.at++]!
      value |= (byte & 0x7f) << shift
      shift += 7
    }
    if (byte <= 0x7f) return (value >>> 1) ^ -(value & 1)
    let scale = 2 ** 28
    while (byte > 0x7f) {
      byte = bytes[this.at++]!
      value += (byte & 0x7f) * scale
      scale *= 128
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** Bytes under a varint length, null where that is -1. */
  field(): Buffer | null {
    const length = this.varint()
    if (length < 0) return null
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }
}

/** @throws RangeError for bytes that do not hold together, MillraceError KAFKA_UNAVAILABLE for what is not read here. */
export const decodeFetchResponse = async (raw: Buffer): Promise<FetchResponse> => {
  const reader = new Reader(raw)
  reader.int32()
  const errorCode = reader.int16()
  reader.int32()
  const responses: { topicName: string; partitions: FetchedPartition[] }[] = []
  for (let topics = reader.int32(); topics > 0; topics--) {
    const topicName = reader.text()
    const partitions: FetchedPartition[] = []
    for (let left = reader.int32(); left > 0; left--) partitions.push(await partitionOf(reader))
    responses.push({ topicName, partitions })
  }
  return { errorCode, responses }
}

const partitionOf = async (reader: Reader): Promise<FetchedPartition> => {
  const partition = reader.int32()
  const errorCode = reader.int16()
  const highWatermark = reader.int64()
  const lastStableOffset = reader.int64()
  reader.int64()
  const abortedTransactions = reader.array(() => ({
    producerId: reader.bigint64(),
    firstOffset: reader.int64(),
  }))
  reader.int32()
  const size = reader.int32()
  const end = reader.at + Math.max(0, size)
  const batches: RecordBatch[] = []
  // The last batch may be cut where the response reached its limit: it is fetched again.
  while (end - reader.at >= BATCH_HEADER) {
    const next = reader.at + BATCH_PREFIX + reader.bytes.readInt32BE(reader.at + 8)
    if (next > end) break
    batches.push(await batchOf(reader, next))
    reader.at = next
  }
  reader.at = end
  return { partition, errorCode, highWatermark, lastStableOffset, abortedTransactions, batches }
}

const batchOf = async (reader: Reader, end: number): Promise<RecordBatch> => {
  const firstOffset = reader.int64()
  reader.at += 8
  const magic = reader.bytes.readInt8(reader.at)
  if (magic !== 2) {
    throw new MillraceError(
      'KAFKA_UNAVAILABLE',
      `a record batch has magic ${magic}: brokers before Kafka 1.0 are not supported`,
    )
  }
  reader.at += 5
  const attributes = reader.int16()
  const nextOffset = firstOffset + reader.int32() + 1
  const firstTimestamp = reader.int64()
  const maxTimestamp = reader.int64()
  const producerId = reader.bigint64()
  reader.at += 6
  const count = reader.int32()
  const context = { producerId, firstOffset, nextOffset, inTransaction: (attributes & TRANSACTIONAL) !== 0 }
  const codec = attributes & COMPRESSION
  const records =
    codec === 0 ? reader : new Reader(await decompressed(codec, reader.bytes.subarray(reader.at, end)))
  const read = readRecords(
    records,
    count,
    firstOffset,
    firstTimestamp,
    attributes & TIMESTAMP_OF_LOG ? maxTimestamp : null,
  )
  if ((attributes & CONTROL) === 0) return { ...context, control: null, records: read }
  const type = read[0]?.key?.readInt16BE(2)
  return { ...context, control: type === 0 ? 'abort' : type === 1 ? 'commit' : 'other', records: [] }
}

const decompressed = (codec: number, bytes: Buffer): Promise<Buffer> => {
  const make = (
    kafkajs.CompressionCodecs as Record<number, () => { decompress(bytes: Buffer): Promise<Buffer> }>
  )[codec]
  if (make === undefined)
    throw new MillraceError('KAFKA_UNAVAILABLE', `compression codec ${codec} is not supported`)
  return make().decompress(bytes)
}

const readRecords = (
  reader: Reader,
  count: number,
  firstOffset: number,
  firstTimestamp: number,
  logTimestamp: number | null,
): ConsumedRecord[] => {
  const records: ConsumedRecord[] = new Array(count)
  for (let i = 0; i < count; i++) {
    const length = reader.varint()
    const end = reader.at + length
    reader.at++
    const timestamp = firstTimestamp + reader.varint()
    const offset = firstOffset + reader.varint()
    const key = reader.field()
    const value = reader.field()
    const headers = reader.varint()
    const record = { key, value, timestamp: logTimestamp ?? timestamp, offset }
    records[i] = headers > 0 ? { ...record, headers: readHeaders(reader, headers) } : record
    reader.at = end
  }
  return records
}

/** Headers by name; of equal names the last counts. */
const readHeaders = (reader: Reader, count: number): Record<string, Buffer> => {
  const headers: Record<string, Buffer> = {}
  for (let i = 0; i < count; i++) {
    const name = String(reader.field())
    headers[name] = reader.field() ?? Buffer.alloc(0)
  }
  return headers
}

interface Protocol {
  readonly request: { readonly apiVersion: number }
  readonly response: {
    readonly decode: (raw: Buffer) => Promise<unknown>
    readonly parse: (data: unknown) => Promise<unknown>
  }
}

/** A broker of kafkajs's, as far as it is reached into. */
interface Reached {
  lookupRequest: (apiKey: number, definition: unknown) => (options: unknown) => Protocol
}

/** Look-ups of ours. A broker that connects again gets a new one of kafkajs's. */
const ours = new WeakSet<object>()

/**
 * Has a broker's fetches answered as FetchResponse, until it connects again: to be called before each fetch. kafkajs looks the request up
 * at each call, which is where its decoder is replaced; its own check of the error codes stays.
 */
export const answerFetchesAsBatches = (broker: object): void => {
  const target = broker as Reached
  const lookup = target.lookupRequest
  if (ours.has(lookup)) return
  target.lookupRequest = (apiKey, definition) => {
    const make = lookup(apiKey, definition)
    if (apiKey !== FETCH_API_KEY) return make
    return (options) => {
      const protocol = make(options)
      if (protocol.request.apiVersion !== FETCH_VERSION) {
        throw new MillraceError(
          'KAFKA_UNAVAILABLE',
          `the broker speaks Fetch version ${protocol.request.apiVersion}: Kafka 2.3 or later is needed`,
        )
      }
      return { ...protocol, response: { ...protocol.response, decode: decodeFetchResponse } }
    }
  }
  ours.add(target.lookupRequest)
}
