/**
 * The demo: the jobs on embedded parts, a world for each beside them (digits that ask for decisions, glosses that want labels), everything in ClickHouse. With `exit` the
 * worlds play to their ends, one after the other so that each is measured alone, and one line of JSON closes standard output.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { redactedConfig } from '../../infra/config/load.ts'
import { startHttp } from '../../infra/http/server.ts'
import { LiveLine } from '../../infra/process/live-line.ts'
import { createLog } from '../../infra/telemetry/log.ts'
import { ensureTopics } from '../checks/topics.ts'
import { type Opened, openRuntime } from '../process/open.ts'
import { runWithMetrics } from '../run.ts'
import { applyDefinitions } from '../states/policies.ts'
import { demoConfiguration } from './configuration.ts'
import { type DocumentPlan, endlessPlan, planOf } from './document-plan.ts'
import type { DocumentWorld } from './documents.ts'
import type { Environment } from './environment.ts'
import { kafkaAt } from './kafka.ts'
import { countRows, type Rows, rewardRates, type Summary } from './summary.ts'
import { Watch } from './watch.ts'
import { decisionWorld, documentWorld, type Job, jobsNamed, pipelinesOf } from './worlds.ts'

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
/** Documents for each so many requests, where the demo keeps to a pace. */
const REQUESTS_PER_DOCUMENT = 10
/** Between two lines of progress where these are no terminal's. */
const PLAIN_EVERY_MS = 5_000
/** How long the end may take once every decision is there. */
const DRAIN_MS = 60_000

/** The worlds that are there, and what was seen of them. */
interface Played {
  readonly watch: Watch
  decisions: Environment | null
  documents: DocumentWorld | null
  /** While decisions were made; of the documents where only these are. */
  loopDelayP99Ms: number
}

/** @param say where the text for people goes, a line at a time (standard output). */
export const runDemo = async (
  options: DemoOptions,
  stop: AbortSignal,
  say: (line: string) => void,
): Promise<void> => {
  const jobs = jobsNamed(options.jobs)
  const stepMs = 1_000 / (options.exit ? FULL_SPEED : options.rate)
  const rate = options.exit ? undefined : options.rate / REQUESTS_PER_DOCUMENT
  const plan = rate === undefined ? planOf(options.events ?? 0) : endlessPlan(rate)
  const kafka = await kafkaAt(options.kafka, say)
  const models = await mkdtemp(join(tmpdir(), 'millrace-demo-'))
  try {
    const documents = jobs.has('tag') ? plan : null
    const config = demoConfiguration(stepMs, kafka, models, documents, options.clickhouse)
    const runtime = await openRuntime(config, { log: createLog(config.log), temporaryTables: true })
    try {
      await play(runtime, options, { jobs, stepMs, plan, rate }, stop, say)
    } finally {
      await runtime.close()
    }
  } finally {
    await kafka.stop()
    await rm(models, { recursive: true, force: true })
  }
}

interface Play {
  readonly jobs: ReadonlySet<Job>
  readonly stepMs: number
  readonly plan: DocumentPlan
  readonly rate: number | undefined
}

