/** The command line. */
import { Command, InvalidArgumentError } from 'commander'
import { runUntilStopped } from '../infra/process/shutdown.ts'
import { MillraceError } from '../schemas/errors.ts'

const positive = (text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value <= 0)
    throw new InvalidArgumentError('it must be a whole number above 0')
  return value
}

/** @param args what follows the program's name. Sets the process's exit code. */
export const main = async (args: readonly string[]): Promise<void> => {
  const program = new Command('millrace').description('Online learning on event streams').showHelpAfterError()

  program
    .command('demo')
    .description('the decision job on embedded parts, with real digits as its world')
    .option('--events <n>', 'requests to publish (default: no end)', positive)
    .option('--exit', 'run to the end as fast as it goes, print one line of JSON, end', false)
    .option('--rate <n>', 'requests a second without --exit', positive, 1_000)
    .option('--jobs <names>', 'which jobs run', 'decide')
    .option('--kafka <where>', 'local, or host:port of a running cluster (default: in memory)')
    .action(
      async (options: { events?: number; exit: boolean; rate: number; jobs: string; kafka?: string }) => {
        const { runDemo } = await import('./demo/demo.ts')
        const events = options.events ?? (options.exit ? 20_000 : undefined)
        await runUntilStopped(
          (stop) =>
            runDemo(
              { ...options, jobs: options.jobs.split(','), ...(events === undefined ? {} : { events }) },
              stop,
              (line) => process.stdout.write(`${line}\n`),
            ),
          { graceMs: 2_500, onStop: () => process.stderr.write('\nending …\n') },
        )
      },
    )

  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    process.stderr.write(`${error.code}: ${error.message}\n`)
    process.exitCode = 1
  }
}
