import { Subject } from 'rxjs'
import { describe, expect, it } from 'vitest'
import { createLog } from '../../infra/telemetry/log.ts'
import type { SourceBatch } from '../../operators/streams/batch.ts'
import { decode, type Input } from '../../pipelines/delivery/inputs.ts'
import { MillraceError } from '../../schemas/errors.ts'

const log = createLog({ level: 'silent' })
const reward = { requestId: 'r', rewardId: '', value: 1, occurredAt: 1 }

/** A topic whose registry is away for the first `failures` times. */
const input = (failures: number) => {
  const asked = { times: 0 }
  const rewards: Input<'reward'> = {
    topic: 'rewards',
    event: 'reward',
    stage: 'decode',
    prepare: async () => {
      if (asked.times++ < failures) throw new MillraceError('REGISTRY_UNAVAILABLE', 'nobody answers')
    },
    read: () => reward,
  }
  return { rewards, asked }
}

const batch: SourceBatch = {
  topic: 'rewards',
  partition: 0,
  records: [{ key: null, value: Buffer.from('x'), offset: 0, timestamp: 0 }],
  nextOffset: 1,
}

/** Runs one batch through, and waits until the registry was asked so often. */
const run = async (failures: number, until: number) => {
  const { rewards, asked } = input(failures)
  const source = new Subject<SourceBatch>()
  const seen: unknown[] = []
  let ended = () => {}
  const completed = new Promise<void>((resolve) => {
    ended = resolve
  })
  const running = source.pipe(decode([rewards], log)).subscribe({
    next: ({ events }) => seen.push(...events),
    complete: ended,
    error: (error) => seen.push(error),
  })
  source.next(batch)
  await expect.poll(() => asked.times, { timeout: 10_000 }).toBeGreaterThanOrEqual(until)
  return { source, seen, asked, completed, running }
}

describe('a registry that is away', () => {
  it('is waited for: its records are read when it is back', async () => {
    const { source, seen, completed } = await run(2, 3)
    await expect.poll(() => seen).toEqual([reward])
    source.complete()
    await completed
  })

  it('is waited for no longer when no more batches come: the one under way is given up, in order', async () => {
    const { source, seen, asked, completed } = await run(Number.POSITIVE_INFINITY, 2)
    source.complete()
    await completed
    expect(seen).toEqual([])
    const after = asked.times
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(asked.times).toBe(after)
  })

  it('is waited for no longer when nobody wants the batches', async () => {
    const { running, asked } = await run(Number.POSITIVE_INFINITY, 2)
    running.unsubscribe()
    const after = asked.times
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(asked.times).toBe(after)
  })

  it('does not lose the last batch of a source that ends while it is read', async () => {
    const { rewards } = input(0)
    const source = new Subject<SourceBatch>()
    const seen: unknown[] = []
    source.pipe(decode([rewards], log)).subscribe(({ events }) => seen.push(...events))
    source.next(batch)
    source.complete()
    await expect.poll(() => seen).toEqual([reward])
  })
})
