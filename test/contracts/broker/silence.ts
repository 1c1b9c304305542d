/** Contract: inputs that have nothing, and batches without records. Waits here are lower bounds: nothing may come early. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Batch, TaskGroupOptions } from '../../../infra/kafka/port.ts'
import { bytes, commitBatch, type Scene, text } from './harness.ts'

const IDLE_MS = 300

interface Seen extends Batch {
  /** By the monotonic clock. */
  readonly at: number
}

export const describeSilence = (scene: Scene): void => {
  /** A member of a job over two inputs that commits everything at once, and what it has seen. */
  const watch = async (options: Partial<TaskGroupOptions>) => {
    const broker = await scene.connect()
    const [left, right] = [await scene.topic(broker, 'left'), await scene.topic(broker, 'right')]
    const seen: Seen[] = []
    const group = { app: scene.name('app'), job: 'job', topics: [left, right], ...options }
    const member = scene.join(broker, group, (task, batch) => {
      seen.push({ ...batch, at: performance.now() })
      return commitBatch(task, batch)
    })
    await scene.until('the task', () => member.open.size === 1)
    const names = (topic: string) => seen.filter(({ silent = [] }) => silent.includes(topic))
    const recordOf = (topic: string, value: string) =>
      seen.findIndex((each) => each.topic === topic && each.records.some((one) => text(one.value) === value))
    return { broker, left, right, seen, names, recordOf }
  }

  describe('silence', () => {
    it('is named of an input that had nothing for idleMs, and not sooner, while others have records', async () => {
      const { broker, left, right, seen, names, recordOf } = await watch({ idleMs: IDLE_MS })
      await scene.write(broker, right, ['last'])
      await scene.until('the last record', () => recordOf(right, 'last') >= 0)
      const last = seen[recordOf(right, 'last')]!
      let written = 0
      await scene.until('right is silent and left is not', async () => {
        await scene.write(broker, left, [`v${written++}`])
        return seen.some(({ topic, silent = [] }) => topic === left && silent.includes(right))
      })
      const after = names(right).filter(({ at }) => at > last.at)
      expect(after[0]!.at - last.at).toBeGreaterThanOrEqual(IDLE_MS)
      for (const { topic, silent } of seen) expect(silent ?? []).not.toContain(topic)
    })

    it('is broken by a record', async () => {
      const { broker, right, seen, names, recordOf } = await watch({ idleMs: IDLE_MS })
      await scene.until('right is silent', () => names(right).length > 0)
      await scene.write(broker, right, ['x'])
      await scene.until('the record', () => recordOf(right, 'x') >= 0)
      const from = recordOf(right, 'x')
      await scene.until('right is silent again', () => names(right).some((each) => seen.indexOf(each) > from))
      const again = names(right).find((each) => seen.indexOf(each) > from)!
      expect(again.at - seen[from]!.at).toBeGreaterThanOrEqual(IDLE_MS)
    })

    it('is not where a transaction is open', async () => {
      const { broker, left, right, seen, names, recordOf } = await watch({ idleMs: IDLE_MS })
      const record = { topic: right, partition: 0, key: null, value: bytes('pending') }
      const open = await scene.harness.transaction([record])
      // An answer may be under way that was true before.
      const begun = performance.now() + IDLE_MS
      while (performance.now() < begun + 4 * IDLE_MS) {
        await scene.write(broker, left, ['x'])
        await sleep(20)
      }
      const meanwhile = seen.filter(({ at }) => at > begun)
      expect(meanwhile.length).toBeGreaterThan(0)
      expect(meanwhile.filter(({ silent = [] }) => silent.includes(right))).toEqual([])
      await open.commit()
      await scene.until('the record', () => recordOf(right, 'pending') >= 0)
      const from = recordOf(right, 'pending')
      await scene.until('right is silent', () => names(right).some((each) => seen.indexOf(each) > from))
    })

    it('of all inputs gives idle batches as often, and records again when there are some', async () => {
      const { broker, left, right, seen, recordOf } = await watch({ idleMs: IDLE_MS })
      await scene.until('three idle batches', () => seen.filter(({ idle }) => idle).length >= 3)
      const idle = seen.filter((each) => each.idle)
      for (const batch of idle) {
        expect(batch).toMatchObject({ topic: '', records: [], nextOffset: -1, idle: true })
        expect(batch.silent?.toSorted()).toEqual([left, right].toSorted())
      }
      expect(idle[2]!.at - idle[0]!.at).toBeGreaterThanOrEqual(2 * IDLE_MS - 1)
      await scene.write(broker, right, ['x'])
      await scene.until('the record', () => recordOf(right, 'x') >= 0)
      expect(seen[recordOf(right, 'x')]!.idle).toBeUndefined()
    })

    it('is not needed for ticks: they come while a transaction is open, and name who is silent', async () => {
      const { right, left, seen } = await watch({ idleMs: IDLE_MS, tickMs: 50 })
      const record = { topic: right, partition: 0, key: null, value: bytes('pending') }
      const open = await scene.harness.transaction([record])
      await scene.until('ticks that name left alone', () =>
        seen.some(({ idle, silent = [] }) => idle && silent.length === 1 && silent[0] === left),
      )
      await open.abort()
    })

    it('is never told where nobody asked for it', async () => {
      const { broker, left, seen, recordOf } = await watch({ tickMs: 50 })
      await scene.until('ticks', () => seen.length >= 3)
      await scene.write(broker, left, ['x'])
      await scene.until('the record', () => recordOf(left, 'x') >= 0)
      expect(seen.filter(({ silent }) => silent)).toEqual([])
    })
  })
}
