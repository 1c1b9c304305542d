/**
 * A process that serves: its HTTP surface for as long as it lives, and behind it one *life* of the pipelines after another. SIGHUP reads the
 * configuration again: one that is wrong is refused, with all that is wrong about it, and nothing else happens; with another the
 * pipelines end in order at a checkpoint, and a new life begins where they were committed. One that fails before it was ever ready
 * gives way to the one before.
 */
import { redactedConfig } from '../../infra/config/load.ts'
import type { Config } from '../../infra/config/schema.ts'
import { startHttp } from '../../infra/http/server.ts'
import type { Endpoint } from '../../infra/http/service.ts'
import { MemoryCluster } from '../../infra/kafka/memory.ts'
import { createMetrics } from '../../infra/telemetry/metrics.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Pipeline } from '../delivery/job.ts'
import { type Configured, Life } from './life.ts'

export interface ServeOptions {
  readonly first: Configured
  /** Reads the configuration again. @throws MillraceError INVALID_CONFIG, listing every problem */
  readonly load: () => Configured
  readonly pipelines: readonly Pipeline[]
  /** Whether millrace's own topics are made even where the configuration does not say so. */
  readonly createTopics: boolean
}

/** From the open port to the closed one. @throws what ends the pipelines before `stop` does */
export const serve = async (options: ServeOptions, stop: AbortSignal): Promise<void> => {
  const { first, load } = options
  const metrics = createMetrics()
  /** What is in memory outlives a life: it is nowhere else. */
  const cluster = new MemoryCluster()
  const endpoint: Endpoint = { service: null }
  const begin = (configured: Configured) =>
    new Life({ ...options, configured, metrics, endpoint, cluster, stop })
  let life = begin(first)
  let next: Configured | null = null
  const reload = () => {
    if (stop.aborted) return
    const { log } = life.configured
    try {
      next = keepingPort(load(), first.config)
      log.info('SIGHUP: the pipelines end in order, and go on with the configuration read now')
      life.end()
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      const { code, message } = error
      log.error({ code }, `SIGHUP: the configuration stays as it was. ${code}: ${message}`)
      metrics.reloaded('refused')
    }
  }
  const names = options.pipelines.map(({ name }) => name)
  const { host, port, token, bodyLimit } = first.config.http
  const serves = names.includes('serve')
  if (serves && token === undefined && !LOOPBACK.test(host))
    first.log.warn({ host }, 'anybody who reaches this address is answered: set http.token')
  const http = await startHttp({
    host,
    port,
    log: first.log,
    ...(token === undefined ? {} : { token }),
    ...(serves ? { service: { endpoint, bodyLimit, metrics: metrics.service } } : {}),
    metrics,
    health: { report: () => life.health.report() },
    config: () => redactedConfig(life.configured.config),
  })
  first.log.info({ url: http.url, pipelines: names }, 'starting')
  process.on('SIGHUP', reload)
  try {
    /** What the process goes back to. */
    let proven: Configured | null = null
    while (!stop.aborted) {
      try {
        await life.live()
        if (life.opened) proven = life.configured
      } catch (error) {
        if (
          !(error instanceof MillraceError) ||
          life.wasReady ||
          proven === null ||
          proven === life.configured
        )
          throw error
        const { code, message } = error
        life.configured.log.error({ code }, `back to the configuration before. ${code}: ${message}`)
        metrics.reloaded('refused')
        next ??= proven
      }
      if (stop.aborted || next === null) break
      const renewed: boolean = next !== proven
      life = begin(next)
      next = null
      if (renewed) life.onReady(() => metrics.reloaded('applied'))
    }
  } finally {
    process.off('SIGHUP', reload)
    await http.close()
    metrics.close()
  }
}

const LOOPBACK = /^(127\.|localhost$|::1$|\[::1\]$)/

/** What the process itself was begun with cannot change under it. */
const keepingPort = ({ config, log }: Configured, { http, shutdown }: Config): Configured => {
  for (const [key, now, then] of [
    ['http.host', config.http.host, http.host],
    ['http.port', config.http.port, http.port],
    ['http.token', config.http.token?.reveal(), http.token?.reveal()],
    ['http.bodyLimit', config.http.bodyLimit, http.bodyLimit],
    ['shutdown.grace', config.shutdown.grace, shutdown.grace],
  ])
    if (now !== then) log.warn({ key }, `${key} changes with a restart only`)
  return { config: { ...config, http, shutdown }, log }
}
