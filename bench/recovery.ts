/**
 * `bench recovery`: how long a decider needs from its start to the state of the log's end, on a real Kafka: a disjoint LinUCB of 128 features and 100
 * arms (13 MB), 1 million outcomes, the newest snapshot 100,000 before the end. Ours goes on from the snapshot; the other
 * start has none and folds all of them. Both must come to the same bytes. Each start is a process of its own; its loading of modules is not counted.
 *
 * Some 2.7 GB are written to the temporary folder and removed again. Of the outcomes 4,096 are different.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createCodec } from '../infra/avro/codec.ts'
import { loadConfig } from '../infra/config/load.ts'
import { KAFKA_VERSION, startLocalKafka } from '../infra/kafka/local.ts'
import { partitionOf } from '../infra/kafka/partitioner.ts'
import { createLog } from '../infra/telemetry/log.ts'
import { ensureTopics } from '../pipelines/checks/topics.ts'
import { decide } from '../pipelines/decide.ts'
import { type Opened, openRuntime } from '../pipelines/process/open.ts'
import { topicOf } from '../pipelines/process/runtime.ts'
import { runPipelines } from '../pipelines/run.ts'
import { applyDefinitions } from '../pipelines/states/policies.ts'
import { readSnapshots } from '../pipelines/states/snapshot-log.ts'
import type { Outcome } from '../schemas/generated/events.ts'
import type { Recovery } from './load/recovery.ts'
import { median } from './measure.ts'
import type { BenchReport, BenchRow } from './report.ts'

const DIMENSION = 128
const ARMS = Array.from({ length: 100 }, (_, i) => `arm-${i}`)
const OUTCOMES = Number(process.env['RECOVERY_OUTCOMES'] ?? 1_000_000)
const TAIL = OUTCOMES / 10
const ROUNDS = Number(process.env['RECOVERY_ROUNDS'] ?? 3)
const DIFFERENT = 4_096
const BATCH = 500
const START = 1_700_000_000_000

export const run = async (): Promise<BenchReport> => {
  const models = await mkdtemp(join(tmpdir(), 'millrace-recovery-'))
  const kafka = await startLocalKafka()
  try {
    const overrides = {
      app: 'recovery',
      'kafka.brokers': [kafka.bootstrap],
      'models.directory': models,
      'snapshots.every': OUTCOMES - TAIL,
      'log.level': 'error',
      policies: [
        {
          name: 'p',
          algorithm: { kind: 'linUcb', variant: 'disjoint' },
          features: { dense: DIMENSION, bias: false },
        },
      ],
    }
    const config = loadConfig({ env: {}, overrides })
    const runtime = await openRuntime(config, { log: createLog(config.log) })
    try {
      await ensureTopics(runtime, true)
      await applyDefinitions(runtime)
      const values = encoded()
      await write(runtime, values, OUTCOMES - TAIL)
      await untilSnapshot(runtime)
      await write(runtime, values, TAIL)
    } finally {
      await runtime.close()
    }
    const ours: Recovery[] = []
    for (let round = 0; round < ROUNDS; round++) ours.push(await start(overrides))
    const none = { ...overrides, 'models.directory': join(models, 'none') }
    const theirs = await start(none)
    for (const { state, folded } of ours) {
      if (state !== theirs.state) throw new Error('the states differ')
      if (folded !== TAIL || theirs.folded !== OUTCOMES) throw new Error('not what was to be folded')
    }
    const rows = [row('from the snapshot', ours), row('from the beginning', [theirs])]
    const seconds = median(ours.map((each) => each.seconds))
    return {
      bench: 'recovery',
      rows,
      ratios: { 'recovery.seconds.fold': seconds / theirs.seconds },
      missing: [],
    }
  } finally {
    await kafka.stop()
    await rm(models, { recursive: true, force: true })
  }
}

const QUANTITIES = [
  'connectSeconds',
  'restoreSeconds',
  'foldSeconds',
  'seconds',
  'cpuSeconds',
  'residentMb',
] as const

const row = (side: string, starts: readonly Recovery[]): BenchRow => ({
  start: side,
  ...Object.fromEntries(QUANTITIES.map((name) => [name, median(starts.map((each) => each[name]))])),
  folded: starts[0]!.folded,
  foldedPerSecond: median(starts.map(({ folded, foldSeconds }) => folded / foldSeconds)),
  stateMb: starts[0]!.stateBytes / 2 ** 20,
  versions: `kafkajs 2.2.4, Kafka ${KAFKA_VERSION}, Node ${process.version}`,
})

const encoded = (): Buffer[] => {
  const codec = createCodec()
  return Array.from({ length: DIFFERENT }, (_, i) => {
    const arm = i % ARMS.length
    const outcome: Outcome = {
      requestId: `request-${i}`,
      policy: 'p',
      policyVersion: 1,
      policyHash: '0123456789abcdef',
      occurredAt: START + i,
      closedAt: START + i,
      arm: ARMS[arm]!,
      propensity: 0.991,
      propensityKind: 'exact',
      arms: ARMS,
      probabilities: ARMS.map((_, each) => (each === arm ? 0.9901 : 0.0001)),
      vector: Array.from({ length: DIMENSION }, (_, f) => Math.sin(i * 31 + f) / Math.sqrt(DIMENSION)),
      hyperParameters: [{ name: 'alpha', value: 0.25, probability: 1 }],
      stateOffset: i,
      requestPartition: 0,
      requestOffset: i,
      reward: i % 3 === 0 ? 1 : 0,
      rewardKind: 'observed',
      rewardOccurredAt: START + i,
    }
    return codec.encode('outcome', outcome)
  })
}

const write = async ({ broker, config }: Opened, values: readonly Buffer[], count: number): Promise<void> => {
  const topic = topicOf(config, 'outcome')
  const key = Buffer.from('p')
  const partition = partitionOf(key, config.topics.partitions)
  const writer = await broker.writer()
  try {
    for (let at = 0; at < count; at += BATCH) {
      const length = Math.min(BATCH, count - at)
      await writer.send(
        Array.from({ length }, (_, i) => ({ topic, partition, key, value: values[(at + i) % DIFFERENT]! })),
      )
    }
  } finally {
    await writer.close()
  }
}

/** Runs a decider until it has taken the snapshot. */
const untilSnapshot = async (runtime: Opened): Promise<void> => {
  const stop = new AbortController()
  const running = runPipelines(runtime, [decide], stop.signal)
  const failed = running.then(() => false)
  while (!(await Promise.race([failed, taken(runtime)]))) await sleep(200)
  stop.abort()
  await running
}

const taken = async (runtime: Opened): Promise<boolean> => {
  await sleep(300)
  return (await readSnapshots(runtime)).length > 0
}

/** Starts a decider in a process of its own. */
const start = async (overrides: Record<string, unknown>): Promise<Recovery> => {
  const child: ChildProcess = fork(fileURLToPath(new URL('./load/recovery.ts', import.meta.url)), {
    execArgv: ['--import', 'tsx', ...(process.env['RECOVERY_PROFILE'] ? ['--cpu-prof'] : [])],
  })
  return new Promise((resolve, reject) => {
    child.once('message', (recovery) => resolve(recovery as Recovery))
    child.once('exit', (code) => reject(new Error(`the decider ended with ${code}`)))
    child.send(overrides)
  })
}
