/** `millrace run <pipeline…>`: pipelines in one process until a signal ends them, with their health and metrics over HTTP. */
import { once } from 'node:events'
import { Command } from 'commander'
import { redactedConfig } from '../../infra/config/load.ts'
import type { Config } from '../../infra/config/schema.ts'
import { createHealth } from '../../infra/http/health.ts'
import { startHttp } from '../../infra/http/server.ts'
import { runUntilStopped } from '../../infra/process/shutdown.ts'
import type { Log } from '../../infra/telemetry/log.ts'
import { createMetrics } from '../../infra/telemetry/metrics.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Pipeline } from '../job.ts'
import { type Opened, type OpenOptions, openRuntime } from '../open.ts'
import { agreedDefinitions, applyDefinitions } from '../policies.ts'
import { PIPELINES, pipelinesNamed, runWithMetrics } from '../run.ts'
import { ensureTopics } from '../topics.ts'
import { type ConfigurationOptions, configOption, loadConfiguration } from './configuration.ts'

interface RunOptions extends ConfigurationOptions {
  readonly createTopics?: boolean
}

export const runCommand = (): Command =>
  new Command('run')
    .description('run pipelines until a signal ends them')
    .argument('<pipeline...>', `${Object.keys(PIPELINES).join(', ')}, or all of them: all`)
    .addOption(configOption())
    .option('--create-topics', "create millrace's own topics where they are missing")
    .action(async (names: string[], options: RunOptions) => {
      const pipelines = pipelinesNamed(names.includes('all') ? Object.keys(PIPELINES) : [...new Set(names)])
      const { config, log } = loadConfiguration(options)
      const create = options.createTopics === true || config.topics.create
      try {
        await runUntilStopped((stop) => serve(config, pipelines, create, log, stop), {
          graceMs: config.shutdown.grace,
          onStop: (signal) =>
            log.info({ signal }, 'stopping: no more is pulled, what is under way is committed'),
          onForced: (signal, why) =>
            log.warn({ signal, why }, 'ended at once: what was under way is done again'),
        })
        log.info('stopped')
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        // One line, which holds what people and programs look for.
        log.fatal({ code: error.code }, `${error.code}: ${error.message}`)
        process.exitCode = 1
        // Whatever still holds the process may do so for the grace only.
        setTimeout(() => process.exit(), config.shutdown.grace).unref()
      }
    })

/** Everything of one process, from the open port to the closed one. */
const serve = async (
  config: Config,
  pipelines: readonly Pipeline[],
  create: boolean,
  log: Log,
  stop: AbortSignal,
): Promise<void> => {
  const health = createHealth()
  const metrics = createMetrics()
  const http = await startHttp({ ...config.http, health, metrics, config: redactedConfig(config), log })
  log.info({ url: http.url, pipelines: pipelines.map(({ name }) => name) }, 'starting')
  try {
    const starting = start(config, pipelines, create, { log, health, metrics })
    const runtime = await Promise.race([starting, stopped(stop)])
    // Nothing has been pulled yet, and what is waited for may not answer: there is nothing to end in order.
    if (runtime === null) process.exit(0)
    stop.addEventListener('abort', () => health.component('process').failing('stopping'), { once: true })
    try {
      await runWithMetrics(runtime, pipelines, stop)
    } finally {
      await runtime.close()
    }
  } finally {
    await http.close()
  }
}

const stopped = async (stop: AbortSignal): Promise<null> => {
  if (!stop.aborted) await once(stop, 'abort')
  return null
}

/** Opens what the pipelines stand on, and makes sure that they may run. */
const start = async (
  config: Config,
  pipelines: readonly Pipeline[],
  create: boolean,
  options: OpenOptions & Required<Pick<OpenOptions, 'health'>>,
): Promise<Opened> => {
  const { log, health } = options
  const memory = config.kafka.adapter === 'memory'
  const jobs = pipelines.map(({ name }) => name)
  // A job speaks for itself once it runs; until then the process is not ready.
  for (const name of jobs) health.component(name)
  const kafka = health.component('kafka')
  kafka.failing('not reached yet')
  const runtime = await openRuntime(config, options)
  try {
    await ensureTopics(runtime, create || memory, jobs)
    kafka.ready()
    log.info({ kafka: runtime.broker.address }, 'topics are there')
    const policies = health.component('policies')
    policies.failing('not compared with the log yet')
    // What is in memory has no log from before that could differ.
    if (memory) await applyDefinitions(runtime)
    const definitions = await agreedDefinitions(runtime)
    if (definitions.length === 0 && jobs.includes('decide'))
      log.warn('no policy is defined: every request will be refused')
    policies.ready()
    if (jobs.includes('record')) {
      const clickhouse = health.component('clickhouse')
      clickhouse.failing('not reached yet')
      const { url } = await runtime.clickhouse()
      clickhouse.ready()
      log.info({ clickhouse: url }, 'tables are there')
    }
    return runtime
  } catch (error) {
    await runtime.close()
    throw error
  }
}
