/** Workers that are told to end under load: in order, and at once when they are told twice. */
import { expect } from 'vitest'
import { decoded } from './events.ts'
import type { Verdict } from './proxy.ts'
import { row } from './row.ts'
import { either } from './settings.ts'
import type { Stage } from './stage.ts'
import type { Worker } from './worker.ts'

const GRACE_MS = 10_000

/** Where readers of committed records see that each partition of requests was decided up to. */
const decidedUpTo = (stage: Stage): Map<number, number> => {
  const ends = new Map<number, number>()
  for (const { value } of stage.log.records(`${stage.prefix}decisions`)) {
    if (value === null) continue
    const { requestPartition: partition, requestOffset } = decoded('decision', value)
    ends.set(partition, Math.max(requestOffset + 1, ends.get(partition) ?? 0))
  }
  return ends
}

/** The positions of `decide`, by partition. */
const committed = async (stage: Stage): Promise<Map<number, number>> => {
  const admin = stage.client.admin()
  await admin.connect()
  try {
    const topic = `${stage.prefix}decision-requests`
    const [found] = await admin.fetchOffsets({ groupId: `${stage.name}-decide`, topics: [topic] })
    return new Map(found!.partitions.map(({ partition, offset }) => [partition, Number(offset)]))
  } finally {
    await admin.disconnect()
  }
}

/** Positions are where the last decisions that are there say: nothing was decided in vain, nothing is to be decided again. */
const offsetsAreExact = async (stage: Stage): Promise<void> => {
  const positions = await committed(stage)
  await stage.until('the committed decisions are seen', () =>
    [...positions].every(([partition, offset]) => (decidedUpTo(stage).get(partition) ?? 0) >= offset),
  )
  expect(decidedUpTo(stage)).toEqual(positions)
}

row(
  25,
  'SIGTERM under load, once and twice',
  { config: { shutdown: { grace: `${GRACE_MS}ms` } } },
  async (stage) => {
    const [first, second] = ['first', 'second'].map((name) => stage.worker(name))
    let [serving, successor] = [first!, second!]
    serving.start()
    for (const job of serving.jobs) await stage.opened(job)
    // Slowly: each end waits for decisions, and a slow machine must not run out of them.
    stage.flow(either(120, 300))
    let slowest = 0

    /** Ends the one that serves, and has the other go on. */
    const end = async (how: string, ending: () => Promise<void>, sessionMs = 0): Promise<void> => {
      await stage.recovered(Date.now())
      const told = stage.fault(how)
      await ending()
      slowest = Math.max(slowest, Date.now() - told)
      await offsetsAreExact(stage)
      successor.start()
      await stage.recovered(told, sessionMs)
      ;[serving, successor] = [successor, serving]
    }

    for (let i = 0; i < either(2, 10); i++)
      await end('SIGTERM', async () => {
        // Forced, it would say 143.
        expect(await serving.stop()).toEqual({ code: 0, signal: null })
      })
    stage.note(`ended in order within ${(slowest / 1_000).toFixed(1)} s`)

    for (let i = 0; i < either(1, 5); i++)
      // It has not left its group.
      await end('SIGTERM, and again while it commits', () => twice(stage, serving), stage.sessionMs)
  },
)

/** Signals a worker whose commit is held up, so that it cannot have ended before the second signal. */
const twice = async (stage: Stage, worker: Worker): Promise<void> => {
  const { ended } = worker
  const { sprung } = stage.proxy.on('EndTxn', { transactionalId: /-decide-/ }, async (): Promise<Verdict> => {
    worker.signal('SIGTERM')
    await worker.until(/^stopping/)
    worker.signal('SIGTERM')
    await ended
    return 'drop'
  })
  await sprung
  expect(await ended).toEqual({ code: 143, signal: null })
  expect(await worker.until(/^ended at once/)).toMatchObject({ why: 'second signal' })
}
