/** A process for `shutdown.test.ts`: says what happens to it, a line a step. Its argument is how long its orderly end takes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { runUntilStopped } from '../../../infra/process/shutdown.ts'

const [drainMs = '0', graceMs = '10000'] = process.argv.slice(2)
const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const alive = setInterval(() => {}, 1_000)
const result = await runUntilStopped(
  async (stop) => {
    say('running')
    await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }))
    await sleep(Number(drainMs))
    say('closed')
    return 'result'
  },
  {
    graceMs: Number(graceMs),
    onStop: (signal) => say(`stopping ${signal}`),
    onForced: (signal, why) => say(`forced ${signal} ${why}`),
  },
)
clearInterval(alive)
say(`${result} ${process.listenerCount('SIGINT')}`)
