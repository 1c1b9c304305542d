/** Contract: transactions, what they show and what they leave, and the metadata that rides with positions. */
import { describe, expect, it } from 'vitest'
import { METADATA_LIMIT } from '../../../infra/kafka/port.ts'
import { bytes, commitBatch, type Scene, text } from './harness.ts'

export const describeDelivery = (scene: Scene): void => {
  const records = (topic: string, ...values: string[]) =>
    values.map((value) => ({ topic, partition: 0, key: null, value: bytes(value) }))

  /** A broker, an input topic with `values`, an output topic, and group options. */
  const stage = async (values: readonly string[], partitions = 1) => {
    const broker = await scene.connect()
    const input = await scene.topic(broker, 'in', partitions)
    const output = await scene.topic(broker, 'out')
    if (values.length > 0) await scene.write(broker, input, values)
    return { broker, input, output, options: { app: scene.name('app'), job: 'job', topics: [input] } }
  }

  describe('transactions', () => {
    it('show outputs and positions together, once committed', async () => {
      const { broker, input, output, options } = await stage(['a', 'b', 'c'])
      const second = await scene.topic(broker, 'out-2', 3)
      const { task, batch } = await scene.batch(scene.join(broker, options))
      expect(batch).toMatchObject({ topic: input, partition: 0, highWatermark: 3 })
      expect(batch.nextOffset).toBeGreaterThan(batch.records.at(-1)!.offset)
      await task.commit({
        outputs: [
          ...records(output, 'A', 'B'),
          { topic: second, partition: 2, key: bytes('k'), value: bytes('C') },
        ],
        positions: new Map([[input, { offset: batch.nextOffset }]]),
      })
      await scene.shows(broker, output, ['A', 'B'])
      await scene.shows(broker, second, ['C'])
      expect(await scene.readAll(broker, second)).toMatchObject([{ partition: 2, value: 'C' }])
      await scene.stands(broker, options, input, 0, { offset: batch.nextOffset, metadata: '' })
    })

    it('leave nothing when the process ends before its commit', async () => {
      const { broker, input, output, options } = await stage(['a', 'b'])
      const first = await scene.connect()
      const before = await scene.batch(scene.join(first, options))
      await first.close()
      const committed = await broker.admin.committed(options.app, options.job, [input])
      expect(committed.get(input)?.get(0)).toBeUndefined()
      const again = scene.join(broker, options, (task, batch) => commitBatch(task, batch, output))
      const after = await scene.batch(again)
      expect(after.batch.records.map(({ offset }) => offset)).toEqual(
        before.batch.records.map(({ offset }) => offset),
      )
      await scene.until('outputs', async () => (await scene.values(broker, output)).length >= 2)
      expect(await scene.values(broker, output)).toEqual(['a', 'b'])
    })

    it('leave nothing when the process dies inside its commit', async ({ skip }) => {
      const { connectDoomed } = scene.harness
      if (connectDoomed === undefined) skip('this harness has no doomed member')
      const { broker, output, options } = await stage(['a', 'b', 'c'])
      const doomed = scene.track(await connectDoomed!.call(scene.harness))
      const died = scene.join(
        doomed,
        { ...options, sessionTimeoutMs: 500, transactionTimeoutMs: 2000 },
        (task, batch) => commitBatch(task, batch, output),
      )
      await scene.batch(died)
      scene.join(broker, options, (task, batch) => commitBatch(task, batch, output))
      await scene.until('outputs', async () => (await scene.values(broker, output)).length >= 3)
      expect(await scene.values(broker, output)).toEqual(['a', 'b', 'c'])
    })

    it('hold readers back while they are open', async () => {
      const { broker, output } = await stage([])
      await scene.write(broker, output, ['before'])
      const open = await scene.harness.transaction(records(output, 'pending'))
      await scene.write(broker, output, ['after'])
      expect((await broker.admin.offsets(output))[0]?.latest).toBe(1)
      expect(await scene.values(broker, output)).toEqual(['before'])
      await open.commit()
      await scene.until(
        'the stable offset moves',
        async () => (await broker.admin.offsets(output))[0]!.latest > 2,
      )
      expect(await scene.values(broker, output)).toEqual(['before', 'pending', 'after'])
    })

    it('never show aborted records to readers or tasks, whatever lies between them', async () => {
      const { broker, input, output, options } = await stage([])
      const open = (...values: string[]) => scene.harness.transaction(records(input, ...values))
      const one = await open('no-1', 'no-2')
      await scene.write(broker, input, ['a'])
      const two = await open('b')
      const three = await open('no-3')
      await scene.write(broker, input, ['c'])
      await one.abort()
      await two.commit()
      await scene.write(broker, input, ['d'])
      await three.abort()
      const four = await open('no-4')
      await four.abort()
      await scene.write(broker, input, ['e'])
      const last = await open('no-5')
      await last.abort()
      await scene.until(
        'all decided',
        async () => (await broker.admin.offsets(input))[0]!.latest >= 10 + 5, // 10 records, 5 control records
      )
      const found = await scene.readAll(broker, input)
      expect(found.map(({ value }) => value)).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect(found.at(-1)!.offset).toBeGreaterThanOrEqual(12)
      const seen: [string, number][] = []
      scene.join(broker, { ...options, maxBatchRecords: 2 }, (task, batch) => {
        for (const { value, offset } of batch.records) seen.push([text(value), offset])
        return commitBatch(task, batch, output)
      })
      await scene.until('outputs', async () => (await scene.values(broker, output)).length >= 5)
      expect(seen).toEqual(found.map(({ value, offset }) => [value, offset]))
      expect(await scene.values(broker, output)).toEqual(['a', 'b', 'c', 'd', 'e'])
    })

    it('with a record too large are refused whole, and the batch may be committed without it', async () => {
      const { broker, input, output, options } = await stage(['a'])
      const { task, batch } = await scene.batch(scene.join(broker, options))
      const positions = new Map([[input, { offset: batch.nextOffset }]])
      const large = { topic: output, partition: 0, key: null, value: Buffer.alloc(1_100_000) }
      await scene.refused(
        task.commit({ outputs: [...records(output, 'small'), large], positions }),
        'MESSAGE_TOO_LARGE',
      )
      expect(await scene.values(broker, output)).toEqual([])
      await task.commit({ outputs: records(output, 'instead'), positions })
      await scene.shows(broker, output, ['instead'])
    })

    it('may hold more bytes than one message', async () => {
      const { broker, input, output, options } = await stage(['a'])
      const { task, batch } = await scene.batch(scene.join(broker, options))
      const value = 'x'.repeat(3000)
      await task.commit({
        outputs: records(output, ...Array<string>(1000).fill(value)),
        positions: new Map([[input, { offset: batch.nextOffset }]]),
      })
      await scene.until('outputs', async () => (await scene.values(broker, output)).length === 1000)
    })
  })

  describe('metadata', () => {
    it('rides with the position and comes back when the task is opened again', async () => {
      const { broker, input, options } = await stage(['a', 'b', 'c'])
      // Another job still needs the first record, so that its offset stays readable.
      await scene.batch(scene.join(broker, { ...options, job: 'other' }))
      const metadata = `1:${'é'.repeat((METADATA_LIMIT - 2) / 2)}`
      const first = await scene.connect()
      const { task } = await scene.batch(scene.join(first, options))
      await task.commit({ outputs: [], positions: new Map([[input, { offset: 1, metadata }]]) })
      await first.close()
      const again = await scene.batch(scene.join(await scene.connect(), options))
      expect(again.task.committed.get(input)).toEqual({ offset: 1, metadata })
      expect(again.batch.records.map(({ value }) => text(value))).toEqual(['b', 'c'])
    })

    it('of more than 512 bytes is refused before anything is sent', async () => {
      const { broker, input, output, options } = await stage(['a'])
      const { task, batch } = await scene.batch(scene.join(broker, options))
      const commit = (metadata: string) => ({
        outputs: records(output, 'A'),
        positions: new Map([[input, { offset: batch.nextOffset, metadata }]]),
      })
      const tooLong = 'é'.repeat(METADATA_LIMIT / 2 + 1)
      await scene.refused(task.commit(commit(tooLong)), 'METADATA_TOO_LARGE')
      await scene.refused(task.checkpoint(commit(tooLong)), 'METADATA_TOO_LARGE')
      expect(await broker.admin.offsets(output)).toEqual([{ partition: 0, earliest: 0, latest: 0 }])
      await task.commit(commit('short'))
      await scene.shows(broker, output, ['A'])
    })
  })

  describe('pull', () => {
    it('gives no second batch before the first is committed or released', async () => {
      const { broker, input, options } = await stage(Array.from({ length: 20 }, (_, index) => `v${index}`))
      const member = scene.join(broker, { ...options, maxBatchRecords: 5 })
      const { task, batch } = await scene.batch(member)
      expect(batch.records.length).toBeLessThanOrEqual(5)
      // While another group's task goes through the whole topic, this one gets nothing more.
      let others = 0
      scene.join(await scene.connect(), { ...options, job: 'other' }, async (task, batch) => {
        others += batch.records.length
        await commitBatch(task, batch)
      })
      await scene.until('the other job is through', () => others === 20)
      expect(member.batches).toHaveLength(1)
      task.release()
      const second = await scene.batch(member, 2)
      expect(second.batch.records[0]?.offset).toBe(batch.records.at(-1)!.offset + 1)
      await commitBatch(task, second.batch)
      await scene.batch(member, 3)
      await scene.stands(broker, options, input, 0, { offset: second.batch.nextOffset, metadata: '' })
    })

    it('keeps the batch open over a checkpoint', async () => {
      const { broker, input, output, options } = await stage(['a', 'b', 'c'])
      const member = scene.join(broker, { ...options, maxBatchRecords: 1 })
      const { task, batch } = await scene.batch(member)
      await task.checkpoint({
        outputs: records(output, 'plan'),
        positions: new Map([[input, { offset: 0, metadata: 'planned' }]]),
      })
      await scene.stands(broker, options, input, 0, { offset: 0, metadata: 'planned' })
      await scene.shows(broker, output, ['plan'])
      expect(member.batches).toHaveLength(1)
      await commitBatch(task, batch)
      expect(text((await scene.batch(member, 2)).batch.records[0]!.value)).toBe('b')
    })
  })
}
