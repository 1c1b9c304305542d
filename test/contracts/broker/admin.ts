/** Contract: topics, offsets and committed positions. */
import { describe, expect, it } from 'vitest'
import { commitBatch, type Scene } from './harness.ts'

export const describeAdmin = (scene: Scene): void => {
  describe('admin', () => {
    it('creates topics with their partitions, and leaves existing ones as they are', async () => {
      const broker = await scene.connect()
      const [one, two] = [scene.name('one'), scene.name('two')]
      await broker.admin.create([{ topic: one, partitions: 3 }])
      await broker.admin.create([
        { topic: one, partitions: 7 },
        { topic: two, partitions: 2, config: { 'cleanup.policy': 'compact' } },
      ])
      const found = await broker.admin.describe([one, two, scene.name('absent')])
      expect(found.map(({ topic, partitions }) => ({ topic, partitions })).sort(byTopic)).toEqual(
        [
          { topic: one, partitions: 3 },
          { topic: two, partitions: 2 },
        ].sort(byTopic),
      )
    })

    it('describes all topics where none is named', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'listed', 2)
      expect((await broker.admin.describe()).find((each) => each.topic === topic)?.partitions).toBe(2)
    })

    it('gives the offsets of every partition', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'counted', 3)
      await scene.write(broker, topic, ['a', 'b'], 0)
      await scene.write(broker, topic, ['c'], 2)
      const offsets = (await broker.admin.offsets(topic)).toSorted((a, b) => a.partition - b.partition)
      expect(offsets).toEqual([
        { partition: 0, earliest: 0, latest: 2 },
        { partition: 1, earliest: 0, latest: 0 },
        { partition: 2, earliest: 0, latest: 1 },
      ])
    })

    it('moves the earliest offset when records are deleted', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'shortened')
      await scene.write(broker, topic, ['a', 'b', 'c'])
      await scene.harness.deleteRecords(topic, 0, 2)
      expect(await broker.admin.offsets(topic)).toEqual([{ partition: 0, earliest: 2, latest: 3 }])
    })

    it('names a missing topic', async () => {
      const broker = await scene.connect()
      await scene.refused(broker.admin.offsets(scene.name('absent')), 'MISSING_TOPIC')
    })

    it('gives committed positions by topic and partition, and none where nothing was committed', async () => {
      const broker = await scene.connect()
      const topic = await scene.topic(broker, 'in', 2)
      const [app, job] = [scene.name('app'), 'job']
      const before = await broker.admin.committed(app, job, [topic])
      expect(before.get(topic)?.size ?? 0).toBe(0)
      await scene.write(broker, topic, ['a', 'b'], 1)
      const member = scene.join(broker, { app, job, topics: [topic] })
      const { task, batch } = await scene.batch(member)
      expect(task.committed.get(topic)?.metadata ?? '').toBe('')
      await task.commit({ outputs: [], positions: new Map([[topic, { offset: 1, metadata: 'half' }]]) })
      await scene.stands(broker, { app, job }, topic, 1, { offset: 1, metadata: 'half' })
      const after = await broker.admin.committed(app, job, [topic])
      expect([...(after.get(topic) ?? [])]).toEqual([[1, { offset: 1, metadata: 'half' }]])
      expect(await broker.admin.committed(app, 'other', [topic])).not.toEqual(after)
      await commitBatch(task, batch)
    })
  })
}

const byTopic = (a: { topic: string }, b: { topic: string }): number => a.topic.localeCompare(b.topic)
