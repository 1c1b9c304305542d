/**
 * A decider that starts, as a process of its own for `bench recovery`: opens its surroundings, restores the states, folds the tail, and tells its
 * parent how long each took. No module is loaded after the clock has started.
 */
import { createHash } from 'node:crypto'
import { lastValueFrom } from 'rxjs'
import { loadConfig } from '../../infra/config/load.ts'
import { createLog } from '../../infra/telemetry/log.ts'
import { openRuntime } from '../../pipelines/process/open.ts'
import { learnFrom, openStates } from '../../pipelines/states/learn.ts'

/** What a start took, in seconds, and what it came to. */
export interface Recovery {
  readonly connectSeconds: number
  /** Definitions, the topic `snapshots`, the store, the state. */
  readonly restoreSeconds: number
  readonly foldSeconds: number
  readonly seconds: number
  /** Of the processor: what it would take on a machine that does nothing else. */
  readonly cpuSeconds: number
  /** Outcomes folded. */
  readonly folded: number
  /** SHA-256 of the state's bytes. */
  readonly state: string
  readonly stateBytes: number
  readonly residentMb: number
}

const recover = async (overrides: Record<string, unknown>): Promise<Recovery> => {
  const config = loadConfig({ env: {}, overrides })
  const started = process.cpuUsage()
  const times = [performance.now()]
  const runtime = await openRuntime(config, { log: createLog(config.log) })
  times.push(performance.now())
  const { states, ends } = await openStates(runtime)
  times.push(performance.now())
  const before = [...states.positions.values()].reduce((sum, offset) => sum + offset, 0)
  await lastValueFrom(learnFrom(runtime, states, ends), { defaultValue: null })
  times.push(performance.now())
  const cpu = process.cpuUsage(started)
  const folded = [...states.positions.values()].reduce((sum, offset) => sum + offset, 0) - before
  const { bytes } = states.table.save('p')
  await runtime.close()
  const seconds = (from: number, to: number) => (times[to]! - times[from]!) / 1_000
  return {
    connectSeconds: seconds(0, 1),
    restoreSeconds: seconds(1, 2),
    foldSeconds: seconds(2, 3),
    seconds: seconds(0, 3),
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    folded,
    state: createHash('sha256').update(bytes).digest('hex'),
    stateBytes: bytes.length,
    residentMb: process.memoryUsage.rss() / 2 ** 20,
  }
}

if (process.send !== undefined) {
  process.once('message', async (overrides: Record<string, unknown>) => {
    process.send!(await recover(overrides), () => process.disconnect())
  })
}