const play = async (
  runtime: Opened,
  options: DemoOptions,
  { jobs, stepMs, plan, rate }: Play,
  stop: AbortSignal,
  say: (line: string) => void,
): Promise<void> => {
  const { config, health, metrics, log } = runtime
  await ensureTopics(runtime, true)
  await applyDefinitions(runtime)
  const streams = pipelinesOf(jobs)
  const watch = new Watch(
    streams.map(({ name }) => name),
    metrics.resetLoopDelay,
  )
  // ClickHouse starts in a process of its own while the digits are read here.
  const starting = runtime.clickhouse()
  const events = options.events ?? Number.POSITIVE_INFINITY
  const decisions = jobs.has('decide')
    ? decisionWorld(runtime, { events, stepMs, paced: !options.exit }, watch)
    : null
  const played: Played = { watch, decisions, documents: null, loopDelayP99Ms: 0 }
  await starting
  const http = await startHttp({ ...config.http, health, metrics, config: () => redactedConfig(config), log })
  const running = new AbortController()
  const line = new LiveLine(process.stderr, PLAIN_EVERY_MS)
  const started = performance.now()
  introduce(runtime, jobs, http.url, say)
  const timer = setInterval(() => {
    watch.sample()
    line.show(() => progressOf(played, (performance.now() - started) / 1_000).join('; '))
  }, 100)
  const pipelines = runWithMetrics(runtime, streams, running.signal, (progress) => watch.take(progress))
  // Whatever ends the pipelines before their time ends the demo with its reason.
  const failed = pipelines.then(
    () => new Promise<never>(() => {}),
    (error: unknown) => Promise.reject(error),
  )
  const decide = async () => {
    await decisions?.run(stop)
    played.loopDelayP99Ms = metrics.loopDelayP99Ms()
  }
  const tag = async () => {
    if (!jobs.has('tag')) return
    played.documents = await documentWorld(runtime, plan, rate)
    await played.documents.run(stop)
    if (decisions === null) played.loopDelayP99Ms = metrics.loopDelayP99Ms()
  }
  try {
    // The in-memory broker keeps what its consumers have still to read: all of them are there before anything is published.
    await Promise.race([watch.allOpened, aborted(stop), failed])
    if (options.exit) {
      await Promise.race([decide().then(tag), failed])
      if (stop.aborted) return
      const rows = await Promise.race([drained(runtime, played, stop), failed])
      line.clear()
      say(JSON.stringify(await summarise(runtime, played, rows)))
    } else {
      const deciding = decide().then(() => {
        if (decisions !== null && !stop.aborted)
          say('Every request is published and decided. Ctrl-C ends the demo.')
      })
      await Promise.race([Promise.all([deciding, tag(), aborted(stop)]), failed])
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

const progressOf = ({ watch, decisions, documents }: Played, seconds: number): string[] => {
  const parts: string[] = []
  if (decisions !== null) {
    const { decided, rewarded } = decisions
    const perSecond = Math.round(decided / seconds)
    parts.push(
      `${decided} decided (${perSecond}/s), ${rewarded} rewards, reward rate ${watch.recentRate.toFixed(3)}`,
    )
  }
  if (documents !== null) {
    const { tagged, live, precision } = documents
    const right = precision.get(live)
    parts.push(
      `${tagged} documents tagged, model ${live}${right === undefined ? '' : ` right for ${right.toFixed(3)}`}`,
    )
  }
  return parts
}

const introduce = (
  { config, broker, embedded }: Opened,
  jobs: ReadonlySet<Job>,
  url: string,
  say: (line: string) => void,
): void => {
  const server = embedded()
  const database = config.clickhouse.database
  say('millrace demo:')
  if (jobs.has('decide'))
    say(
      `  decide      real handwritten digits, ten arms, a disjoint LinUCB policy that starts knowing nothing`,
    )
  if (jobs.has('tag'))
    say(
      `  tag         glosses of WordNet and what they are kinds of, a model that is trained again as more of them come`,
    )
  say(`  Kafka       ${broker.address}, ${config.topics.partitions} partitions a topic`)
  const where =
    server === null
      ? `${config.clickhouse.url}/play`
      : `${server.url}/play   user ${server.dashboard.username}   password ${server.dashboard.password}`
  say(`  ClickHouse  ${where}`)
  if (jobs.has('decide')) say(`              SELECT * FROM ${database}.learning_curve`)
  if (jobs.has('tag')) say(`              SELECT * FROM ${database}.model_versions`)
  say(`  millrace    ${url}/metrics   ${url}/ready   ${url}/config`)
  if (broker.kind === 'memory')
    say(
      `  With Java and Maven installed, --kafka local runs the same on a real Kafka; --kafka host:port on yours.`,
    )
}

/** Waits until every window is closed and every record is in ClickHouse. */
const drained = async (
  runtime: Opened,
  { watch, decisions: asked, documents }: Played,
  stop: AbortSignal,
): Promise<Rows> => {
  const clickhouse = await runtime.clickhouse()
  const deadline = performance.now() + DRAIN_MS
  const published = asked?.published ?? 0
  const rewarded = asked?.rewarded ?? 0
  for (;;) {
    const rows = await countRows(clickhouse, documents !== null)
    const decisions = watch.count('decide', 'decision')
    const outcomes = watch.count('attribute', 'outcome')
    const done =
      decisions + watch.deadLetters >= published &&
      outcomes === decisions &&
      rows.decisions === decisions &&
      rows.outcomes === outcomes &&
      rows.rewards === rewarded &&
      rows.dead_letters === watch.deadLetters &&
      (rows.document_labels ?? 0) === watch.count('tag', 'document-labels') &&
      (rows.models ?? 0) === watch.count('retrain', 'model')
    if (done || stop.aborted) return rows
    if (performance.now() > deadline) {
      const state = JSON.stringify({ published, rewarded, ...watch.committed, rows })
      throw new Error(`not everything was recorded within ${DRAIN_MS / 1_000} s: ${state}`)
    }
    await sleep(50)
  }
}

/** What an installation before the start took (bin/install.mjs). */
const installMs = (): number =>
  performance.getEntriesByName('install', 'measure').reduce((ms, { duration }) => ms + duration, 0)

const summarise = async (runtime: Opened, played: Played, rows: Rows): Promise<Summary> => {
  const { watch, decisions, documents } = played
  watch.sample()
  const outcomes = watch.count('attribute', 'outcome')
  const published = decisions?.published ?? 0
  const { first, last } = await rewardRates(await runtime.clickhouse(), outcomes)
  const seconds = (watch.lastOutcomeAt - (decisions?.firstPublishedAt ?? 0)) / 1_000
  const firstDecisionMs = decisions === null ? 0 : watch.firstDecisionAt - installMs()
  return {
    events: published,
    decisions: watch.count('decide', 'decision'),
    rewards: decisions?.rewarded ?? 0,
    outcomes,
    deadLetters: watch.deadLetters,
    rows,
    rewardRateFirst: rounded(first, 4),
    rewardRateLast: rounded(last, 4),
    eventsPerSecond: rounded(seconds > 0 ? published / seconds : 0, 1),
    firstDecisionMs: rounded(firstDecisionMs, 1),
    rssMaxMb: rounded(watch.rssMax / 2 ** 20, 1),
    loopDelayP99Ms: rounded(played.loopDelayP99Ms, 2),
    ...(documents === null
      ? {}
      : {
          documents: {
            tagged: documents.tagged,
            labels: documents.labels,
            retrains: documents.trainings,
            precisionAt1: [...documents.precision.values()].map((precision) => rounded(precision, 4)),
          },
        }),
  }
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))
