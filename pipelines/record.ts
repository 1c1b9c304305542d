/**
 * record: every event → ClickHouse. A block's range is committed as a plan before it is inserted, and its rows and token depend on that range
 * alone: after a crash the very same block is sent again and ClickHouse counts it once, in tables and rollups alike.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { concatMap, defer, from, switchMap, takeUntil } from 'rxjs'
import type { ClickHouse } from '../infra/clickhouse/connect.ts'
import {
  type BlockRange,
  encodeBlock,
  RECORDED,
  type RecordedEvent,
  type RecordedName,
  tableOf,
} from '../infra/clickhouse/rows.ts'
import { checkTables } from '../infra/clickhouse/tables.ts'
import type { OutputRecord, Position, Task } from '../infra/kafka/port.ts'
import type { Refused, SourceRecord } from '../operators/streams/batch.ts'
import { BlockGatherer, type RecordBlock } from '../operators/streams/blocks.ts'
import { codeOf, MillraceError } from '../schemas/errors.ts'
import type { EventTypes } from '../schemas/generated/events.ts'
import { deadLetterRecord, letterFailed } from './delivery.ts'
import { type Input, readBatch } from './inputs.ts'
import { job, type Pipeline } from './job.ts'
import type { Progress, Runtime } from './runtime.ts'

export const record: Pipeline = {
  name: 'record',
  run: (runtime, stop) =>
    defer(async () => {
      await runtime.codec.prepare(['dead-letter'])
      const clickhouse = await runtime.clickhouse()
      await checkTables(clickhouse)
      return { clickhouse, cluster: await runtime.broker.admin.clusterId() }
    }).pipe(
      // Subscribed from the start, so that a stop meanwhile is not missed.
      takeUntil(stop),
      switchMap(({ clickhouse, cluster }) => {
        const { maxRows, maxWait } = runtime.config.record
        const inputs = recordedInputs(runtime)
        return job(runtime, 'record', stop, {
          topics: inputs.map(({ topic }) => topic),
          idleMs: maxWait,
          maxBatchRecords: Math.min(maxRows, MOST_IN_A_BATCH),
          chain: (task, metrics) => (batches) => {
            const writer = new BlockWriter(runtime, clickhouse, cluster, inputs, task)
            return from(writer.repeatPlanned()).pipe(
              switchMap((positions) => {
                const gatherer = new BlockGatherer({ maxRows, maxWaitMs: maxWait }, positions)
                return batches.pipe(
                  concatMap(async (batch): Promise<Progress> => {
                    gatherer.add(batch, runtime.now())
                    const started = performance.now()
                    const blocks = gatherer.due(runtime.now())
                    const written = await writer.write(blocks)
                    metrics.received(batch.records.length)
                    for (const { refused } of written)
                      for (const { code } of refused) metrics.deadLetter(code)
                    if (blocks.length > 0) metrics.committed((performance.now() - started) / 1_000)
                    const progress = progressOf(task, batch.topic, batch.records.length, written)
                    metrics.sent(Object.values(progress.sent).reduce((sum, rows) => sum + rows, 0))
                    return progress
                  }),
                )
              }),
            )
          },
        })
      }),
    ),
}

/** What is recorded: the events that have a table, rewards and the like from wherever they come. */
const recordedInputs = (runtime: Runtime): Input<RecordedName>[] =>
  RECORDED.flatMap((event) => runtime.inputs(event) as readonly Input<RecordedName>[])

/** Large batches make few commits; larger ones than this save nothing more. */
const MOST_IN_A_BATCH = 5_000
/** Records decoded before the event loop gets its turn. */
const SLICE = 500

interface WrittenBlock {
  readonly block: RecordBlock
  readonly table: string
  readonly rows: number
  readonly refused: readonly Refused[]
}

/** Plans, inserts and commits the blocks of one task. */
class BlockWriter {
  private readonly runtime: Runtime
  private readonly clickhouse: ClickHouse
  private readonly cluster: string
  private readonly inputs: readonly Input<RecordedName>[]
  private readonly task: Task

  constructor(
    runtime: Runtime,
    clickhouse: ClickHouse,
    cluster: string,
    inputs: readonly Input<RecordedName>[],
    task: Task,
  ) {
    this.runtime = runtime
    this.clickhouse = clickhouse
    this.cluster = cluster
    this.inputs = inputs
    this.task = task
  }

