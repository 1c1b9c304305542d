/**
 * The demo: the decision jobs on embedded parts, an environment of real digits beside them, everything in ClickHouse. With `exit` it runs to
 * the end and closes standard output with one line of JSON.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { redactedConfig } from '../../infra/config/load.ts'
import { startHttp } from '../../infra/http/server.ts'
import { createLog } from '../../infra/telemetry/log.ts'
import { Xoshiro128 } from '../../operators/numerics/random.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { ensureTopics } from '../checks/topics.ts'
import { type Opened, openRuntime } from '../process/open.ts'
import { type Progress, topicOf } from '../process/runtime.ts'
import { runWithMetrics, STREAMS } from '../run.ts'
import { applyDefinitions } from '../states/policies.ts'
import { demoConfiguration, POLICY } from './configuration.ts'
import { loadDigits } from './digits.ts'
import { Environment } from './environment.ts'
import { kafkaAt } from './kafka.ts'
import { ProgressLine } from './progress-line.ts'
import { countRows, rewardRates, type Summary } from './summary.ts'

export interface DemoOptions {
  /** Requests to publish; without end where absent. */
  readonly events?: number
  /** Run to the end, print the summary, and end. */
  readonly exit: boolean
  /** Requests a second where the demo keeps to a pace. */
  readonly rate: number
  readonly jobs: readonly string[]
  /** `local`, or `host:port[,host:port]`; in memory where absent. */
  readonly kafka?: string
  /** Address of a ClickHouse server; the embedded one where absent. */
  readonly clickhouse?: string
}

/** Nominal requests a second of event time when the demo goes as fast as it can: above any speed it reaches. */
const FULL_SPEED = 20_000
/** How long the end may take once every decision is there. */
const DRAIN_MS = 60_000

/** @param say where the text for people goes, a line at a time (standard output). */
export const runDemo = async (
  options: DemoOptions,
  stop: AbortSignal,
  say: (line: string) => void,
): Promise<void> => {
  for (const name of options.jobs) {
    if (name !== 'decide')
      throw new MillraceError('INVALID_CONFIG', `--jobs: there is no job "${name}" yet: there is decide`)
  }
  const stepMs = 1_000 / (options.exit ? FULL_SPEED : options.rate)
  const kafka = await kafkaAt(options.kafka, say)
  const models = await mkdtemp(join(tmpdir(), 'millrace-demo-'))
  try {
    const config = demoConfiguration(stepMs, kafka, models, options.clickhouse)
    const runtime = await openRuntime(config, { log: createLog(config.log), temporaryTables: true })
    try {
      await play(runtime, options, stepMs, stop, say)
    } finally {
      await runtime.close()
    }
  } finally {
    await kafka.stop()
    await rm(models, { recursive: true, force: true })
  }
}

const play = async (
  runtime: Opened,
  options: DemoOptions,
  stepMs: number,
  stop: AbortSignal,
  say: (line: string) => void,
): Promise<void> => {
  const { config, broker, codec, log, metrics, health, now } = runtime
  await ensureTopics(runtime, true)
  await applyDefinitions(runtime)
  const random = new Xoshiro128()
  random.seed(7, 11, 13, 17)
  // ClickHouse starts in a process of its own while the digits are read here.
  const starting = runtime.clickhouse()
  const digits = loadDigits(random.uniform)
  await starting
  const http = await startHttp({ ...config.http, health, metrics, config: () => redactedConfig(config), log })
  const watch = new Watch(metrics.resetLoopDelay)
  const running = new AbortController()
  const line = new ProgressLine(process.stderr)
  const environment = new Environment({
    broker,
    codec,
    topics: {
      requests: topicOf(config, 'decision-request'),
      decisions: topicOf(config, 'decision'),
      rewards: topicOf(config, 'reward'),
    },
    policy: POLICY,
    digits,
    events: options.events ?? Number.POSITIVE_INFINITY,
    stepMs,
    paced: !options.exit,
    now,
    onDecision: (_, right) => watch.decided(right),
  })
  introduce(runtime, http.url, say)
  const timer = setInterval(() => {
    watch.sample()
    line.show(environment, watch)
  }, 100)
  const pipelines = runWithMetrics(runtime, Object.values(STREAMS), running.signal, (progress) =>
    watch.take(progress),
  )
  // Whatever ends the pipelines before their time ends the demo with its reason.
  const failed = pipelines.then(
    () => new Promise<never>(() => {}),
    (error: unknown) => Promise.reject(error),
  )
  try {
    // The in-memory broker keeps what its consumers have still to read: all of them are there before anything is published.
    await Promise.race([watch.allOpened, aborted(stop), failed])
    await Promise.race([environment.run(stop), failed])
    if (options.exit && !stop.aborted) {
      const rows = await Promise.race([drained(runtime, environment, watch, stop), failed])
      line.clear()
      say(JSON.stringify(await summarise(runtime, environment, watch, rows)))
    } else if (!stop.aborted) {
      say('Every request is published and decided. Ctrl-C ends the demo.')
      await Promise.race([aborted(stop), failed])
    }
  } finally {
    clearInterval(timer)
    line.clear()
    running.abort()
    await pipelines.catch(() => {})
    await http.close()
  }
}

