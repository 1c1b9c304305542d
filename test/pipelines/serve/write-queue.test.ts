import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { OutputRecord } from '../../../infra/kafka/port.ts'
import { WriteQueue, type WriteQueueOptions } from '../../../pipelines/serve/write-queue.ts'
import { MillraceError } from '../../../schemas/errors.ts'

const record = (name: string, bytes = 10): OutputRecord => ({
  topic: 't',
  key: Buffer.from(name),
  value: Buffer.alloc(bytes),
})

const names = (records: readonly OutputRecord[]) => records.map(({ key }) => String(key))

/** A queue, its writes, and a writer that waits to be told. */
const queueWith = (options: Partial<WriteQueueOptions> = {}) => {
  const writes: string[][] = []
  const lost: [number, string | undefined][] = []
  let now = 0
  const queue = new WriteQueue({
    write: async (records) => void writes.push(names(records)),
    maxRecords: 100,
    maxBytes: 10_000,
    lingerMs: 0,
    patienceMs: 1_000,
    onLost: (count, error) => lost.push([count, error?.code]),
    now: () => now,
    ...options,
  })
  const pass = (milliseconds: number) => {
    now += milliseconds
  }
  return { queue, writes, lost, pass }
}

/** A promise and its end. */
const held = () => {
  let release = () => {}
  const promise = new Promise<void>((resolve) => {
    release = resolve
  })
  return { promise, release }
}

describe('the queue of the service', () => {
  it('writes in order; what comes while a write is under way goes together with the next', async () => {
    const first = held()
    const writes: string[][] = []
    const { queue } = queueWith({
      write: async (records) => {
        writes.push(names(records))
        if (writes.length === 1) await first.promise
      },
    })
    queue.push([record('a')])
    await Promise.resolve()
    for (const name of ['b', 'c', 'd']) queue.push([record(name)])
    first.release()
    await queue.drain(1_000)
    expect(writes).toEqual([['a'], ['b', 'c', 'd']])
    expect(queue.length).toBe(0)
  })

  it('is full by records or by bytes, those under way counted, and takes again when they are written', async () => {
    const first = held()
    const { queue } = queueWith({ maxRecords: 2, write: () => first.promise })
    queue.push([record('a')])
    expect(queue.closed).toBeNull()
    queue.push([record('b')])
    expect(queue.closed).toBe('full')
    first.release()
    await new Promise((resolve) => setImmediate(resolve))
    expect(queue.closed).toBeNull()
    const { queue: narrow } = queueWith({ maxBytes: 50, write: () => new Promise(() => {}) })
    narrow.push([record('a', 60)])
    expect(narrow.closed).toBe('full')
  })

  it('takes its topics for away when what waits has waited for too long', async () => {
    const first = held()
    const { queue, pass } = queueWith({ write: () => first.promise })
    queue.push([record('a')])
    pass(1_000)
    expect(queue.closed).toBeNull()
    pass(1)
    expect(queue.closed).toBe('away')
    first.release()
    await queue.drain(1_000)
    expect(queue.length).toBe(0)
  })

  it('says of each push whether it was written', async () => {
    const told: [string, boolean][] = []
    const { queue } = queueWith()
    for (const name of ['a', 'b']) queue.push([record(name)], (written) => told.push([name, written]))
    await queue.drain(1_000)
    expect(told).toEqual([
      ['a', true],
      ['b', true],
    ])
  })

  it('gives up at its end what is not written in time, counts it, and takes no more', async () => {
    const told: boolean[] = []
    const { queue, lost } = queueWith({
      write: (_records, signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    })
    queue.push([record('a'), record('a2')], (written) => told.push(written))
    await Promise.resolve()
    queue.push([record('b')])
    await queue.drain(1)
    expect([lost, told, queue.length, queue.closed]).toEqual([[[3, undefined]], [false], 0, 'ended'])
  })

  it('loses of a batch only the record that no topic takes', async () => {
    const written: string[] = []
    const { queue, lost } = queueWith({
      write: async (records) => {
        if (names(records).includes('b')) throw new MillraceError('MESSAGE_TOO_LARGE', 'too large')
        written.push(...names(records))
      },
      lingerMs: 5,
      now: () => performance.now(),
    })
    for (const name of ['a', 'b', 'c']) queue.push([record(name)])
    await queue.drain(1_000)
    expect([written, lost, queue.length]).toEqual([['a', 'c'], [[1, 'MESSAGE_TOO_LARGE']], 0])
  })

  it('ends with a failure that no repetition helps, and counts what it held', async () => {
    const { queue, lost } = queueWith({
      write: async () => {
        throw new MillraceError('MISSING_TOPIC', 'gone')
      },
    })
    const failure = queue.failure()
    queue.push([record('a')])
    queue.push([record('b')])
    await expect(failure).rejects.toMatchObject({ code: 'MISSING_TOPIC' })
    expect([lost, queue.closed, queue.length]).toEqual([[[2, 'MISSING_TOPIC']], 'ended', 0])
  })

  it('writes everything once and in order, whatever comes when', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.boolean())), async (pushes) => {
        const { queue, writes } = queueWith({ maxRecords: 1_000_000 })
        const expected: string[] = []
        for (const [count, pause] of pushes) {
          const own = Array.from({ length: count }, (_, i) => `${expected.length + i}`)
          expected.push(...own)
          queue.push(own.map((name) => record(name)))
          if (pause) await Promise.resolve()
        }
        await queue.drain(1_000)
        expect(writes.flat()).toEqual(expected)
      }),
    ))
})
