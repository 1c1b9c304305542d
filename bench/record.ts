/**
 * `bench record`: the record pipeline from a real Kafka into ClickHouse against the bare client inserting the same rows into the same
 * tables, rollups and deduplication included. Both sides: decisions of 10 arms and 20 features, blocks of 10,000 rows, four writers.
 * Ours reads and decodes its rows from Kafka; the client has them ready as objects.
 */

import { createCodec } from '../infra/avro/codec.ts'
import { type ClickHouse, connectClickHouse, INSERT_SETTINGS } from '../infra/clickhouse/connect.ts'
import { startEmbeddedClickHouse } from '../infra/clickhouse/embedded.ts'
import { migrate } from '../infra/clickhouse/migrations.ts'
import { loadConfig } from '../infra/config/load.ts'
import { createKafkajsBroker } from '../infra/kafka/kafkajs/broker.ts'
import { KAFKA_VERSION, startLocalKafka } from '../infra/kafka/local.ts'
import type { Broker } from '../infra/kafka/port.ts'
import { createLog } from '../infra/telemetry/log.ts'
import { ensureTopics } from '../pipelines/checks/topics.ts'
import { openRuntime } from '../pipelines/process/open.ts'
import { topicOf } from '../pipelines/process/runtime.ts'
import { record } from '../pipelines/record.ts'
import { runPipelines } from '../pipelines/run.ts'
import type { Decision } from '../schemas/generated/events.ts'
import { decisionAt } from './load/events.ts'
import { alternate, median, medianRatio } from './measure.ts'
import type { BenchReport } from './report.ts'

const ROWS = Number(process.env['RECORD_ROWS'] ?? 160_000)
const ROUNDS = Number(process.env['RECORD_ROUNDS'] ?? 5)
const BLOCK = 10_000
const WRITERS = 4
/** What remains is blocks that are not full, which wait for more. */
const MEASURED = ROWS - WRITERS * BLOCK
const CLIENT_FORMATS = ['JSONEachRow', 'JSONCompactEachRow'] as const

export const run = async (): Promise<BenchReport> => {
  const [kafka, server] = await Promise.all([startLocalKafka(), startEmbeddedClickHouse({})])
  try {
    const bench = new RecordBench(kafka.bootstrap, server)
    const versions = `@clickhouse/client 1.23.1, kafkajs 2.2.4, Kafka ${KAFKA_VERSION}, Node ${process.version}`
    const rows: BenchReport['rows'][number][] = []
    const ratios: Record<string, number> = {}
    for (const format of CLIENT_FORMATS) {
      const pairs = await alternate(
        () => bench.ours(),
        () => bench.client(format),
        ROUNDS,
      )
      rows.push({
        side: 'millrace record',
        peer: format,
        rowsPerSecond: median(pairs.ours),
        threads: 1,
        versions,
      })
      rows.push({
        side: `client, ${format}`,
        peer: '',
        rowsPerSecond: median(pairs.theirs),
        threads: 1,
        versions,
      })
      ratios[`record.rowsPerSecond.client${format === 'JSONEachRow' ? '' : format}`] = medianRatio(pairs)
    }
    return { bench: 'record', rows, ratios, missing: [] }
  } finally {
    await kafka.stop()
    await server.stop()
  }
}

class RecordBench {
  private readonly bootstrap: string
  private readonly server: Awaited<ReturnType<typeof startEmbeddedClickHouse>>
  private readonly now = Date.now() - 3_600_000
  private round = 0

  constructor(bootstrap: string, server: Awaited<ReturnType<typeof startEmbeddedClickHouse>>) {
    this.bootstrap = bootstrap
    this.server = server
  }

