/** The command line: one file a command. A MillraceError ends it as `CODE: message`, anything else is a fault of millrace's own. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { packagePath } from '../infra/clickhouse/package-root.ts'
import { MillraceError } from '../schemas/errors.ts'
import { checkCommand } from './commands/check.ts'
import { deadLettersCommand } from './commands/dead-letters.ts'
import { demoCommand } from './commands/demo.ts'
import { evaluateCommand } from './commands/evaluate.ts'
import { explainCommand } from './commands/explain.ts'
import { modelsCommand } from './commands/models.ts'
import { policiesCommand } from './commands/policies.ts'
import { replayCommand } from './commands/replay.ts'
import { runCommand } from './commands/run.ts'
import { simulateCommand } from './commands/simulate.ts'
import { xmcCommand } from './commands/xmc.ts'

const version = (): string =>
  (JSON.parse(readFileSync(packagePath('package.json'), 'utf8')) as { version: string }).version

/** The whole command line, to be parsed. */
export const commandLine = (): Command => {
  const program = new Command('millrace')
    .description(
      'Online learning on event streams: contextual bandits over Kafka, every number in ClickHouse',
    )
    .version(version())
    // A command may have a --version of its own.
    .enablePositionalOptions()
  for (const command of [
    demoCommand(),
    runCommand(),
    checkCommand(),
    policiesCommand(),
    modelsCommand(),
    deadLettersCommand(),
    replayCommand(),
    explainCommand(),
    simulateCommand(),
    evaluateCommand(),
    xmcCommand(),
  ])
    program.addCommand(command)
  withHelp(program)
  return program
}

/** Commander gives this setting to the commands it makes, not to those it is given. */
const withHelp = (command: Command): void => {
  command.showHelpAfterError('(--help says more)')
  for (const inner of command.commands) withHelp(inner)
}

/** @param args what follows the program's name. Sets the process's exit code. */
export const main = async (args: readonly string[]): Promise<void> => {
  try {
    await commandLine().parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    process.stderr.write(`${error.code}: ${error.message}\n`)
    process.exitCode = 1
  }
}
