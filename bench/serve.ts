/**
 * `bench serve`: how soon `POST /v1/rank` answers at 1,000 requests a second, 20 features and 10 arms, on a real Kafka. The service is a process
 * bound to one core; Kafka, the load and this process share the others. Afterwards every answer must be found in `decisions`, once.
 *
 * SERVE_SECONDS (20) and SERVE_RATE (1,000) change the load. It says the machine's load average, since others' work shows in the figures.
 */
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../infra/config/load.ts'
import { KAFKA_VERSION, startLocalKafka } from '../infra/kafka/local.ts'
import { createLog } from '../infra/telemetry/log.ts'
import { SHORT_HASH } from '../operators/bandits/state/policy-table.ts'
import { ensureTopics } from '../pipelines/checks/topics.ts'
import { type Opened, openRuntime } from '../pipelines/process/open.ts'
import { topicOf } from '../pipelines/process/runtime.ts'
import { applyDefinitions } from '../pipelines/states/policies.ts'
import { DIMENSION, outcomeAt } from './load/events.ts'
import type { Load, Order } from './load/serve.ts'
import { percentile } from './measure.ts'
import type { BenchReport, BenchRow } from './report.ts'

const RATE = Number(process.env['SERVE_RATE'] ?? 1_000)
const SECONDS = Number(process.env['SERVE_SECONDS'] ?? 20)
const WARM_SECONDS = 5
/** Paced requests wait for no connection: a late answer must not hold up others. */
const CONNECTIONS = { paced: 100, autocannon: 10 } as const
const LIMIT_MS = 5
/** Outcomes that the policy has learned before, so that every arm has a state. */
const LEARNED = 2_000
const SERVICE_CORE = '0'
const OTHER_CORES = `1-${availableParallelism() - 1}`
const PROGRAM = fileURLToPath(new URL('../bin/millrace.mjs', import.meta.url))

export const run = async (): Promise<BenchReport> => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-serve-'))
  const pinned = pin(process.pid, OTHER_CORES)
  const kafka = await startLocalKafka()
  const children: ChildProcess[] = []
  try {
    const overrides = {
      app: 'serve',
      kafka: { brokers: [kafka.bootstrap] },
      models: { directory: join(folder, 'models') },
      http: { port: 0 },
      log: { level: 'info' },
      policies: [
        { name: 'p', algorithm: { kind: 'linUcb' }, features: { dense: DIMENSION }, explorationFloor: 0.01 },
      ],
    }
    const config = loadConfig({ env: {}, overrides })
    const runtime = await openRuntime(config, { log: createLog({ level: 'error' }) })
    try {
      await ensureTopics(runtime, true)
      const [definition] = await applyDefinitions(runtime)
      await teach(runtime, definition!.hash.slice(0, SHORT_HASH))
      const file = join(folder, 'millrace.json')
      await writeFile(file, JSON.stringify(overrides))
      const service = startService(file, pinned)
      children.push(service)
      const url = await readyAt(service)
      const load = fork(fileURLToPath(new URL('./load/serve.ts', import.meta.url)), {
        execArgv: ['--import', 'tsx'],
      })
      children.push(load)
      const rows: BenchRow[] = []
      for (const kind of ['paced', 'autocannon'] as const) {
        const order = { kind, url, perSecond: RATE, connections: CONNECTIONS[kind] }
        await loadOf(load, { ...order, seconds: WARM_SECONDS, name: `${kind}-warm` })
        const before = { cpu: cpuSeconds(service.pid!), within: await within(url) }
        const measured = await loadOf(load, { ...order, seconds: SECONDS, name: kind })
        const cpu = (cpuSeconds(service.pid!) - before.cpu) / measured.seconds
        const insideWithin = ((await within(url)) - before.within) / measured.answered.length
        const share = { cpu, insideWithin }
        rows.push({
          load: kind,
          ...figures(measured),
          ...share,
          ...(await found(runtime, measured.answered)),
        })
      }
      const ratios = Object.fromEntries(
        rows.map((row) => [`serve.p99.limit.${row['load']}`, Number(row['p99Ms']) / LIMIT_MS]),
      )
      return { bench: 'serve', rows, ratios, missing: [] }
    } finally {
      await runtime.close()
    }
  } finally {
    for (const child of children) child.kill()
    await kafka.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Keeps a process, and those that it starts, on some cores; false where that cannot be. */
const pin = (pid: number, cores: string): boolean =>
  availableParallelism() > 1 && spawnSync('taskset', ['-acp', cores, String(pid)]).status === 0

const startService = (file: string, pinned: boolean): ChildProcess => {
  const program = [process.execPath, PROGRAM, 'run', 'serve', '--config', file]
  const [command, ...args] = pinned ? ['taskset', '-c', SERVICE_CORE, ...program] : program
  return spawn(command!, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** The address that the service says, once it is ready. */
const readyAt = async (service: ChildProcess): Promise<string> => {
  let text = ''
  service.stderr!.on('data', (part) => {
    text += String(part)
  })
  for (;;) {
    const url = /"url":"(http:[^"]+)"/.exec(text)?.[1]
    if (url !== undefined && (await fetch(`${url}/ready`)).status === 200) return url
    if (service.exitCode !== null) throw new Error(`the service ended:\n${text}`)
    await sleep(100)
  }
}

const teach = async ({ broker, codec, config }: Opened, policyHash: string): Promise<void> => {
  const topic = topicOf(config, 'outcome')
  const writer = await broker.writer()
  const start = Date.now() - LEARNED
  const records = Array.from({ length: LEARNED }, (_, i) => {
    const outcome = { ...outcomeAt(i, start), policyHash }
    return { topic, key: Buffer.from(outcome.policy), value: codec.encode('outcome', outcome) }
  })
  await writer.send(records)
  await writer.close()
}

const loadOf = (child: ChildProcess, order: Order): Promise<Load> =>
  new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error('the load has ended')))
    child.once('message', (load) => resolve(load as Load))
    child.send(order)
  })

