/**
 * A stage for the pipelines: a cluster (in memory, or a real Kafka) with topics of its own, the processes that run on it, and the hands
 * that publish, wait and read back. Its clock can be put forward: windows are too long to close before a test does that.
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, describe } from 'vitest'
import { loadConfig } from '../../infra/config/load.ts'
import type { Config } from '../../infra/config/schema.ts'
import { createMemoryBroker, type Fault, MemoryCluster } from '../../infra/kafka/memory.ts'
import type { ConsumedRecord, OutputRecord } from '../../infra/kafka/port.ts'
import { createLog } from '../../infra/telemetry/log.ts'
import { PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { ensureTopics, eventsOf } from '../../pipelines/checks/topics.ts'
import { type Opened, openRuntime } from '../../pipelines/process/open.ts'
import { type Progress, type Runtime, topicOf } from '../../pipelines/process/runtime.ts'
import { pipelinesNamed, runPipelines } from '../../pipelines/run.ts'
import { applyDefinitions, readDefinitions } from '../../pipelines/states/policies.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import { codeOf, MillraceError } from '../../schemas/errors.ts'
import type { EventName, EventTypes, PolicyDefinition } from '../../schemas/generated/events.ts'
import type { TestClickHouse } from '../clickhouse-server.ts'
import { acquireKafka, kafkaMissing, releaseKafka } from '../kafka-server.ts'

export const PATIENCE_MS = 40_000
/** Window of the stage's join in event time: longer than any test takes. */
export const WINDOW_MS = 240_000

/** Two policies: `dense` (an arm's own regression, three numbers of context) and `shared` (one regression over features of arms). */
export const POLICIES = [
  {
    name: 'dense',
    algorithm: { kind: 'linUcb', variant: 'disjoint', alpha: 0.25, lambda: 1 },
    features: { dense: 3, bias: true },
    explorationFloor: 0.05,
  },
  {
    name: 'shared',
    algorithm: { kind: 'linUcb', variant: 'shared', alpha: 0.5, lambda: 1 },
    features: { context: { dense: 2 }, arm: { names: ['price', 'margin'] }, interactions: true },
    explorationFloor: 0.05,
  },
] as const

export type ClusterKind = 'memory' | 'kafka'

export interface StageOptions {
  /** Configuration beside the stage's own, by dotted key. */
  readonly overrides?: Readonly<Record<string, unknown>>
  /** `max.message.bytes` by event. */
  readonly maxMessageBytes?: Partial<Readonly<Record<EventName, number>>>
  /** Topics of the user's own, beside millrace's. */
  readonly topics?: readonly string[]
  /** Whether the configured policies are in the log from the start (default true). */
  readonly applied?: boolean
  readonly clickhouse?: TestClickHouse
}

/** A record as it was read back, decoded. */
export interface Found<E extends EventName> {
  readonly event: EventTypes[E]
  readonly key: string | null
  readonly partition: number
  readonly offset: number
}

export interface Running {
  readonly progress: readonly Progress[]
  /** What ended it, once something did. */
  readonly failure: () => unknown
  /** Stops it in order. */
  stop(): Promise<void>
  /** The error that ends it. */
  failed(): Promise<unknown>
}

export class Stage {
  readonly kind: ClusterKind
  readonly config: Config
  /** Where its processes keep snapshots; goes with the stage. */
  readonly models: string
  private ahead = 0
  private readonly cluster = new MemoryCluster()
  private readonly options: StageOptions
  private readonly opened: Opened[] = []
  private readonly running: Running[] = []
  private main: Opened | null = null

  private constructor(kind: ClusterKind, config: Config, options: StageOptions) {
    this.kind = kind
    this.config = config
    this.models = config.models.directory
    this.options = options
  }

  static async open(kind: ClusterKind, bootstrap: string, options: StageOptions = {}): Promise<Stage> {
    const name = `t-${randomUUID().slice(0, 8)}`
    const clickhouse = await options.clickhouse?.options()
    const models = await mkdtemp(join(tmpdir(), 'millrace-models-'))
    const config = loadConfig({
      env: {},
      overrides: {
        app: name,
        'topics.prefix': `${name}.`,
        'topics.partitions': 4,
        'kafka.adapter': kind === 'memory' ? 'memory' : 'kafkajs',
        ...(kind === 'memory' ? {} : { 'kafka.brokers': [bootstrap] }),
        'join.window': `${WINDOW_MS}ms`,
        'join.grace': '0ms',
        'join.idleTimeout': '150ms',
        // The stage's clock runs ahead of the times in its records.
        'join.maxFutureSkew': '365d',
        'record.maxWait': '150ms',
        'clickhouse.url': clickhouse?.url,
        'clickhouse.username': clickhouse?.username,
        'clickhouse.password': clickhouse?.password || undefined,
        'clickhouse.database': `millrace_test_${name.slice(2)}`,
        'models.directory': models,
        policies: POLICIES,
        'log.level': 'silent',
        ...options.overrides,
      },
    })
    const stage = new Stage(kind, config, options)
    try {
      await stage.prepare()
      return stage
    } catch (error) {
      await stage.close()
      throw error
    }
  }

