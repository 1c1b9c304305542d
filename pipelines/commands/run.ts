/** `millrace run <pipeline…>`: pipelines in one process until a signal ends them, with their health and metrics over HTTP. */
import { Command } from 'commander'
import { runUntilStopped } from '../../infra/process/shutdown.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { serve } from '../process/serve.ts'
import { DOCUMENT_STREAMS, PIPELINES, pipelinesNamed, STREAMS } from '../run.ts'
import { type ConfigurationOptions, configOption, loadConfiguration } from './configuration.ts'

const LEFT_OVER_MS = 500

interface RunOptions extends ConfigurationOptions {
  readonly createTopics?: boolean
}

const list = (pipelines: Readonly<Record<string, unknown>>): string => Object.keys(pipelines).join(', ')

export const runCommand = (): Command =>
  new Command('run')
    .description('run pipelines until a signal ends them')
    .argument(
      '<pipeline...>',
      `${list(PIPELINES)}; all: ${list(STREAMS)}, and with tag configured ${list(DOCUMENT_STREAMS)}`,
    )
    .addOption(configOption())
    .option('--create-topics', "create millrace's own topics where they are missing")
    .action(async (names: string[], options: RunOptions) => {
      // A name that is none is told before anything else is looked at.
      pipelinesNamed(names)
      const load = () => loadConfiguration(options)
      const first = load()
      const { config, log } = first
      const pipelines = pipelinesNamed(names, config)
      const createTopics = options.createTopics === true
      try {
        await runUntilStopped((stop) => serve({ first, load, pipelines, createTopics }, stop), {
          graceMs: config.shutdown.grace,
          onStop: (signal) =>
            log.info({ signal }, 'stopping: no more is pulled, what is under way is committed'),
          onForced: (signal, why) =>
            log.warn({ signal, why }, 'ended at once: what was under way is done again'),
        })
        log.info('stopped')
        // What still waits for an answer holds the process no longer.
        setTimeout(() => process.exit(), LEFT_OVER_MS).unref()
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        // One line, which holds what people and programs look for.
        log.fatal({ code: error.code }, `${error.code}: ${error.message}`)
        process.exitCode = 1
        // Whatever still holds the process may do so for the grace only.
        setTimeout(() => process.exit(), config.shutdown.grace).unref()
      }
    })