  /** Rows a second of the pipeline, from its first batch until all but the last blocks are committed. */
  async ours(): Promise<number> {
    const prefix = `record-${this.round++}-`
    const { url, username, password, database } = this.server
    const overrides = {
      app: prefix,
      'topics.prefix': prefix,
      'clickhouse.url': url,
      'clickhouse.username': username,
      'clickhouse.password': password,
      'clickhouse.database': database,
      'record.maxRows': BLOCK,
      'record.maxWait': '1s',
      'log.level': 'error',
    }
    const config = loadConfig({ env: {}, overrides })
    const broker = await createKafkajsBroker({ brokers: [this.bootstrap] })
    const runtime = await openRuntime(config, { log: createLog(config.log), broker })
    const stop = new AbortController()
    try {
      await ensureTopics(runtime, true)
      const clickhouse = await this.emptied()
      await this.fill(broker, topicOf(config, 'decision'))
      await runtime.clickhouse()
      let started = 0
      let rows = 0
      let perSecond = 0
      await runPipelines(runtime, [record], stop.signal, ({ sent, received }) => {
        if (received > 0) started ||= performance.now()
        rows += sent['decisions'] ?? 0
        if (rows >= MEASURED) perSecond ||= (rows * 1_000) / (performance.now() - started)
        if (rows >= ROWS) stop.abort()
      })
      await this.check(clickhouse)
      return perSecond
    } finally {
      await runtime.close()
    }
  }

  /** Rows a second of the client alone. */
  async client(format: (typeof CLIENT_FORMATS)[number]): Promise<number> {
    const clickhouse = await this.emptied()
    const columns = await clickhouse.query<{ name: string }>(
      "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'decisions' AND default_kind = '' ORDER BY position",
    )
    const names = columns.map(({ name }) => name)
    const blocks: unknown[][] = []
    for (let from = 0; from < ROWS; from += BLOCK) {
      const rows = Array.from({ length: Math.min(BLOCK, ROWS - from) }, (_, i) =>
        rowOf(decisionAt(from + i, this.now), from + i),
      )
      blocks.push(format === 'JSONEachRow' ? rows : rows.map((row) => names.map((name) => row[name])))
    }
    const token = `client-${this.round++}`
    const started = performance.now()
    let next = 0
    const write = async () => {
      for (let i = next++; i < blocks.length; i = next++) {
        await clickhouse.client.insert({
          table: 'decisions',
          columns: names as [string, ...string[]],
          values: blocks[i]!,
          format,
          clickhouse_settings: { ...INSERT_SETTINGS, insert_deduplication_token: `${token}-${i}` },
        })
      }
    }
    await Promise.all(Array.from({ length: WRITERS }, write))
    const perSecond = (ROWS * 1_000) / (performance.now() - started)
    await this.check(clickhouse)
    return perSecond
  }

  /** The database with its tables, without rows. */
  private async emptied(): Promise<ClickHouse> {
    const clickhouse = await connectClickHouse(this.server)
    await migrate(clickhouse, { eventDays: 10_000 })
    const tables = await clickhouse.query<{ name: string }>(
      "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'migrations'",
    )
    for (const { name } of tables) await clickhouse.command(`TRUNCATE TABLE ${name} SYNC`)
    return clickhouse
  }

  private async check(clickhouse: ClickHouse): Promise<void> {
    const [row] = await clickhouse.query<{ rows: string }>('SELECT count() AS rows FROM decisions')
    await clickhouse.close()
    if (Number(row?.rows) !== ROWS) throw new Error(`${row?.rows} rows arrived of ${ROWS}`)
  }

  private async fill(broker: Broker, topic: string): Promise<void> {
    const codec = createCodec()
    const writer = await broker.writer()
    for (let from = 0; from < ROWS; from += 1_000) {
      await writer.send(
        Array.from({ length: Math.min(1_000, ROWS - from) }, (_, i) => ({
          topic,
          key: Buffer.from(`request-${from + i}`),
          value: codec.encode('decision', decisionAt(from + i, this.now)),
        })),
      )
    }
    await writer.close()
  }
}

/** A decision as the columns of its table, for the client's JSON formats. */
const rowOf = (decision: Decision, offset: number): Readonly<Record<string, unknown>> => {
  const row: Record<string, unknown> = { topic: 'decisions', partition: offset % WRITERS, offset }
  for (const [name, value] of Object.entries(decision)) {
    row[name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] = value
  }
  row['occurred_at'] = timeOf(decision.occurredAt)
  row['decided_at'] = timeOf(decision.decidedAt)
  return row
}

const timeOf = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').replace('Z', '')
