/**
 * The stage of one row: its own topics, database, configuration and workers on the shared servers; the flow of its world; what faults were
 * injected and how soon decisions came again; and the end, at which everything is brought to rest and judged.
 */
import { mkdirSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Kafka } from 'kafkajs'
import { type ClickHouse, connectClickHouse } from '../../infra/clickhouse/connect.ts'
import { migrate } from '../../infra/clickhouse/migrations.ts'
import type { ClickHouseProxy } from './clickhouse-proxy.ts'
import { type KafkaCluster, sharedClickHouse, sharedKafka, startKafka } from './cluster.ts'
import { configurationOf, merged, prepare, type Tree } from './configuration.ts'
import type { Evidence } from './evidence.ts'
import type { JoinRules } from './naive-join.ts'
import { JUDGED, judge } from './oracle.ts'
import { expectedRows, judgeClickHouse, rowsNow } from './oracle-clickhouse.ts'
import type { KafkaProxy } from './proxy.ts'
import { Publisher, SLOWEST } from './publisher.ts'
import { either, FOLDER } from './settings.ts'
import type { StageOptions, WorkerOptions } from './stage-options.ts'
import { expectEqual, type Verdict } from './tally.ts'
import { TopicLog } from './topic-log.ts'
import { Worker } from './worker.ts'
import { type Planned, plan, sentinels, type WorldOptions } from './world.ts'

const PARTITIONS = 4
const HOUR_MS = 3_600_000
/** Records a second where only the disk sets the pace. */
const HURRY_PER_SECOND = 5_000
/** How long a row may take to come to rest once its faults are over. */
const REST_MS = either(40_000, 600_000)

export class Stage {
  readonly name: string
  readonly options: StageOptions
  readonly kafka: KafkaCluster
  readonly clickhouseProxy: ClickHouseProxy
  readonly clickhouse: ClickHouse
  readonly world: WorldOptions
  /** What every worker is told, before its own `config`. */
  readonly config: Tree
  readonly prefix: string
  /** Committed records of every topic, as they come. */
  readonly log: TopicLog
  readonly workers: Worker[] = []
  /** What was done to it, in words. */
  readonly faults: string[] = []
  /** Lines for the row's report. */
  readonly notes: string[] = []
  /** How long each recovery took, in milliseconds, and how long after the tasks' opening readers saw it. */
  readonly recoveries: { readonly ms: number; readonly sessionMs: number; readonly readersMs: number }[] = []
  readonly folder: string
  /** Plain kafkajs, past the proxy. */
  readonly client: Kafka
  readonly #publisher: Publisher

  private constructor(
    of: Pick<
      Stage,
      | 'name'
      | 'options'
      | 'kafka'
      | 'clickhouse'
      | 'clickhouseProxy'
      | 'config'
      | 'log'
      | 'world'
      | 'prefix'
      | 'folder'
    >,
    client: Kafka,
    publisher: Publisher,
  ) {
    this.name = of.name
    this.options = of.options
    this.kafka = of.kafka
    this.clickhouse = of.clickhouse
    this.clickhouseProxy = of.clickhouseProxy
    this.config = of.config
    this.log = of.log
    this.world = of.world
    this.prefix = of.prefix
    this.folder = of.folder
    this.client = client
    this.#publisher = publisher
  }

  /** Makes the row's topics, applies its policies, and begins to read what is committed. */
  static async open(name: string, options: StageOptions): Promise<Stage> {
    const { requests = either(2_600, 26_000), policies = ['front'], recording = true } = options
    const { windowMs = 400, graceMs = 100, twiceEvery = 0, brokers = 1 } = options
    const folder = joinPath(FOLDER, name)
    mkdirSync(folder, { recursive: true })
    const [kafka, { server, proxy }] = await Promise.all([
      brokers === 1 ? sharedKafka() : startKafka(`${name}-kafka`, brokers),
      sharedClickHouse(),
    ])
    const prefix = `${name}.`
    const database = `millrace_test_${name.replaceAll('-', '_')}`
    const world: WorldOptions = {
      requests,
      policies,
      partitions: PARTITIONS,
      windowMs,
      graceMs,
      base: Date.now() - HOUR_MS,
      twiceEvery,
    }
    const { bootstrap } = kafka.local
    const { username, password } = server
    const surroundings = { name, prefix, folder, bootstrap, replicas: brokers }
    const config = merged(
      configurationOf(
        { ...surroundings, clickhouse: { url: proxy.url, username, password, database } },
        world,
      ),
      options.config ?? {},
    )
    await prepare(config, kafka.local.internal)
    const clickhouse = await connectClickHouse({ ...server, url: server.url, database })
    // Asked before any worker has made it, too.
    if (recording) await migrate(clickhouse, { eventDays: 180 })
    const client = kafka.client()
    const planned = plan(world).filter(options.only ?? (() => true))
    const publisher = await Publisher.open(client, prefix, PARTITIONS, planned)
    const log = await TopicLog.open(client, { topics: JUDGED.map((topic) => prefix + topic) })
    const of = {
      name,
      options,
      kafka,
      clickhouse,
      clickhouseProxy: proxy,
      config,
      log,
      world,
      prefix,
      folder,
    }
    return new Stage(of, client, publisher)
  }

