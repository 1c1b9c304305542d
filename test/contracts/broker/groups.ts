/** Contract: who owns which task, and what happens when that changes. */
import { describe, expect, it } from 'vitest'
import type { Task } from '../../../infra/kafka/port.ts'
import { bytes, commitBatch, type Member, type Scene } from './harness.ts'

export const describeGroups = (scene: Scene): void => {
  const owned = (...members: Member[]): number[] =>
    members.flatMap(({ open }) => [...open.keys()]).sort((a, b) => a - b)
  const each = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

  describe('groups', () => {
    it('give each partition number of all topics to one member: 3 members, 2 topics, 4 partitions', async () => {
      const broker = await scene.connect()
      const topics = [await scene.topic(broker, 'left', 4), await scene.topic(broker, 'right', 4)]
      const output = await scene.topic(broker, 'out')
      const options = { app: scene.name('app'), job: 'job', topics }
      const seen: { member: number; task: number; topic: string; partition: number }[] = []
      const members: Member[] = []
      for (const member of each(3))
        members.push(
          scene.join(await scene.connect(), options, (task, batch) => {
            seen.push({ member, task: task.partition, topic: batch.topic, partition: batch.partition })
            return commitBatch(task, batch, output)
          }),
        )
      await scene.until(
        '3 members own 4 tasks',
        () => members.every(({ open }) => open.size > 0) && owned(...members).length === 4,
      )
      expect(owned(...members)).toEqual(each(4))
      const values = topics.flatMap((topic) => each(4).map((partition) => `${topic}/${partition}`))
      for (const topic of topics)
        for (const partition of each(4))
          await scene.write(broker, topic, [`${topic}/${partition}`], partition)
      await scene.until('outputs', async () => (await scene.values(broker, output)).length >= 8)
      expect((await scene.values(broker, output)).sort()).toEqual(values.sort())
      for (const { task, partition } of seen) expect(partition).toBe(task)
      for (const partition of each(4)) {
        const here = seen.filter((batch) => batch.partition === partition)
        expect(new Set(here.map(({ member }) => member)).size).toBe(1)
        expect(new Set(here.map(({ topic }) => topic))).toEqual(new Set(topics))
      }
    })

    it('lose and double nothing while members join and leave', async () => {
      const broker = await scene.connect()
      const input = await scene.topic(broker, 'in', 4)
      const output = await scene.topic(broker, 'out')
      const options = { app: scene.name('app'), job: 'job', topics: [input], maxBatchRecords: 3 }
      const copy = (task: Task, batch: Parameters<typeof commitBatch>[1]) => commitBatch(task, batch, output)
      const written: string[] = []
      const write = async (round: number): Promise<void> => {
        for (const partition of each(4)) {
          const values = each(10).map((index) => `${partition}-${round}-${index}`)
          written.push(...values)
          await scene.write(broker, input, values, partition)
        }
      }
      const first = scene.join(await scene.connect(), options, copy)
      await write(0)
      const second = scene.join(await scene.connect(), options, copy)
      await write(1)
      await scene.until('both own tasks', () => second.open.size > 0 && owned(first, second).length === 4)
      await write(2)
      first.leave()
      await write(3)
      await scene.until('one owns all tasks', () => owned(second).length === 4)
      await scene.until('outputs', async () => (await scene.values(broker, output)).length >= written.length)
      const values = await scene.values(broker, output)
      expect([...values].sort()).toEqual([...written].sort())
      for (const partition of each(4)) {
        const mine = (value: string) => value.startsWith(`${partition}-`)
        expect(values.filter(mine)).toEqual(written.filter(mine))
      }
      expect(owned(first)).toEqual([])
    })

    it('refuse the commit of a member whose task went to another, and keep nothing of it', async () => {
      const broker = await scene.connect()
      const input = await scene.topic(broker, 'in', 2)
      const output = await scene.topic(broker, 'out')
      for (const partition of each(2)) await scene.write(broker, input, [`v${partition}`], partition)
      const options = { app: scene.name('app'), job: 'job', topics: [input] }
      const former = scene.join(await scene.connect(), options)
      const held = await scene.batches(former, 2)
      const latter = scene.join(await scene.connect(), options)
      const { task, batch } = await scene.batch(latter)
      const zombie = held.find((old) => old.task.partition === task.partition)!
      await scene.refused(
        zombie.task.commit({
          outputs: [{ topic: output, partition: 0, key: null, value: bytes('zombie') }],
          positions: new Map([[input, { offset: zombie.batch.nextOffset, metadata: 'zombie' }]]),
        }),
        'PRODUCER_FENCED',
        'STALE_GENERATION',
      )
      await commitBatch(task, batch, output)
      await scene.shows(broker, output, [`v${task.partition}`])
      await scene.stands(broker, options, input, task.partition, { offset: batch.nextOffset, metadata: '' })
      expect(former.open.get(task.partition)).toBeUndefined()
    })

    it('open a fenced task anew, from what was committed', async () => {
      const broker = await scene.connect()
      const input = await scene.topic(broker, 'in')
      const output = await scene.topic(broker, 'out')
      await scene.write(broker, input, ['a', 'b'])
      const options = { app: scene.name('app'), job: 'job', topics: [input] }
      const member = scene.join(broker, options)
      const { task, batch } = await scene.batch(member)
      const usurper = await scene.harness.transaction(
        [{ topic: output, partition: 0, key: null, value: bytes('usurper') }],
        `${options.app}-${options.job}-0`,
      )
      await usurper.abort()
      await scene.refused(commitBatch(task, batch, output), 'PRODUCER_FENCED')
      const again = await scene.batch(member, 2)
      expect(again.task).not.toBe(task)
      expect(again.batch.records.map(({ offset }) => offset)).toEqual(
        batch.records.map(({ offset }) => offset),
      )
      expect(member.lost).toEqual(['PRODUCER_FENCED'])
      await commitBatch(again.task, again.batch, output)
      await scene.shows(broker, output, ['a', 'b'])
    })

    it('leave cleanly in the middle of a batch, which is then given again', async () => {
      const broker = await scene.connect()
      const input = await scene.topic(broker, 'in')
      const output = await scene.topic(broker, 'out')
      await scene.write(broker, input, ['a', 'b', 'c'])
      const options = { app: scene.name('app'), job: 'job', topics: [input], maxBatchRecords: 2 }
      const first = scene.join(broker, options)
      const { task, batch } = await scene.batch(first)
      first.leave()
      await scene.until('the task is closed', () => first.open.size === 0)
      expect(first.lost).toEqual([])
      await scene.refused(commitBatch(task, batch, output), 'STALE_GENERATION', 'PRODUCER_FENCED')
      const second = scene.join(broker, options, (task, batch) => commitBatch(task, batch, output))
      await scene.until('outputs', async () => (await scene.values(broker, output)).length >= 3)
      expect(second.batches[0]?.batch.records[0]?.offset).toBe(0)
      expect(await scene.values(broker, output)).toEqual(['a', 'b', 'c'])
    })

    it('close every task when their broker is closed', async () => {
      const broker = await scene.connect()
      const input = await scene.topic(broker, 'in', 3)
      const member = scene.join(broker, { app: scene.name('app'), job: 'job', topics: [input] })
      await scene.until('3 tasks', () => member.open.size === 3)
      await broker.close()
      expect(member.open.size).toBe(0)
      expect(member.lost).toEqual([])
    })

    it('refuse topics of different sizes, and missing ones', async () => {
      const broker = await scene.connect()
      const [two, three] = [await scene.topic(broker, 'two', 2), await scene.topic(broker, 'three', 3)]
      const app = scene.name('app')
      const mismatched = scene.join(broker, { app, job: 'a', topics: [two, three] })
      const missing = scene.join(broker, { app, job: 'b', topics: [two, scene.name('absent')] })
      const both = () => mismatched.failure !== undefined && missing.failure !== undefined
      await scene.until('both fail', both)
      expect(mismatched.failure).toMatchObject({ code: 'PARTITION_MISMATCH' })
      expect(missing.failure).toMatchObject({ code: 'MISSING_TOPIC' })
      expect([...mismatched.received, ...missing.received]).toEqual([])
    })

    it('stop when partitions are added to an input, and when one is removed', async () => {
      const broker = await scene.connect()
      const app = scene.name('app')
      const join = async (job: string) => {
        const topics = [await scene.topic(broker, 'kept', 2), await scene.topic(broker, 'changed', 2)]
        const member = scene.join(broker, { app, job, topics, topicsCheckMs: 100 })
        await scene.until('its tasks', () => member.open.size === 2)
        return { member, changed: topics[1]! }
      }
      const [grown, removed] = [await join('grown'), await join('removed')]
      await scene.harness.addPartitions(grown.changed, 4)
      await scene.until('the first stops', () => grown.member.failure !== undefined)
      expect(grown.member.failure).toMatchObject({
        code: 'PARTITION_MISMATCH',
        message: expect.stringContaining(`${grown.changed} had 2 partitions and now has 4`),
      })
      expect(removed.member.failure).toBeUndefined()
      await scene.harness.deleteTopic(removed.changed)
      await scene.until('the second stops', () => removed.member.failure !== undefined)
      expect(removed.member.failure).toMatchObject({
        code: 'MISSING_TOPIC',
        message: expect.stringContaining(removed.changed),
      })
      expect([...grown.member.open.keys(), ...removed.member.open.keys()]).toEqual([])
    })
  })
}
