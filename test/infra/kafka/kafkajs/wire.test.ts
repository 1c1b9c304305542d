import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PackedRecord } from '../../../../infra/kafka/adapter/packing.ts'
import { TopicMessages } from '../../../../infra/kafka/kafkajs/encoded-messages.ts'
import {
  answerFetchesAsBatches,
  decodeFetchResponse,
  FETCH_API_KEY,
  FETCH_VERSION,
} from '../../../../infra/kafka/kafkajs/fetch-response.ts'

interface Encoder {
  readonly buffer: Buffer
}
interface Messages {
  readonly length: number
  map(callback: (message: never, index: number) => unknown): unknown
}

const require = createRequire(import.meta.url)
const encodeRecord: (record: object) => Encoder = require('kafkajs/src/protocol/recordBatch/record/v0')
const {
  RecordBatch,
}: { RecordBatch: (batch: object) => Promise<Encoder> } = require('kafkajs/src/protocol/recordBatch/v0')

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const record: fc.Arbitrary<PackedRecord> = fc.record(
  {
    key: fc.option(bytes),
    value: fc.option(bytes),
    partition: fc.constant(0),
    timestamp: fc.oneof(
      fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
      fc.integer({ min: 0, max: 2 ** 42 }),
    ),
    headers: fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), bytes, {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  },
  { requiredKeys: ['key', 'value', 'partition', 'timestamp'] },
)
const records = fc.array(record, { minLength: 1, maxLength: 40 })

const encoded = (given: readonly PackedRecord[]) => {
  const messages = new TopicMessages(given, 5).reduce()[0] as unknown as Messages
  const timestamps = messages.map((_message) => undefined) as {
    filter(): { sort(): readonly [number, number] }
  }
  const [first, largest] = timestamps.filter().sort()
  const list = messages.map((_message, _index) => undefined) as { buf: Buffer; buffer: Buffer }[]
  return { first, largest, list, length: messages.length }
}

/** A Fetch response, version 11, with one partition that holds these batches. */
const response = (batches: Buffer): Buffer => {
  const head = Buffer.alloc(4 + 2 + 4 + 4 + 2 + 1 + 4 + 4 + 2 + 24)
  let at = head.writeInt32BE(0, 0)
  at = head.writeInt16BE(0, at)
  at = head.writeInt32BE(0, at)
  at = head.writeInt32BE(1, at)
  at = head.writeInt16BE(1, at)
  at = head.write('t', at) + at
  at = head.writeInt32BE(1, at)
  at = head.writeInt32BE(3, at)
  at = head.writeInt16BE(0, at)
  at = head.writeBigInt64BE(2n ** 40n, at)
  at = head.writeBigInt64BE(77n, at)
  head.writeBigInt64BE(0n, at)
  const tail = Buffer.alloc(12)
  tail.writeInt32BE(-1, 0)
  tail.writeInt32BE(batches.length, 8)
  return Buffer.concat([head, tail, batches])
}

const batchOf = async (given: readonly PackedRecord[], extra: object = {}): Promise<Buffer> => {
  const { first, largest, list, length } = encoded(given)
  const batch = await RecordBatch({
    records: list,
    firstTimestamp: first,
    maxTimestamp: largest,
    lastOffsetDelta: length - 1,
    ...extra,
  })
  return batch.buffer
}

test("records are encoded to kafkajs's own bytes", () => {
  fc.assert(
    fc.property(records, (given) => {
      const { first, largest, list, length } = encoded(given)
      expect(length).toBe(given.length)
      expect(first).toBe(Math.min(...given.map(({ timestamp }) => timestamp!)))
      expect(largest).toBe(Math.max(...given.map(({ timestamp }) => timestamp!)))
      const theirs = given.map(
        ({ timestamp, ...rest }, offsetDelta) =>
          encodeRecord({ ...rest, offsetDelta, timestampDelta: timestamp! - first }).buffer,
      )
      expect(
        Buffer.concat(list.filter(() => true).map(({ buffer }) => buffer)).equals(Buffer.concat(theirs)),
      ).toBe(true)
    }),
  )
})

test('what is encoded is decoded again, with offsets, timestamps and headers', async () => {
  await fc.assert(
    fc.asyncProperty(records, async (given) => {
      const { responses } = await decodeFetchResponse(response(await batchOf(given)))
      const [partition] = responses[0]!.partitions
      expect(partition).toMatchObject({
        partition: 3,
        highWatermark: 2 ** 40,
        lastStableOffset: 77,
        abortedTransactions: [],
      })
      expect(partition!.batches).toHaveLength(1)
      expect(partition!.batches[0]).toMatchObject({
        firstOffset: 0,
        nextOffset: given.length,
        control: null,
        inTransaction: false,
      })
      expect(partition!.batches[0]!.records).toEqual(
        given.map(({ partition: _partition, headers, ...rest }, offset) => ({
          ...rest,
          offset,
          ...(headers === undefined || Object.keys(headers).length === 0 ? {} : { headers }),
        })),
      )
    }),
  )
})

test('a batch cut by the limit of the response is left for the next fetch, and one that is transactional says so', async () => {
  const one = [{ key: null, value: Buffer.from('v'), partition: 0, timestamp: 1 }]
  const whole = await batchOf(one, { transactional: true, producerId: 9 })
  const { responses } = await decodeFetchResponse(
    response(Buffer.concat([whole, whole.subarray(0, whole.length - 1)])),
  )
  const { batches } = responses[0]!.partitions[0]!
  expect(batches).toHaveLength(1)
  expect(batches[0]).toMatchObject({ inTransaction: true, producerId: 9n })
})

test('compressed batches are read', async () => {
  const given = Array.from({ length: 50 }, (_, i) => ({
    key: null,
    value: Buffer.from(`value ${i}`),
    partition: 0,
    timestamp: 1_000 + i,
  }))
  const list = given.map(({ timestamp, ...rest }, offsetDelta) =>
    encodeRecord({ ...rest, offsetDelta, timestampDelta: timestamp - 1_000 }),
  )
  const batch = await RecordBatch({
    records: list,
    compression: 1,
    firstTimestamp: 1_000,
    maxTimestamp: 1_049,
    lastOffsetDelta: 49,
  })
  const { responses } = await decodeFetchResponse(response(batch.buffer))
  expect(responses[0]!.partitions[0]!.batches[0]!.records.map(({ value }) => String(value))).toEqual(
    given.map(({ value }) => String(value)),
  )
})

test('a broker that has connected again has its fetches decoded here too', () => {
  const protocol = { request: { apiVersion: FETCH_VERSION }, response: { decode: 'by kafkajs' } }
  const connected = () => (_apiKey: number) => () => protocol
  const broker = { lookupRequest: connected() }
  for (let connections = 0; connections < 2; connections++) {
    broker.lookupRequest = connected()
    for (let fetches = 0; fetches < 2; fetches++) {
      answerFetchesAsBatches(broker)
      expect(broker.lookupRequest(FETCH_API_KEY)()).toMatchObject({
        response: { decode: decodeFetchResponse },
      })
    }
  }
})
