/** A network that fails in each of its ways, and a group that never comes to rest. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MemoryWatch } from './memory.ts'
import { row } from './row.ts'
import { either } from './settings.ts'
import type { Stage } from './stage.ts'
import type { Worker } from './worker.ts'

/** What a worker may hold on to while its brokers are hard to reach. */
const GROWTH_MIB = 150

row(
  5,
  'broker cut, half-open, slow, resetting',
  { config: { kafka: { transactionTimeout: '10s', patience: '3m' } } },
  async (stage) => {
    const { proxy } = stage
    const [worker] = await stage.started()
    const memory = new MemoryWatch(worker!)
    stage.flow(either(90, 150))
    await stage.publishedShare(0.05)
    memory.begin()

    for (let i = 0; i < either(1, 20); i++) {
      proxy.cut()
      await stage.recovered(stage.fault('every connection cut'))
    }

    proxy.refuse()
    stage.fault('connections refused')
    await sleep(either(700, 60_000))
    proxy.heal()
    await stage.recovered(Date.now())

    proxy.swallow()
    stage.fault('half-open')
    await sleep(either(1_200, 60_000))
    proxy.heal()
    await stage.recovered(Date.now())

    proxy.latencyMs = 250
    stage.fault('500 ms more for a request and its answer')
    await stage.recovered(Date.now())
    await sleep(either(0, 60_000))
    proxy.heal()

    proxy.resets = 0.01
    stage.fault('1 % of requests reset their connection')
    await sleep(either(1_500, 60_000))
    await stage.recovered(Date.now())
    proxy.heal()
    stage.note(memory.end(GROWTH_MIB))
  },
)

/** Waits until a decision is there that was made since. @throws Error where none is for 10 s */
const progress = async (stage: Stage, since: number): Promise<void> => {
  const decisions = `${stage.prefix}decisions`
  await stage.until(
    'progress',
    () => stage.log.records(decisions).some(({ timestamp }) => timestamp > since),
    10_000,
  )
}

row(
  6,
  'rebalance storm',
  { config: { kafka: { sessionTimeout: either('1500ms', '6s') } } },
  async (stage) => {
    await stage.started(['steady'])
    const [polite, rude] = ['polite', 'rude'].map((name) => stage.worker(name))
    stage.flow(either(90, 350))

    /** A change of the group; the next is 2 s after it began, or when it is done. */
    const change = async (what: string, does: () => Promise<unknown>): Promise<void> => {
      const since = stage.fault(what)
      await does()
      await sleep(2_000 - (Date.now() - since))
      await progress(stage, since)
    }
    const joins = (worker: Worker) =>
      change(`${worker.name} joins`, async () => {
        worker.start()
        await stage.until(`${worker.name} has tasks`, () => worker.tasks('decide').size > 0)
      })
    for (let round = 0; round < either(1, 8); round++) {
      await joins(polite!)
      await joins(rude!)
      await change('polite leaves', () => polite!.stop())
      await change('rude is killed', () => rude!.kill())
    }
  },
)
