/**
 * Bytes of records as Kafka lays them out (record batches of magic 2, uncompressed): what `max.message.bytes` is held against, and how large a
 * buffer an encoder needs.
 */
import type { WireRecord } from './port.ts'

/** A record batch's bytes before its records. */
export const BATCH_HEADER_BYTES = 61

/** Bytes of a whole number as a zig-zag varint, exact up to 2^52. */
export const varintBytes = (value: number): number => {
  let bytes = 1
  for (let rest = value < 0 ? -2 * value - 1 : 2 * value; rest > 0x7f; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

const fieldBytes = (field: Uint8Array | null): number =>
  field === null ? 1 : varintBytes(field.length) + field.length

/** Bytes of a record behind its own length. The deltas are those to its batch; a record alone in one has none. */
export const bodyBytes = (
  { key, value, headers }: Pick<WireRecord, 'key' | 'value' | 'headers'>,
  timestampDelta = 0,
  offsetDelta = 0,
): number => {
  let bytes = 1 + varintBytes(timestampDelta) + varintBytes(offsetDelta) + fieldBytes(key) + fieldBytes(value)
  let count = 0
  for (const name in headers) {
    const length = Buffer.byteLength(name)
    bytes += varintBytes(length) + length + fieldBytes(headers[name]!)
    count++
  }
  return bytes + varintBytes(count)
}

/** Bytes of a record that is alone in its batch, less the batch's header. */
export const recordBytes = (record: Pick<WireRecord, 'key' | 'value' | 'headers'>): number => {
  const body = bodyBytes(record)
  return varintBytes(body) + body
}