const figures = ({ sent, due, errors, unlogged, answered, seconds }: Load): BenchRow => ({
  answersPerSecond: answered.length / seconds,
  p50Ms: percentile(sent, 0.5),
  p99Ms: percentile(sent, 0.99),
  p999Ms: percentile(sent, 0.999),
  dueP99Ms: percentile(due, 0.99),
  errors,
  unlogged,
  loadAverage: loadavg()[0]!,
  versions: `Node ${process.version}, Kafka ${KAFKA_VERSION}`,
})

/** How many of these requests `decisions` does not hold, and how many more than once. */
const found = async (
  { broker, config }: Opened,
  answered: readonly string[],
): Promise<{ missing: number; twice: number }> => {
  const topic = topicOf(config, 'decision')
  const counts = new Map(answered.map((id) => [id, 0]))
  await sleep(1_000)
  const ends = await broker.admin.offsets(topic)
  const range = {
    topic,
    from: new Map(ends.map(({ partition, earliest }) => [partition, earliest])),
    to: new Map(ends.map(({ partition, latest }) => [partition, latest])),
  }
  await broker.read(range, ({ records }) => {
    for (const { key } of records) {
      const count = counts.get(String(key))
      if (count !== undefined) counts.set(String(key), count + 1)
    }
  })
  const times = [...counts.values()]
  return {
    missing: times.filter((count) => count === 0).length,
    twice: times.filter((count) => count > 1).length,
  }
}

/** How many requests the service itself has answered within the limit: what it says of them knows nothing of the load's own delays. */
const within = async (url: string): Promise<number> => {
  const text = await (await fetch(`${url}/metrics`)).text()
  const line = new RegExp(
    `^millrace_http_request_seconds_bucket\\{le="${LIMIT_MS / 1e3}",route="rank"\\} (.*)$`,
    'm',
  )
  return Number(line.exec(text)?.[1] ?? Number.NaN)
}

const TICKS_PER_SECOND = 100

/** Processor time that a process has used, in seconds; NaN where /proc does not say. */
const cpuSeconds = (pid: number): number => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  } catch {
    return Number.NaN
  }
}
