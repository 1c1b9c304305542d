/** Contract: what a record is after it travelled. */
import { describe, expect, it } from 'vitest'
import { partitionOf } from '../../../infra/kafka/partitioner.ts'
import type { ConsumedRecord, OutputRecord } from '../../../infra/kafka/port.ts'
import { bytes, type Scene, text } from './harness.ts'

/** Larger than Kafka's default limit of one message. */
const OVERSIZE = 1_100_000

export const describeRecords = (scene: Scene): void => {
  describe('records', () => {
    /** Writes the records, reads the whole topic back. */
    const travel = async (partitions: number, records: readonly Omit<OutputRecord, 'topic'>[]) => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'records', partitions)
      const writer = await broker.writer()
      await writer.send(records.map((record) => ({ ...record, topic })))
      await writer.close()
      const back: (ConsumedRecord & { partition: number })[] = []
      const offsets = await broker.admin.offsets(topic)
      await broker.read(
        { topic, to: new Map(offsets.map(({ partition, latest }) => [partition, latest])) },
        (batch) => {
          for (const record of batch.records) back.push({ ...record, partition: batch.partition })
        },
      )
      return back
    }

    it('keep their order within a partition', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'ordered')
      const values = Array.from({ length: 300 }, (_, index) => `v${index}`)
      for (let at = 0; at < 300; at += 100) await scene.write(broker, topic, values.slice(at, at + 100))
      const records = await scene.readAll(broker, topic)
      expect(records.map(({ value }) => value)).toEqual(values)
      expect(records.map(({ offset }) => offset)).toEqual(values.map((_, index) => index))
    })

    it('go to the partition that murmur2 gives their key', async () => {
      const keys = Array.from({ length: 40 }, (_, index) => `key-${index}`)
      const back = await travel(
        4,
        keys.map((key) => ({ key: bytes(key), value: bytes(key) })),
      )
      expect(back.map(({ key }) => text(key)).sort()).toEqual([...keys].sort())
      for (const { key, partition } of back) expect(partition, text(key)).toBe(partitionOf(key!, 4))
    })

    it('go to the partition they name, whatever their key', async () => {
      const [record] = await travel(4, [{ key: bytes('key-0'), value: bytes('x'), partition: 3 }])
      expect(record?.partition).toBe(3)
    })

    it('keep null and empty apart, in keys and values', async () => {
      const back = await travel(1, [
        { partition: 0, key: null, value: bytes('no key') },
        { partition: 0, key: bytes('no value'), value: null },
        { partition: 0, key: Buffer.alloc(0), value: Buffer.alloc(0) },
      ])
      expect(back.map(({ key }) => key?.toString() ?? null)).toEqual([null, 'no value', ''])
      expect(back.map(({ value }) => value?.toString() ?? null)).toEqual(['no key', null, ''])
    })

    it('keep headers, timestamps and every byte', async () => {
      const every = Buffer.from(Uint8Array.from({ length: 256 }, (_, index) => index))
      const [record, plain] = await travel(1, [
        {
          partition: 0,
          key: every,
          value: every,
          timestamp: 1_700_000_000_123,
          headers: { trace: every, empty: Buffer.alloc(0) },
        },
        { partition: 0, key: null, value: bytes('now') },
      ])
      expect(record?.key?.equals(every)).toBe(true)
      expect(record?.value?.equals(every)).toBe(true)
      expect(record?.timestamp).toBe(1_700_000_000_123)
      expect(Object.keys(record?.headers ?? {}).sort()).toEqual(['empty', 'trace'])
      expect(record?.headers?.['trace']?.equals(every)).toBe(true)
      expect(record?.headers?.['empty']?.length).toBe(0)
      expect(plain?.timestamp).toBeGreaterThan(1_600_000_000_000)
    })

    it('are bytes: neither side sees what the other does to its buffers afterwards', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'bytes')
      const value = bytes('written')
      const writer = await broker.writer()
      await writer.send([{ topic, key: value, value, headers: { header: value } }])
      value.fill(0)
      const read = async (): Promise<ConsumedRecord> => {
        const records: ConsumedRecord[] = []
        await broker.read({ topic, to: new Map([[0, 1]]) }, (batch) => {
          records.push(...batch.records)
        })
        return records[0]!
      }
      const first = await read()
      expect([first.key, first.value, first.headers?.['header'] ?? null].map(text)).toEqual(
        Array(3).fill('written'),
      )
      first.value?.fill(0)
      first.headers?.['header']?.fill(0)
      const second = await read()
      expect(text(second.value)).toBe('written')
      expect(text(second.headers?.['header'] ?? null)).toBe('written')
    })

    it('are refused with MESSAGE_TOO_LARGE above the topic’s limit', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'large')
      const writer = await broker.writer()
      await scene.refused(
        writer.send([{ topic, key: null, value: Buffer.alloc(OVERSIZE) }]),
        'MESSAGE_TOO_LARGE',
      )
      await writer.send([{ topic, key: null, value: Buffer.alloc(OVERSIZE - 100_000) }])
      expect(await scene.readAll(broker, topic)).toHaveLength(1)
    })

    it('follow a topic’s own limit', async () => {
      const broker = await scene.connect()
      const topic = scene.name('limited')
      await broker.admin.create([{ topic, partitions: 1, config: { 'max.message.bytes': '2000' } }])
      const writer = await broker.writer()
      await scene.refused(writer.send([{ topic, key: null, value: Buffer.alloc(2000) }]), 'MESSAGE_TOO_LARGE')
      await writer.send([{ topic, key: null, value: Buffer.alloc(1900) }])
      expect(await scene.readAll(broker, topic)).toHaveLength(1)
    })

    it('may be more than one message’s limit together', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'many')
      const writer = await broker.writer()
      await writer.send(
        Array.from({ length: 1000 }, () => ({ topic, partition: 0, key: null, value: Buffer.alloc(3000) })),
      )
      expect(await scene.readAll(broker, topic)).toHaveLength(1000)
    })

    it('are refused where their topic is missing', async () => {
      const broker = await scene.connect()
      const writer = await broker.writer()
      await scene.refused(
        writer.send([{ topic: scene.name('absent'), key: null, value: bytes('x') }]),
        'MISSING_TOPIC',
      )
    })
  })
}
