/**
 * What millrace counts about itself, in Prometheus' terms, behind a small interface: pipelines bind a job or a policy once and then
 * call plain functions. Labels are few and bounded: jobs, topics, partitions, policies, error codes; never ids. A count or an
 * observation costs less than a microsecond.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { ErrorCode } from '../../schemas/errors.ts'
import { watchEventLoop } from './event-loop.ts'

export interface JobMetrics {
  /** Records taken in. */
  received(count: number): void
  /** Records committed to topics or inserted into tables. */
  sent(count: number): void
  deadLetter(code: ErrorCode, count?: number): void
  /** One batch, from its arrival to its commit. */
  committed(seconds: number): void
  /** Records between the position and the end of a partition. */
  lag(topic: string, partition: number, records: number): void
  /** Decisions that wait for their reward. */
  pending(partition: number, decisions: number): void
  /** A decision took so long, on the average of its batch. */
  decided(seconds: number): void
  /** Decisions or rewards that made no outcome, by why (the join's closed list). */
  reason(reason: string, count: number): void
  /** What became of all that a task of the join has taken in: `taken = used + pending + Σ reasons`, or the metric of imbalance says so. */
  ledger(partition: number, kind: string, ledger: LedgerCounts): void
  /** A partition left this process: its gauges go, so that nobody reads a stale number. */
  forget(partition: number): void
}

/** Counts of one kind (decisions, rewards, activations) since a task's first commit. */
export interface LedgerCounts {
  readonly taken: number
  readonly used: number
  readonly pending: number
  readonly reasons: Readonly<Record<string, number>>
}

export interface PolicyMetrics {
  /** Offset in `outcomes` up to which (exclusive) the state has learned. */
  stateOffset(offset: number): void
  /** The `stateOffset` of the newest snapshot: a restart learns again what lies behind it. */
  snapshotOffset(offset: number): void
}

/** What a model of documents does, and how it is trained again. */
export interface ModelMetrics {
  /** The version that tags here; 0 while none is served. */
  served(version: number): void
  /** Documents that came while no model was served, and got no labels. */
  untagged(count: number): void
  /** A version was trained: promoted, or kept beside the one served. */
  retrained(result: 'promoted' | 'kept', seconds: number): void
  /** Training was due, and did not come to a version. */
  retrainSkipped(reason: string): void
}

/** What is answered over HTTP, and what waits to be written because of it. */
export interface ServiceMetrics {
  /** A request was answered: with `OK`, or with the code of why not. */
  answered(route: string, code: string, seconds: number): void
  /** A default arm was served, and nothing logged, because of this. */
  unlogged(why: 'full' | 'away'): void
  /** Records that wait to be written. */
  queued(records: number): void
  /** Records that were answered for and never written. */
  lost(count: number): void
}

export interface Metrics {
  job(job: string): JobMetrics
  readonly service: ServiceMetrics
  policy(policy: string): PolicyMetrics
  model(model: string): ModelMetrics
  /** The configuration was read again: taken up, or refused and the old one kept. */
  reloaded(result: 'applied' | 'refused'): void
  /** 99th percentile of the event loop's delay, milliseconds, since the start or `resetLoopDelay`. */
  loopDelayP99Ms(): number
  resetLoopDelay(): void
  /** Every number now: counters, gauges, and of a histogram its sum and count. */
  samples(): Promise<Sample[]>
  /** Everything in Prometheus' text format. */
  text(): Promise<string>
  readonly contentType: string
  /** Ends the sampling of the event loop. */
  close(): void
}