  get proxy(): KafkaProxy {
    return this.kafka.proxy
  }

  /** Requests and rewards published. */
  get events(): number {
    return this.#publisher.events
  }

  /** Milliseconds of the session time-out in force. */
  get sessionMs(): number {
    const { sessionTimeout } = this.config['kafka'] as { sessionTimeout: string }
    return /ms$/.test(sessionTimeout)
      ? Number.parseFloat(sessionTimeout)
      : 1_000 * Number.parseFloat(sessionTimeout)
  }

  /** A worker of the row, not started yet; all jobs where none are named. Its name is its client id. Killed with the stage. */
  worker(name = 'worker', { jobs, config = {}, build }: WorkerOptions = {}): Worker {
    const { recording = true } = this.options
    const all = ['decide', 'attribute', ...(recording ? ['record'] : [])]
    const worker = new Worker(
      name,
      this.folder,
      jobs ?? all,
      merged(this.config, merged({ kafka: { clientId: name } }, config)),
      build,
    )
    this.workers.push(worker)
    return worker
  }

  /** Workers of these names, begun together; resolves when all tasks are open among them. */
  async started(names: readonly string[] = ['worker'], options?: WorkerOptions): Promise<Worker[]> {
    const workers = names.map((name) => this.worker(name, options).start())
    await Promise.all(workers[0]!.jobs.map((job) => this.opened(job)))
    return workers
  }

  /** Waits until every partition's task of a job was opened by some worker that lives. */
  async opened(job: string): Promise<void> {
    await this.until(`all tasks of ${job}`, () => {
      const dead = this.workers.find(({ alive, lives }) => lives > 0 && !alive)
      if (dead !== undefined) throw new Error(`${dead.name} has ended\n${dead.tail()}`)
      return new Set(this.workers.flatMap((worker) => [...worker.tasks(job)])).size === PARTITIONS
    })
  }

  /**
   * Publishes the world, so many records a second, in the background. The last quarter comes ever more slowly, so that there is something to
   * decide for as long as the row's faults take on a slow machine; `rest` publishes what is left as fast as it goes.
   */
  flow(perSecond: number): void {
    this.#publisher.flow(perSecond)
  }

  /** As `flow`, for rows that look at outcomes: the first windows are published at once, since nothing closes before them. Resolves when outcomes come. */
  async flowToOutcomes(perSecond: number): Promise<void> {
    const { windowMs, graceMs, requests } = this.world
    this.flow(HURRY_PER_SECOND)
    await this.publishedShare((1.5 * (windowMs + graceMs)) / requests)
    this.pace(SLOWEST)
    await this.until('outcomes come', () => this.count('outcomes') > 0)
    this.pace(perSecond)
  }

  /** From now on so many records a second. */
  pace(perSecond: number): void {
    this.#publisher.pace(perSecond)
  }

  /** Resolves when the whole world is published. */
  flowed(): Promise<void> {
    return this.#publisher.flowed()
  }

  /** Waits until so large a share of the world is published. */
  publishedShare(share: number): Promise<void> {
    return this.#publisher.publishedShare(share)
  }

  /** Publishes records beside the world. Those with the header `expect: CODE` shall become dead letters. */
  send(records: readonly Planned[]): Promise<void> {
    return this.#publisher.send(records)
  }

  /** Notes an injected fault. Returns when it was, for `recovered`. */
  fault(what: string): number {
    this.faults.push(what)
    return Date.now()
  }

