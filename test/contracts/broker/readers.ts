/** Contract: reading without a committed position. */
import { describe, expect, it } from 'vitest'
import type { Batch } from '../../../infra/kafka/port.ts'
import { bytes, type Scene, text } from './harness.ts'

export const describeReaders = (scene: Scene): void => {
  describe('readers', () => {
    /** A topic with values at 0, 1, 4, 6 and 9: aborted and control records lie between. */
    const gapped = async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'gapped')
      const transaction = (...values: string[]) =>
        scene.harness.transaction(
          values.map((value) => ({ topic, partition: 0, key: null, value: bytes(value) })),
        )
      await scene.write(broker, topic, ['v0', 'v1'])
      await (await transaction('aborted')).abort() // 2, control 3
      await scene.until('3 is decided', async () => (await broker.admin.offsets(topic))[0]!.latest === 4)
      await (await transaction('v4')).commit() // 4, control 5
      await scene.until('5 is decided', async () => (await broker.admin.offsets(topic))[0]!.latest === 6)
      await scene.write(broker, topic, ['v6'])
      await (await transaction('aborted')).abort() // 7, control 8
      await scene.until('8 is decided', async () => (await broker.admin.offsets(topic))[0]!.latest === 9)
      await scene.write(broker, topic, ['v9'])
      await (await transaction('aborted')).abort() // 10, control 11
      await scene.until('11 is decided', async () => (await broker.admin.offsets(topic))[0]!.latest === 12)
      return { broker, topic }
    }

    it('read exactly from and to, wherever the gaps lie', async () => {
      const { broker, topic } = await gapped()
      const present = [0, 1, 4, 6, 9]
      for (const [from, to] of [
        [0, 12],
        [0, 10],
        [0, 11],
        [2, 6],
        [3, 8],
        [1, 4],
        [4, 5],
        [7, 9],
        [10, 12],
        [9, 10],
        [5, 5],
      ] as const) {
        const offsets: number[] = []
        await broker.read(
          { topic, from: new Map([[0, from]]), to: new Map([[0, to]]), maxBatchRecords: 2 },
          (batch) => {
            expect(batch.nextOffset).toBeGreaterThan(batch.records.at(-1)!.offset)
            for (const { offset, value } of batch.records) {
              expect(text(value)).toBe(`v${offset}`)
              offsets.push(offset)
            }
          },
        )
        expect(offsets, `[${from}, ${to})`).toEqual(present.filter((at) => at >= from && at < to))
      }
    })

    it('complete at once on what is empty', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'empty', 2)
      expect(await scene.readAll(broker, topic)).toEqual([])
    })

    it('read only the partitions they name', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'some', 3)
      for (const partition of [0, 1, 2]) await scene.write(broker, topic, [`v${partition}`], partition)
      const seen: string[] = []
      await broker.read({ topic, from: new Map([[1, 0]]), to: new Map([[1, 1]]) }, (batch) => {
        seen.push(...batch.records.map(({ value }) => text(value)))
      })
      expect(seen).toEqual(['v1'])
    })

    it('wait for each batch, follow what is written later, and end when told', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'followed', 2)
      await scene.write(broker, topic, ['a', 'b', 'c'], 0)
      const end = new AbortController()
      const seen: string[] = []
      let busy = 0
      let atOnce = 0
      const each = async (batch: Batch): Promise<void> => {
        atOnce = Math.max(atOnce, ++busy)
        await new Promise((resolve) => setImmediate(resolve))
        seen.push(...batch.records.map(({ value }) => text(value)))
        busy--
      }
      const reading = broker.read({ topic, maxBatchRecords: 1 }, each, end.signal)
      await scene.until('what was there', () => seen.length === 3)
      await scene.write(broker, topic, ['d'], 1)
      await scene.write(broker, topic, ['e'], 0)
      await scene.until('what came later', () => seen.length === 5)
      end.abort()
      await reading
      expect(seen.filter((value) => value !== 'd')).toEqual(['a', 'b', 'c', 'e'])
      expect(atOnce).toBe(1)
    })

    it('wait for an end that is not written yet', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'ahead')
      await scene.write(broker, topic, ['a'])
      const seen: string[] = []
      const reading = broker.read({ topic, to: new Map([[0, 2]]) }, (batch) => {
        seen.push(...batch.records.map(({ value }) => text(value)))
      })
      await scene.until('the first', () => seen.length === 1)
      await scene.write(broker, topic, ['b', 'c'])
      await reading
      expect(seen).toEqual(['a', 'b'])
    })

    it('commit nothing and take nothing from a job', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'shared')
      await scene.write(broker, topic, ['a'])
      expect(await scene.values(broker, topic)).toEqual(['a'])
      expect(await scene.values(broker, topic)).toEqual(['a'])
      const options = { app: scene.name('app'), job: 'job', topics: [topic] }
      expect((await scene.batch(scene.join(broker, options))).batch.records).toHaveLength(1)
    })

    it('fail when `each` fails', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'failing')
      await scene.write(broker, topic, ['a'])
      const reading = broker.read({ topic }, () => Promise.reject(new Error('of the reader')))
      await expect(reading).rejects.toThrow('of the reader')
    })

    it('say OFFSET_OUT_OF_RANGE below what is still there, and never jump', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'cut')
      await scene.write(broker, topic, ['a', 'b', 'c', 'd'])
      await scene.harness.deleteRecords(topic, 0, 2)
      const seen: string[] = []
      const read = (from?: number) =>
        broker.read(
          { topic, ...(from === undefined ? {} : { from: new Map([[0, from]]) }), to: new Map([[0, 4]]) },
          (batch) => {
            seen.push(...batch.records.map(({ value }) => text(value)))
          },
        )
      await scene.refused(read(1), 'OFFSET_OUT_OF_RANGE')
      expect(seen).toEqual([])
      await read(2)
      expect(seen).toEqual(['c', 'd'])
      await read()
      expect(seen).toEqual(['c', 'd', 'c', 'd'])
    })

    it('name a missing topic', async () => {
      const broker = await scene.connect()
      await scene.refused(
        broker.read({ topic: scene.name('absent') }, () => undefined),
        'MISSING_TOPIC',
      )
    })
  })
}