const aborted = (stop: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (stop.aborted) resolve()
    else stop.addEventListener('abort', () => resolve(), { once: true })
  })

const introduce = ({ config, broker, embedded }: Opened, url: string, say: (line: string) => void): void => {
  const server = embedded()
  say(
    `millrace demo: real handwritten digits, ten arms, a disjoint LinUCB policy that starts knowing nothing.`,
  )
  say(`  Kafka       ${broker.address}, ${config.topics.partitions} partitions a topic`)
  const where =
    server === null
      ? `${config.clickhouse.url}/play`
      : `${server.url}/play   user ${server.dashboard.username}   password ${server.dashboard.password}`
  say(`  ClickHouse  ${where}`)
  say(`              SELECT * FROM ${config.clickhouse.database}.learning_curve`)
  say(`  millrace    ${url}/metrics   ${url}/ready   ${url}/config`)
  if (broker.kind === 'memory')
    say(
      `  With Java and Maven installed, --kafka local runs the same on a real Kafka; --kafka host:port on yours.`,
    )
}

/** What the process itself sees of the run. */
class Watch {
  readonly committed: Record<string, number> = {}
  deadLetters = 0
  firstDecisionAt = 0
  lastOutcomeAt = 0
  rssMax = 0
  /** Mean reward of about the last thousand decisions. */
  recentRate = 0
  /** Resolves when every pipeline has opened a task. */
  readonly allOpened: Promise<void>
  private readonly onFirst: () => void
  private readonly unopened = new Set(Object.keys(STREAMS))
  private onAllOpened: () => void = () => {}

  constructor(onFirst: () => void) {
    this.onFirst = onFirst
    this.allOpened = new Promise((resolve) => {
      this.onAllOpened = resolve
    })
  }

  take({ pipeline, opened, sent, deadLetters }: Progress): void {
    if (opened && this.unopened.delete(pipeline) && this.unopened.size === 0) this.onAllOpened()
    for (const [name, count] of Object.entries(sent)) {
      this.committed[`${pipeline}:${name}`] = (this.committed[`${pipeline}:${name}`] ?? 0) + count
    }
    if (pipeline !== 'record') this.deadLetters += deadLetters
    if (sent['outcome'] !== undefined) this.lastOutcomeAt = performance.now()
  }

  /** Looks at the process, now and then. */
  sample(): void {
    this.rssMax = Math.max(this.rssMax, process.memoryUsage.rss())
  }

  decided(right: boolean): void {
    if (this.firstDecisionAt === 0) {
      this.firstDecisionAt = performance.now()
      // What came before was starting up.
      this.onFirst()
    }
    this.recentRate += ((right ? 1 : 0) - this.recentRate) / 1_000
  }
}

/** Waits until every window is closed and every record is in ClickHouse. */
const drained = async (runtime: Opened, environment: Environment, watch: Watch, stop: AbortSignal) => {
  const clickhouse = await runtime.clickhouse()
  const deadline = performance.now() + DRAIN_MS
  for (;;) {
    const rows = await countRows(clickhouse)
    const decisions = watch.committed['decide:decision'] ?? 0
    const outcomes = watch.committed['attribute:outcome'] ?? 0
    const done =
      decisions + watch.deadLetters >= environment.published &&
      outcomes === decisions &&
      rows.decisions === decisions &&
      rows.outcomes === outcomes &&
      rows.rewards === environment.rewarded &&
      rows.dead_letters === watch.deadLetters
    if (done || stop.aborted) return rows
    if (performance.now() > deadline) {
      const state = JSON.stringify({
        published: environment.published,
        rewarded: environment.rewarded,
        ...watch.committed,
        rows,
      })
      throw new Error(`not everything was recorded within ${DRAIN_MS / 1_000} s: ${state}`)
    }
    await sleep(50)
  }
}

/** What an installation before the start took (bin/install.mjs). */
const installMs = (): number =>
  performance.getEntriesByName('install', 'measure').reduce((ms, { duration }) => ms + duration, 0)

const summarise = async (
  runtime: Opened,
  environment: Environment,
  watch: Watch,
  rows: Awaited<ReturnType<typeof countRows>>,
): Promise<Summary> => {
  watch.sample()
  const outcomes = watch.committed['attribute:outcome'] ?? 0
  const { first, last } = await rewardRates(await runtime.clickhouse(), outcomes)
  const seconds = (watch.lastOutcomeAt - environment.firstPublishedAt) / 1_000
  const rounded = (value: number, digits: number) => Number(value.toFixed(digits))
  return {
    events: environment.published,
    decisions: watch.committed['decide:decision'] ?? 0,
    rewards: environment.rewarded,
    outcomes,
    deadLetters: watch.deadLetters,
    rows,
    rewardRateFirst: rounded(first, 4),
    rewardRateLast: rounded(last, 4),
    eventsPerSecond: rounded(seconds > 0 ? environment.published / seconds : 0, 1),
    firstDecisionMs: rounded(watch.firstDecisionAt - installMs(), 1),
    rssMaxMb: rounded(watch.rssMax / 2 ** 20, 1),
    loopDelayP99Ms: rounded(runtime.metrics.loopDelayP99Ms(), 2),
  }
}
