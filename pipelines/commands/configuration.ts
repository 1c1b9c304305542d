/** What every command does first: find the configuration, check it whole, open the log. */
import { existsSync } from 'node:fs'
import { Option } from 'commander'
import { misspeltVariables } from '../../infra/config/environment.ts'
import { loadConfig } from '../../infra/config/load.ts'
import type { Config } from '../../infra/config/schema.ts'
import { createLog, type Log } from '../../infra/telemetry/log.ts'
import { mappingProblems } from '../../operators/streams/mapping.ts'
import { MillraceError } from '../../schemas/errors.ts'

const DEFAULT_FILE = 'millrace.yaml'

export interface ConfigurationOptions {
  readonly config?: string
}

/** `--config`, the same for every command. */
export const configOption = (): Option =>
  new Option('--config <file>', `the configuration (default: ${DEFAULT_FILE}, where there is one)`)

export interface Configuration {
  readonly config: Config
  readonly log: Log
  /** The file it came from; defaults and environment alone where absent. */
  readonly file?: string
}

/** @throws MillraceError INVALID_CONFIG that lists every problem. */
export const loadConfiguration = (options: ConfigurationOptions): Configuration => {
  const file = options.config ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined)
  const given = file === undefined ? {} : { file }
  const config = loadConfig({ ...given, env: process.env, checks: [mappingProblems] })
  const log = createLog(config.log)
  for (const [variable, meant] of misspeltVariables(process.env))
    log.warn({ variable, meant }, 'an environment variable is ignored')
  return { config, log, ...given }
}

/**
 * For commands that look into a cluster from outside.
 * @throws MillraceError INVALID_CONFIG with kafka.adapter memory, whose topics end with their process.
 */
export const refuseMemory = ({ kafka }: Config): void => {
  if (kafka.adapter !== 'memory') return
  throw new MillraceError(
    'INVALID_CONFIG',
    'kafka.adapter: memory keeps its topics within one process: there is nothing here for another one to see',
  )
}
