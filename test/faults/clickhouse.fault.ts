/** A ClickHouse that is away or unwell: the recorder waits and says so, everything else goes on, and afterwards each record is there once. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { BARE_500, DISK_FULL, READ_ONLY, type ServerError, TOO_MANY_PARTS } from './clickhouse-proxy.ts'
import { MemoryWatch } from './memory.ts'
import { row } from './row.ts'
import { either } from './settings.ts'
import type { Stage } from './stage.ts'
import type { Worker } from './worker.ts'

/** What a recorder waits for is no more than its blocks under way; but over minutes the heap grows to what it may before it is swept. */
const GROWTH_MIB = either(150, 300)

const unready = (stage: Stage, worker: Worker) =>
  stage.until('the worker says that ClickHouse is away', async () => 'clickhouse' in (await worker.reasons()))

const ready = (stage: Stage, worker: Worker) => stage.until('the worker is ready', () => worker.ready())

/** Waits until decisions and outcomes have come since now. */
const goesOn = async (stage: Stage): Promise<void> => {
  const before = { decisions: stage.count('decisions'), outcomes: stage.count('outcomes') }
  await stage.until('decisions and outcomes go on meanwhile', () =>
    (['decisions', 'outcomes'] as const).every((topic) => stage.count(topic) > before[topic]),
  )
}

/** Rows of decisions there are. */
const rows = async ({ clickhouse }: Stage): Promise<number> =>
  Number((await clickhouse.query<{ n: string }>('SELECT count() AS n FROM decisions'))[0]!.n)

/** Waits until more decisions are recorded than now. */
const recordsAgain = async (stage: Stage): Promise<void> => {
  const before = await rows(stage)
  await stage.until('rows come again', async () => (await rows(stage)) > before)
}

row(
  15,
  'ClickHouse away',
  { config: { clickhouse: { requestTimeout: either('1s', '10s') } } },
  async (stage) => {
    const proxy = stage.clickhouseProxy
    const [worker] = await stage.started()
    const memory = new MemoryWatch(worker!)
    await stage.flowToOutcomes(either(110, 65))
    await recordsAgain(stage)
    memory.begin()

    const away = async (how: string, begin: () => void, inserts = false): Promise<void> => {
      begin()
      stage.fault(how)
      await unready(stage, worker!)
      await goesOn(stage)
      const before = await rows(stage)
      await sleep(either(600, 200_000))
      await goesOn(stage)
      expect(await worker!.ready()).toBe(false)
      // What was under way when it went has come, and nothing else; but where only replies are lost, each task's block under way comes yet.
      if (!inserts) expect(await rows(stage)).toBe(before)
      proxy.heal()
      await ready(stage, worker!)
      await recordsAgain(stage)
    }
    await away('refuses', () => proxy.refuse())
    await away('hangs', () => proxy.hang())
    await away(
      'dies after each insert, before the reply',
      () => proxy.loseReply(Number.POSITIVE_INFINITY),
      true,
    )
    proxy.answer(BARE_500, 3)
    stage.fault('500 in the middle')
    await stage.until('500 was said', () => proxy.faulted >= 3)
    await recordsAgain(stage)
    stage.note(memory.end(GROWTH_MIB))

    // It inserts a block, says nothing and is gone; so is its recorder soon, which leaves the block planned.
    let dead = false
    proxy.loseReply(1, () => {
      proxy.refuse()
      dead = true
    })
    await stage.until('an insert is there and its reply is lost', () => dead)
    await unready(stage, worker!)
    const stopped = stage.fault('SIGTERM while it is away')
    expect(await worker!.stop()).toEqual({ code: 0, signal: null })
    stage.note(`ended in ${((Date.now() - stopped) / 1_000).toFixed(1)} s`)

    // It decides before there is anywhere to record to.
    worker!.start()
    await stage.recovered(stopped)
    expect(await worker!.ready()).toBe(false)
    proxy.heal()
    await worker!.until(/^a planned block was sent again$/)
    await stage.opened('record')
  },
)

/** Tasks of a recorder that may each try a block of theirs. */
const TASKS = 4

/** So many tries at most has a task made that began with a pause of 100 ms and doubled it each time. */
const triesWithin = (ms: number): number => 2 + Math.ceil(Math.log2(1 + ms / 100)) + Math.floor(ms / 5_000)

row(16, 'ClickHouse: too many parts, read only, disk full', {}, async (stage) => {
  const { clickhouseProxy: proxy, clickhouse } = stage
  const [worker] = await stage.started()
  await stage.flowToOutcomes(either(130, 200))
  await recordsAgain(stage)

  const unwell = async (
    what: string,
    begin: () => Promise<void>,
    end: () => Promise<void>,
  ): Promise<void> => {
    await begin()
    stage.fault(what)
    await unready(stage, worker!)
    await goesOn(stage)
    await sleep(either(800, 60_000))
    expect(await worker!.ready()).toBe(false)
    await end()
    await ready(stage, worker!)
    await recordsAgain(stage)
  }
  const errors: readonly ServerError[] = [TOO_MANY_PARTS, READ_ONLY, DISK_FULL]
  for (const error of errors) {
    let since = 0
    let refused = 0
    await unwell(
      `${error.code} ${error.type}`,
      async () => {
        proxy.answer(error)
        since = Date.now()
        refused = proxy.faulted
      },
      async () => {
        const tries = proxy.faulted - refused
        expect(tries).toBeLessThanOrEqual(TASKS * triesWithin(Date.now() - since))
        proxy.heal()
      },
    )
  }

  // The server's own word, from the target of a view: the block is in its table by then, and not yet in the rollup.
  const merges = (verb: 'STOP' | 'START') => clickhouse.command(`SYSTEM ${verb} MERGES decisions_per_minute`)
  const setting = (change: string) => clickhouse.command(`ALTER TABLE decisions_per_minute ${change}`)
  await unwell(
    'too many parts in a rollup',
    async () => {
      await merges('STOP')
      await setting('MODIFY SETTING parts_to_delay_insert = 0, parts_to_throw_insert = 1')
    },
    async () => {
      await setting('RESET SETTING parts_to_delay_insert, parts_to_throw_insert')
      await merges('START')
    },
  )
})
