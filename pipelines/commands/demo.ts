/** `millrace demo`, which is `npm start`. */
import { Command } from 'commander'
import { runUntilStopped } from '../../infra/process/shutdown.ts'
import { positive } from './arguments.ts'
import { say } from './output.ts'

interface DemoArguments {
  readonly events?: number
  readonly exit?: boolean
  readonly rate: number
  readonly jobs: string
  readonly kafka?: string
  readonly clickhouse?: string
}

const DEFAULT_EVENTS = 20_000
const GRACE_MS = 2_500

export const demoCommand = (): Command =>
  new Command('demo')
    .description('the jobs on embedded parts: digits that ask for decisions, glosses that want labels')
    .option('--events <n>', `requests to publish (default: no end; with --exit ${DEFAULT_EVENTS})`, positive)
    .option('--exit', 'run to the end as fast as it goes, print one line of JSON, end')
    .option('--rate <n>', 'requests a second without --exit', positive, 1_000)
    .option('--jobs <names>', 'which jobs run', 'decide,tag')
    .option('--kafka <where>', 'local, or host:port of a running cluster (default: in memory)')
    .option('--clickhouse <url>', 'a server of yours (default: the embedded one)')
    .action(async (options: DemoArguments) => {
      const { runDemo } = await import('../demo/demo.ts')
      const { exit = false } = options
      const events = options.events ?? (exit ? DEFAULT_EVENTS : undefined)
      await runUntilStopped(
        (stop) =>
          runDemo(
            { ...options, exit, jobs: options.jobs.split(','), ...(events === undefined ? {} : { events }) },
            stop,
            say,
          ),
        { graceMs: GRACE_MS, onStop: () => process.stderr.write('\nending …\n') },
      )
    })