  /** The process that the test itself is: it publishes and reads, and may run pipelines too. */
  get runtime(): Opened {
    return this.main!
  }

  /** Every process opened so far. */
  get processes(): readonly Runtime[] {
    return this.opened
  }

  private async prepare(): Promise<void> {
    this.main = await this.process()
    const { admin } = this.main.broker
    const { maxMessageBytes = {}, topics = [], applied = true } = this.options
    // A broker in memory keeps what some consumer has still to read: tests look at what is long past.
    const kept = this.kind === 'memory' ? { 'retention.records': '-1' } : {}
    const config = (event: EventName) => ({
      ...kept,
      ...(event === 'policy-definition' || event === 'model' ? { 'cleanup.policy': 'compact' } : {}),
      ...(maxMessageBytes[event] === undefined ? {} : { 'max.message.bytes': `${maxMessageBytes[event]}` }),
    })
    const { partitions } = this.config.topics
    await admin.create([
      ...eventsOf(this.config).map((event) => ({
        topic: this.topic(event),
        partitions,
        config: config(event),
      })),
      ...topics.map((topic) => ({ topic, partitions, config: kept })),
    ])
    await ensureTopics(this.main, false)
    if (applied) await applyDefinitions(this.main)
  }

  /** Another process over the same cluster, perhaps with another configuration or a faulty cluster. */
  async process({
    config = this.config,
    fault,
  }: {
    config?: Config
    fault?: (id: string) => Fault | undefined
  } = {}): Promise<Opened> {
    const memory = { cluster: this.cluster, ...(fault === undefined ? {} : { fault }) }
    const runtime = await openRuntime(config, {
      log: createLog(config.log),
      now: () => this.time,
      ...(this.kind === 'memory' ? { broker: createMemoryBroker(memory) } : {}),
    })
    this.opened.push(runtime)
    return runtime
  }

  topic(event: EventName): string {
    return topicOf(this.config, event)
  }

  /** Runs pipelines in a process until stopped. `record` keeps to the wall clock, on which its blocks wait. */
  start(names: readonly string[], runtime: Runtime = this.runtime): Running {
    const controller = new AbortController()
    const progress: Progress[] = []
    let failure: unknown
    const ended = Promise.all(
      names.map((name) => {
        const own = name === 'record' ? { ...runtime, now: Date.now } : runtime
        return runPipelines(own, pipelinesNamed([name]), controller.signal, (each) => progress.push(each))
      }),
    ).then(
      () => {},
      (error: unknown) => {
        failure = error ?? new Error('it failed')
        controller.abort()
      },
    )
    const running: Running = {
      progress,
      failure: () => failure,
      stop: async () => {
        controller.abort()
        await ended
        this.forget(running)
      },
      failed: async () => {
        this.forget(running)
        await Promise.race([ended, sleep(PATIENCE_MS, undefined, { ref: false })])
        controller.abort()
        return failure
      },
    }
    this.running.push(running)
    return running
  }

  private forget(running: Running): void {
    const index = this.running.indexOf(running)
    if (index >= 0) this.running.splice(index, 1)
  }

  /** The clock of the stage's processes. */
  get time(): number {
    return Date.now() + this.ahead
  }

  /** Puts the clock forward. */
  pass(milliseconds: number): void {
    this.ahead += milliseconds
  }

  async publish<E extends EventName>(event: E, values: readonly EventTypes[E][]): Promise<void> {
    const { codec } = this.runtime
    await codec.prepare([event])
    const records = values.map((value) => ({
      topic: this.topic(event),
      key: Buffer.from((KEYS[event] as (value: EventTypes[E]) => string)(value)),
      value: codec.encode(event, value),
    }))
    await this.send(records)
  }

  async send(records: readonly OutputRecord[]): Promise<void> {
    const writer = await this.runtime.broker.writer()
    try {
      for (let at = 0; at < records.length; at += 200) await writer.send(records.slice(at, at + 200))
    } finally {
      await writer.close()
    }
  }

  /** All committed records of a topic now, in the order of partition and offset. */
  async records(topic: string): Promise<(ConsumedRecord & { readonly partition: number })[]> {
    const { broker } = this.runtime
    const offsets = await broker.admin.offsets(topic)
    const found: (ConsumedRecord & { readonly partition: number })[] = []
    await broker.read(
      {
        topic,
        from: new Map(offsets.map(({ partition, earliest }) => [partition, earliest])),
        to: new Map(offsets.map(({ partition, latest }) => [partition, latest])),
      },
      ({ partition, records }) => {
        for (const record of records) found.push({ ...record, partition })
      },
    )
    return found.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
  }

