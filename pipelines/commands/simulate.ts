/** `millrace simulate`: policies in environments, under attack or not, over many seeds; curves to ClickHouse and to a picture, means to the terminal. */
import { Command, Option } from 'commander'
import { runUntilStopped } from '../../infra/process/shutdown.ts'
import type { SimulationSource } from '../simulate/read-simulation.ts'
import { positive } from './arguments.ts'
import { type ConfigurationOptions, configOption } from './configuration.ts'

interface SimulateArguments extends ConfigurationOptions {
  readonly policies?: string
  readonly environment?: string
  readonly attack?: string
  readonly budget?: string
  readonly rounds?: number
  readonly seeds?: number
  readonly threads?: number
  readonly picture?: string
  readonly clickhouse: boolean
  readonly json?: boolean
}

/** What is under way in a thread is given up; rows already on their way are waited for. */
const GRACE_MS = 10_000

export const simulateCommand = (): Command =>
  new Command('simulate')
    .description('policies in environments, under attack or not, over many seeds')
    .argument('[simulation]', 'a YAML file of policies, environments and attacks')
    .addOption(configOption())
    .option('--policies <kinds>', 'kinds of policies with their defaults, separated by commas')
    .option('--environment <kind or file>', 'linear, logistic, drifting, or a CSV of examples to classify')
    .option(
      '--attack <kind>',
      'garcelon, oracle, context, targetedReward or targetedContext, beside no attack',
    )
    .addOption(new Option('--budget <cost>', 'what the attack may cost (default: 100)'))
    .option('--rounds <n>', 'rounds of a run', positive)
    .option('--seeds <n>', 'seeds 1 to n', positive)
    .option('--threads <n>', 'runs at a time (default: as many as there are cores)', positive)
    .option('--picture <file>', 'where the picture goes (default: <name>.svg)')
    .option('--no-clickhouse', 'write no curves to ClickHouse')
    .option('--json', 'one line of JSON a policy, environment and attack, instead of a table')
    .action(async (file: string | undefined, options: SimulateArguments) => {
      const { runSimulation } = await import('../simulate/simulate.ts')
      await runUntilStopped((stop) => runSimulation({ ...sourceOf(file, options), ...options }, stop), {
        graceMs: GRACE_MS,
        onStop: () => process.stderr.write('\nending …\n'),
      })
    })

/** Flags as the keys of the file that they stand for. */
const sourceOf = (file: string | undefined, options: SimulateArguments): { source: SimulationSource } => {
  const { policies, environment, attack, budget, rounds, seeds } = options
  const bare = file === undefined
  const overrides = {
    rounds,
    seeds,
    policies: policies?.split(',') ?? (bare ? ['linUcb'] : undefined),
    environments: environment === undefined ? (bare ? ['linear'] : undefined) : [environmentOf(environment)],
    attacks: attack === undefined ? undefined : ['none', { kind: attack, budget: budget ?? 100 }],
  }
  return { source: { overrides, env: process.env, ...(bare ? {} : { file }) } }
}

/** A file is named by its ending; its environment by its first word. */
const environmentOf = (text: string): unknown => {
  const match = /([^/\\]+?)\.csv(\.gz)?$/.exec(text)
  if (match === null) return text
  return { kind: 'classification', name: match[1]!.replaceAll(/[^A-Za-z0-9._-]/g, '-'), file: text }
}
