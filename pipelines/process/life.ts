/** One life of a process: everything under one configuration, from its opening to its end in order. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../../infra/config/schema.ts'
import { createHealth, type Health } from '../../infra/http/health.ts'
import type { Endpoint } from '../../infra/http/service.ts'
import { createMemoryBroker, type MemoryCluster } from '../../infra/kafka/memory.ts'
import type { Log } from '../../infra/telemetry/log.ts'
import type { Metrics } from '../../infra/telemetry/metrics.ts'
import { ensureTopics, retentionProblems } from '../checks/topics.ts'
import type { Pipeline } from '../delivery/job.ts'
import { runWithMetrics } from '../run.ts'
import { agreedDefinitions, applyDefinitions } from '../states/policies.ts'
import { type Opened, openRuntime } from './open.ts'

/** A configuration and the log that it asks for. */
export interface Configured {
  readonly config: Config
  readonly log: Log
}

export interface LifeOptions {
  readonly configured: Configured
  readonly pipelines: readonly Pipeline[]
  /** Whether millrace's own topics are made even where the configuration does not say so. */
  readonly createTopics: boolean
  readonly metrics: Metrics
  /** Where what answers over HTTP is put. */
  readonly endpoint: Endpoint
  /** Where topics are in memory. */
  readonly cluster: MemoryCluster
  /** The end of the process. */
  readonly stop: AbortSignal
}

/** One life, which is lived once. */
export class Life {
  readonly health: Health = createHealth()
  /** Whether everything that it stands on was opened. */
  opened = false
  wasReady = false
  private readonly options: LifeOptions
  private readonly ended = new AbortController()

  constructor(options: LifeOptions) {
    this.options = options
    this.onReady(() => {
      this.wasReady = true
    })
  }

  get configured(): Configured {
    return this.options.configured
  }

  /** Tells once, when it is ready for the first time. */
  onReady(told: () => void): void {
    void this.health.firstReady.then(told)
  }

  /** Ends it in order. */
  end(): void {
    this.ended.abort()
  }

  /** Runs until `end` or the stop, and closes everything. */
  async live(): Promise<void> {
    const { health } = this
    const { pipelines, stop } = this.options
    const ending = AbortSignal.any([stop, this.ended.signal])
    const opening = this.open()
    const runtime = await Promise.race([opening, aborted(ending)])
    if (runtime === null) {
      // Nothing has been pulled yet, and what is waited for may not answer: there is nothing to end in order.
      if (stop.aborted) process.exit(0)
      void opening.then(
        (late) => late.close(),
        () => {},
      )
      return
    }
    this.opened = true
    const say = () => health.component('process').failing(stop.aborted ? 'stopping' : 'reloading')
    ending.addEventListener('abort', say, { once: true })
    // A server that answers no more is not waited for: a commit in doubt is decided by the positions that the next opening finds.
    const running = runWithMetrics(runtime, pipelines, ending)
    const { log, config } = this.configured
    const bound = config.shutdown.grace / 3
    try {
      const late = aborted(ending).then(() => sleep(bound, 'late', { ref: false }))
      if ((await Promise.race([running, late])) === 'late')
        log.warn('what was under way did not end in time: it is done again')
    } finally {
      running.catch(() => {})
      await Promise.race([runtime.close(), sleep(bound, undefined, { ref: false })])
    }
  }

  /** Opens what the pipelines stand on, and makes sure that they may run. */
  private async open(): Promise<Opened> {
    const { health } = this
    const { pipelines, createTopics, metrics, endpoint, cluster } = this.options
    const { config, log } = this.configured
    const memory = config.kafka.adapter === 'memory'
    const jobs = pipelines.map(({ name }) => name)
    // A job speaks for itself once it runs; until then the process is not ready.
    for (const name of jobs) health.component(name)
    const kafka = health.component('kafka')
    kafka.failing('not reached yet')
    const broker = memory ? { broker: createMemoryBroker({ cluster }) } : {}
    const runtime = await openRuntime(config, { log, health, metrics, endpoint, ...broker })
    try {
      await ensureTopics(runtime, createTopics || config.topics.create || memory, jobs)
      kafka.ready()
      log.info({ kafka: runtime.broker.address }, 'topics are there')
      if (jobs.includes('attribute')) await warnOfRetention(runtime)
      const policies = health.component('policies')
      policies.failing('not compared with the log yet')
      // What is in memory has no log from before that could differ.
      if (memory) await applyDefinitions(runtime)
      const definitions = await agreedDefinitions(runtime)
      if (definitions.length === 0 && jobs.some((name) => name === 'decide' || name === 'serve'))
        log.warn('no policy is defined: every request will be refused')
      policies.ready()
      return runtime
    } catch (error) {
      await runtime.close()
      throw error
    }
  }
}

/** A topic that keeps too little costs nothing until a restart comes late: said, not refused. Who may not ask is not told. */
const warnOfRetention = async (runtime: Opened): Promise<void> => {
  const problems = await retentionProblems(runtime).catch(() => [])
  for (const problem of problems)
    runtime.log.warn({ code: 'RETENTION_TOO_SHORT' }, `RETENTION_TOO_SHORT: ${problem}`)
}

const aborted = async (signal: AbortSignal): Promise<null> => {
  if (!signal.aborted) await once(signal, 'abort')
  return null
}