  /** All events of a topic now; what is none is passed over. */
  async events<E extends EventName>(event: E): Promise<Found<E>[]> {
    const { codec } = this.runtime
    const records = await this.records(this.topic(event))
    await codec.ensureSchemas(records.map(({ value }) => value))
    return records.flatMap(({ key, value, partition, offset }) => {
      try {
        return [{ event: codec.decode(event, value!), key: key?.toString() ?? null, partition, offset }]
      } catch {
        return []
      }
    })
  }

  /** Waits until a topic holds at least `count` records, and gives its events. */
  async eventually<E extends EventName>(event: E, count: number): Promise<Found<E>[]> {
    await this.until(`${count} of ${event}`, async () => (await this.count(this.topic(event))) >= count)
    return this.events(event)
  }

  async count(topic: string): Promise<number> {
    return (await this.records(topic)).length
  }

  /** Polls until a condition holds; a pipeline that fails meanwhile fails the wait. */
  async until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (!(await condition())) {
      for (const { failure } of this.running) if (failure() !== undefined) throw failure()
      if (performance.now() > deadline) throw new Error(`waited ${PATIENCE_MS} ms in vain for ${what}`)
      await sleep(15)
    }
  }

  /** Drops the records of a partition below an offset, as retention does; in memory only. */
  deleteRecords(event: EventName, partition: number, before: number): void {
    this.cluster.topic(this.topic(event)).log(partition).deleteBelow(before)
  }

  definitions(): Promise<PolicyDefinition[]> {
    return readDefinitions(this.runtime)
  }

  /** Definitions and outcomes of the log, folded: the states that every decider must hold. */
  async table(): Promise<PolicyTable> {
    const table = new PolicyTable(await this.definitions())
    for (const outcome of await this.events('outcome')) learnIfSound(table, outcome)
    return table
  }

  /** The bytes of every policy's state. */
  async states(): Promise<Record<string, string>> {
    const table = await this.table()
    return Object.fromEntries(
      [...table].map(({ name, policy }) => [name, Buffer.from(policy.snapshot()).toString('base64')]),
    )
  }

  /** Value of a metric's sample, 0 where it is not there. */
  async metric(sample: string, { metrics }: Runtime = this.runtime): Promise<number> {
    const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`${sample} `))
    return Number(line?.slice(sample.length + 1) ?? 0)
  }

  async close(): Promise<void> {
    for (const running of [...this.running]) await running.stop()
    if (this.options.clickhouse !== undefined && process.env['MILLRACE_TEST_CLICKHOUSE'] !== undefined) {
      const clickhouse = await this.runtime.clickhouse()
      await clickhouse.command(`DROP DATABASE IF EXISTS ${clickhouse.database} SYNC`)
    }
    for (const runtime of this.opened.splice(0).reverse()) await runtime.close()
    await rm(this.models, { recursive: true, force: true })
  }
}

/** Folds an outcome as every decider does: one that cannot be learned from changes nothing. */
export const learnIfSound = (table: PolicyTable, { event, offset }: Found<'outcome'>): void => {
  try {
    table.learn(event, offset)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
  }
}

/** The code of a failure. */
export const failureCode = (failure: unknown): string => {
  if (!(failure instanceof MillraceError)) throw failure ?? new Error('nothing failed')
  return codeOf(failure, 'INVALID_EVENT')
}

export interface Opening {
  /** A stage for one test. */
  (options?: StageOptions): Promise<Stage>
  /** A stage for all tests of the suite, opened by the first that asks. */
  readonly shared: (options: StageOptions, prepare: (stage: Stage) => Promise<void>) => Promise<Stage>
}

/** Runs a suite on the cluster in memory, and on a real Kafka where there is one. Stages are closed when they are done with. */
export const describeOnClusters = (
  name: string,
  body: (open: Opening, kind: ClusterKind) => void,
  kinds: readonly ClusterKind[] = ['memory', 'kafka'],
): void => {
  for (const kind of kinds) {
    describe.skipIf(kind === 'kafka' && kafkaMissing !== '')(`${name}, ${kind}`, () => {
      const stages: Stage[] = []
      let kafka: ReturnType<typeof acquireKafka> | null = null
      let shared: Promise<Stage> | null = null
      const openOne = async (options?: StageOptions): Promise<Stage> => {
        if (kind === 'memory') return Stage.open(kind, '', options)
        kafka ??= acquireKafka()
        return Stage.open(kind, (await kafka).bootstrap, options)
      }
      const open = async (options?: StageOptions): Promise<Stage> => {
        const stage = await openOne(options)
        stages.push(stage)
        return stage
      }
      const openShared: Opening['shared'] = (options, prepare) => {
        shared ??= openOne(options).then(async (stage) => {
          await prepare(stage)
          return stage
        })
        return shared
      }
      afterEach(async () => {
        for (const stage of stages.splice(0)) await stage.close()
      })
      afterAll(async () => {
        await shared?.then((stage) => stage.close())
        if (kafka !== null) await releaseKafka()
      })
      body(Object.assign(open, { shared: openShared }), kind)
    })
  }
}