/** One number at a moment. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const LEDGER_PARTS = ['taken', 'used', 'pending', 'reasons'] as const
const BATCH_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const ANSWER_SECONDS = [0.25, 0.5, 1, 2, 3, 5, 10, 25, 50, 100, 1_000, 10_000].map((ms) => ms / 1e3)
const DECIDE_SECONDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 20_000].map((us) => us / 1e6)

/** Metrics with a registry of their own, the process's included. */
export const createMetrics = (): Metrics => {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const loop = watchEventLoop()
  new Gauge({
    name: 'millrace_event_loop_delay_p99_seconds',
    help: '99th percentile of the event loop delay since the start.',
    registers,
    collect() {
      this.set(loop.p99Ms() / 1e3)
    },
  })
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name: `millrace_${name}`, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge({ name: `millrace_${name}`, help, labelNames, registers })
  const histogram = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: number[],
  ) => new Histogram({ name: `millrace_${name}`, help, labelNames, buckets, registers })

  const received = counter('events_in_total', 'Records taken in.', ['job'])
  const sent = counter('events_out_total', 'Records committed to topics or inserted into tables.', ['job'])
  const deadLetters = counter('dead_letters_total', 'Records that could not be processed.', ['job', 'code'])
  const commits = counter('commits_total', 'Batches committed.', ['job'])
  const batch = histogram(
    'batch_seconds',
    'From the arrival of a batch to its commit.',
    ['job'],
    BATCH_SECONDS,
  )
  const lag = gauge('lag_records', 'Records not yet processed.', ['job', 'topic', 'partition'])
  const pending = gauge('join_pending', 'Decisions that wait for their reward.', ['job', 'partition'])
  const reasons = counter('join_reasons_total', 'Decisions and rewards that made no outcome.', [
    'job',
    'reason',
  ])
  const ledgers = gauge(
    'ledger',
    'What a task of the join has taken in since its first commit, and what became of it.',
    ['job', 'partition', 'kind', 'part'],
  )
  const imbalance = gauge(
    'ledger_imbalance',
    'Taken less used, pending and reasons, over all partitions of this process: 0 while nothing is lost.',
    ['job', 'kind'],
  )
  const decide = histogram(
    'decide_seconds',
    'Time of one decision, the mean of its batch.',
    [],
    DECIDE_SECONDS,
  )
  const offset = gauge('policy_state_offset', 'Offset in outcomes up to which a policy has learned.', [
    'policy',
  ])
  const snapshot = gauge('snapshot_offset', 'Offset in outcomes of the newest snapshot of a policy.', [
    'policy',
  ])
  const served = gauge('model_version', 'Version of a model that tags in this process; 0 for none.', [
    'model',
  ])
  const untagged = counter('untagged_total', 'Documents that came while no model was served.', ['model'])
  const retrains = counter('retrains_total', 'Versions trained, by what became of them.', ['model', 'result'])
  const retrainSeconds = gauge('retrain_seconds', 'How long the newest version took to be trained.', [
    'model',
  ])
  const retrainSkipped = counter('retrain_skipped_total', 'Trainings that came to no version, by why.', [
    'model',
    'reason',
  ])
  const reloads = counter('config_reloads_total', 'Configurations read again, by what became of them.', [
    'result',
  ])

  const answers = counter('http_requests_total', 'Requests of the service answered, by code.', [
    'route',
    'code',
  ])
  const answerSeconds = histogram(
    'http_request_seconds',
    'From the head of a request of the service to its answer.',
    ['route'],
    ANSWER_SECONDS,
  )
  const queued = gauge('serve_queue_records', 'Records of the service that wait to be written.', [])
  const unlogged = counter('serve_unlogged_total', 'Default arms served with nothing logged.', ['why'])
  const lost = counter('serve_lost_total', 'Records of the service answered for and never written.', [])

  return {
    service: {
      answered: (route, code, seconds) => {
        answers.labels(route, code).inc()
        answerSeconds.labels(route).observe(seconds)
      },
      unlogged: (why) => unlogged.labels(why).inc(),
      queued: (records) => queued.set(records),
      lost: (count) => lost.inc(count),
    },
    job: (job) => {
      const [receivedHere, sentHere, commitsHere] = [received, sent, commits].map((all) => all.labels(job))
      const batchHere = batch.labels(job)
      const topics = new Map<number, Set<string>>()
      /** Taken less all else, by kind and partition. */
      const missing = new Map<string, Map<number, number>>()
      const tellImbalance = (kind: string, partitions: ReadonlyMap<number, number>) =>
        imbalance.labels(job, kind).set([...partitions.values()].reduce((sum, each) => sum + each, 0))
      return {
        received: (count) => receivedHere?.inc(count),
        sent: (count) => sentHere?.inc(count),
        deadLetter: (code, count = 1) => deadLetters.labels(job, code).inc(count),
        committed: (seconds) => {
          commitsHere?.inc()
          batchHere.observe(seconds)
        },
        lag: (topic, partition, records) => {
          const known = topics.get(partition) ?? new Set()
          topics.set(partition, known.add(topic))
          lag.labels(job, topic, String(partition)).set(records)
        },
        pending: (partition, decisions) => pending.labels(job, String(partition)).set(decisions),
        decided: (seconds) => decide.observe(seconds),
        reason: (reason, count) => reasons.labels(job, reason).inc(count),
        ledger: (partition, kind, { taken, used, pending: undecided, reasons: dismissed }) => {
          const reasonSum = Object.values(dismissed).reduce((sum, count) => sum + count, 0)
          const parts = { taken, used, pending: undecided, reasons: reasonSum }
          for (const [part, count] of Object.entries(parts))
            ledgers.labels(job, String(partition), kind, part).set(count)
          const partitions = missing.get(kind) ?? new Map<number, number>()
          missing.set(kind, partitions.set(partition, taken - used - undecided - reasonSum))
          tellImbalance(kind, partitions)
        },
        forget: (partition) => {
          for (const [kind, partitions] of missing) {
            if (!partitions.delete(partition)) continue
            for (const part of LEDGER_PARTS) ledgers.remove(job, String(partition), kind, part)
            if (partitions.size > 0) tellImbalance(kind, partitions)
            else imbalance.remove(job, kind)
          }
          for (const topic of topics.get(partition) ?? []) lag.remove(job, topic, String(partition))
          topics.delete(partition)
          pending.remove(job, String(partition))
        },
      }
    },
    policy: (policy) => {
      const [stateHere, snapshotHere] = [offset, snapshot].map((all) => all.labels(policy))
      return {
        stateOffset: (next) => stateHere?.set(next),
        snapshotOffset: (next) => snapshotHere?.set(next),
      }
    },
    model: (model) => ({
      served: (version) => served.labels(model).set(version),
      untagged: (count) => untagged.labels(model).inc(count),
      retrained: (result, seconds) => {
        retrains.labels(model, result).inc()
        retrainSeconds.labels(model).set(seconds)
      },
      retrainSkipped: (reason) => retrainSkipped.labels(model, reason).inc(),
    }),
    reloaded: (result) => reloads.labels(result).inc(),
    loopDelayP99Ms: loop.p99Ms,
    resetLoopDelay: loop.reset,
    samples: async () =>
      (await registry.getMetricsAsJSON()).flatMap(({ name, values }) =>
        values
          .map((value) => ({
            name: 'metricName' in value ? String(value.metricName) : name,
            labels: Object.fromEntries(
              Object.entries(value.labels).map(([key, label]) => [key, String(label)]),
            ),
            value: value.value,
          }))
          .filter((sample) => !sample.name.endsWith('_bucket') && Number.isFinite(sample.value)),
      ),
    text: () => registry.metrics(),
    contentType: registry.contentType,
    close: loop.stop,
  }
}