  /**
   * Waits until, in every partition, a decision made after `since` is there for readers of committed records.
   * @param sessionMs what of the time is the group's session time-out, told apart.
   * @returns milliseconds from `since` to there, the session aside
   */
  async recovered(since: number, sessionMs = 0, patienceMs = REST_MS): Promise<number> {
    const deadline = Date.now() + patienceMs
    for (;;) {
      const first = new Map<number, number>()
      for (const { partition, timestamp, at } of this.log.seen(`${this.prefix}decisions`))
        if (timestamp > since) first.set(partition, Math.min(at, first.get(partition) ?? at))
      if (first.size === PARTITIONS) {
        const at = Math.max(...first.values())
        const ms = Math.max(0, at - since - sessionMs)
        this.recoveries.push({ ms, sessionMs, readersMs: Math.max(0, at - this.#openedBefore(at, since)) })
        return ms
      }
      if (Date.now() > deadline)
        throw new Error(
          `no decision in ${PARTITIONS - first.size} of ${PARTITIONS} partitions\n${this.tails()}`,
        )
      await sleep(20)
    }
  }

  /** When the last task of `decide` was opened between two moments; the later one where none was. */
  #openedBefore(at: number, since: number): number {
    const opened = this.workers
      .flatMap(({ lines }) => lines)
      .filter(
        ({ msg, time, ...rest }) =>
          msg === 'task opened' && rest['job'] === 'decide' && time >= since && time <= at,
      )
      .map(({ time }) => time)
    return opened.length === 0 ? at : Math.max(...opened)
  }

  /** Puts a figure of the row's own into its line. */
  note(what: string): void {
    this.notes.push(what)
  }

  /** Decisions, outcomes, … that readers of committed records have seen. */
  count(topic: (typeof JUDGED)[number]): number {
    return this.log.count(this.prefix + topic)
  }

  /** Waits for something, by polling. @throws Error after `patienceMs` */
  async until(what: string, probe: () => boolean | Promise<boolean>, patienceMs = REST_MS): Promise<void> {
    const deadline = Date.now() + patienceMs
    while (!(await probe())) {
      if (Date.now() > deadline) throw new Error(`${what}: not within ${patienceMs} ms\n${this.tails()}`)
      await sleep(30)
    }
  }

  /**
   * Brings the row to its end: the rest of the world and the end of event time are published, everything is decided, joined and recorded, the
   * workers end in order, and the oracle judges.
   */
  async rest(): Promise<Verdict> {
    await this.#publisher.hurry()
    const deferred = (this.config['join'] as { activation?: string }).activation === 'deferred'
    const ends = this.options.ends === 'clock' ? [] : sentinels(this.world, deferred)
    await this.#publisher.end(ends)
    const late = await this.#settled(ends.filter(({ topic }) => topic === 'decision-requests').length)
    const ended = await Promise.all(
      this.workers
        .filter(({ alive }) => alive)
        .map(async (worker) => [worker.name, await worker.stop()] as const),
    )
    const topics = JUDGED.map((topic) => this.prefix + topic)
    await TopicLog.mark(this.client, topics, PARTITIONS)
    await this.log.readToEnd(PARTITIONS)
    const verdict = judge(this.evidence)
    if (this.options.recording !== false)
      await judgeClickHouse(verdict, this.clickhouse, this.log, this.prefix)
    for (const what of late) verdict.differences.push(what)
    for (const [name, { code, signal }] of ended)
      expectEqual(verdict, `how ${name} ended`, '0', String(code ?? signal))
    if (verdict.differences.length > 0) verdict.differences.push(this.tails())
    return verdict
  }

  /** What the oracle judges by. */
  get evidence(): Evidence {
    const { windowMs, graceMs } = this.world
    const { rewards = 'first' } = this.config['join'] as Pick<JoinRules, 'rewards'>
    const join = { windowMs, graceMs, defaultReward: 0, rewards }
    const { ledgersWhole = true } = this.options
    const models = joinPath(this.folder, 'models')
    return { log: this.log, prefix: this.prefix, models, join, ledgersWhole }
  }

  /** Waits until all is decided, joined and recorded; says what never was. */
  async #settled(ends: number): Promise<string[]> {
    const requests = `${this.prefix}decision-requests`
    const { requests: published, letters, refused } = this.#publisher
    const complete = () => {
      const asked = this.log.count(requests) - refused
      // What is cheap to know first: the ids are only counted when all else is there.
      if (asked < published + ends || this.count('decisions') < asked) return false
      if (this.count('dead-letters') < letters) return false
      const ids = new Set<string>()
      for (const { key, headers } of this.log.seen(requests))
        if (headers['expect'] === undefined && headers['reason'] === undefined) ids.add(key)
      return this.count('outcomes') >= ids.size - ends
    }
    const recorded = async () => {
      const [rows, expected] = [await rowsNow(this.clickhouse), expectedRows(this.log, this.prefix)]
      return Object.entries(expected).every(([table, count]) => rows[table as keyof typeof rows] >= count)
    }
    const late: string[] = []
    const wait = (what: string, probe: () => boolean | Promise<boolean>) =>
      this.until(what, probe).catch((error: Error) => late.push(error.message.split('\n')[0]!))
    await wait('all is decided and joined', complete)
    if (this.options.recording !== false) await wait('all is recorded', recorded)
    return late
  }

  /** The ends of the workers' logs. */
  tails(): string {
    return this.workers.map((worker) => `${worker.name}:\n${worker.tail()}`).join('\n')
  }

  async close(): Promise<void> {
    this.proxy.heal()
    this.clickhouseProxy.heal()
    await Promise.all(this.workers.filter(({ alive }) => alive).map((worker) => worker.kill()))
    await Promise.all([this.log.close(), this.#publisher.close(), this.clickhouse.close()])
    if (this.options.brokers === 3) {
      await this.kafka.local.stop()
      this.kafka.proxy.close()
    }
  }
}