  /** Sends again what was planned when the task was last given up, and says where each topic goes on. */
  async repeatPlanned(): Promise<Map<string, number>> {
    const positions = new Map<string, number>()
    for (const [topic, position] of this.task.committed) {
      const to = plannedEnd(position)
      positions.set(topic, to ?? position.offset)
      if (to === null) continue
      const block = { topic, partition: this.task.partition, from: position.offset, to }
      const written = await this.insert({ ...block, records: await this.readAgain(block) })
      await this.commit([written], true)
      this.runtime.log.info({ job: 'record', ...block }, 'a planned block was sent again')
    }
    return positions
  }

  /** Writes blocks; with none, the task's next batch is asked for. */
  async write(blocks: readonly RecordBlock[]): Promise<WrittenBlock[]> {
    if (blocks.length === 0) {
      this.task.release()
      return []
    }
    const plan = new Map(blocks.map(({ topic, from, to }) => [topic, { offset: from, metadata: planTo(to) }]))
    await this.task.checkpoint({ outputs: [], positions: plan })
    const written: WrittenBlock[] = []
    for (const block of blocks) written.push(await this.insert(block))
    await this.commit(written, false)
    return written
  }

  private async commit(written: readonly WrittenBlock[], keepBatch: boolean): Promise<void> {
    const outputs: OutputRecord[] = written.flatMap(({ block, refused }) =>
      refused.map((refusal) => deadLetterRecord(this.runtime, block, refusal)),
    )
    const positions = new Map(written.map(({ block }) => [block.topic, { offset: block.to }]))
    const commit = { outputs, positions }
    await (keepBatch ? this.task.checkpoint(commit) : this.task.commit(commit)).catch(letterFailed)
  }

  private async insert(block: RecordBlock): Promise<WrittenBlock> {
    const { event, recorded, refusals } = await this.decode(block)
    const range: BlockRange = { cluster: this.cluster, ...block }
    const bytes = encodeBlock(
      event,
      range,
      recorded as RecordedEvent<never>[],
      ({ offset }, { code, message }) => {
        const index = block.records.findIndex((record) => record.offset === offset)
        refusals.push({ index, stage: 'record', code, message })
      },
    )
    const rows = block.records.length - refusals.length
    if (rows > 0) await this.clickhouse.insertBlock(bytes)
    return { block, table: tableOf(event), rows, refused: refusals }
  }

  /** Decodes a block a slice at a time, so that heartbeats and decisions get their turn in between. */
  private async decode(block: RecordBlock) {
    const recorded: RecordedEvent<EventTypes[RecordedName]>[] = []
    const refusals: Refused[] = []
    let event: RecordedName = 'decision'
    for (let start = 0; start < block.records.length; start += SLICE) {
      const records = block.records.slice(start, start + SLICE)
      const inbound = await readBatch(
        { ...block, records, nextOffset: block.to },
        this.inputs,
        this.runtime.log,
      )
      event = inbound.event
      for (const [index, value] of inbound.events.entries()) {
        if (value != null) recorded.push({ event: value, offset: records[index]!.offset })
      }
      for (const refusal of inbound.refused) refusals.push({ ...refusal, index: start + refusal.index })
      await turn()
    }
    return { event, recorded, refusals }
  }

  private async readAgain({
    topic,
    partition,
    from,
    to,
  }: Omit<RecordBlock, 'records'>): Promise<SourceRecord[]> {
    const records: SourceRecord[] = []
    const range = { topic, from: new Map([[partition, from]]), to: new Map([[partition, to]]) }
    try {
      await this.runtime.broker.read(range, (batch) => void records.push(...batch.records))
    } catch (cause) {
      if (codeOf(cause, 'BLOCK_LOST') !== 'OFFSET_OUT_OF_RANGE') throw cause
      const message = `the planned block ${topic}/${partition} [${from}, ${to}) can no longer be read: whether it was inserted is unknown`
      throw new MillraceError('BLOCK_LOST', message, { cause })
    }
    return records
  }
}

/** The plan of a block in its position's metadata: where it ends. It begins at the position. */
const planTo = (to: number): string => JSON.stringify({ v: 1, to })

const plannedEnd = ({ metadata }: Position): number | null => {
  if (metadata === '') return null
  const { v, to } = JSON.parse(metadata) as { v: number; to: number }
  if (v !== 1)
    throw new MillraceError('SNAPSHOT_MISMATCH', `the planned block has version ${v}, this millrace reads 1`)
  return to
}

const progressOf = (
  { partition }: Task,
  topic: string,
  received: number,
  written: readonly WrittenBlock[],
): Progress => {
  const sent: Record<string, number> = {}
  let deadLetters = 0
  for (const { table, rows, refused } of written) {
    sent[table] = (sent[table] ?? 0) + rows
    deadLetters += refused.length
  }
  return { pipeline: 'record', topic, partition, received, sent, deadLetters }
}
