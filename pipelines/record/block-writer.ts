/**
 * Blocks of one task on their way into ClickHouse: planned in the metadata of a committed position, inserted, committed. Whatever comes
 * between, the block that was planned is the next one to be sent, with the same bytes and token.
 */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { Block } from '../../infra/clickhouse/connect.ts'
import {
  type BlockRange,
  encodeBlock,
  type RecordedEvent,
  type RecordedName,
  tableOf,
} from '../../infra/clickhouse/rows.ts'
import type { OutputRecord, Position, Task } from '../../infra/kafka/port.ts'
import type { Refused, SourceRecord } from '../../operators/streams/batch.ts'
import type { RecordBlock } from '../../operators/streams/blocks.ts'
import { codeOf, MillraceError } from '../../schemas/errors.ts'
import type { EventTypes } from '../../schemas/generated/events.ts'
import { deadLetterRecord, letterFailed } from '../delivery/delivery.ts'
import { type Input, readBatch } from '../delivery/inputs.ts'
import type { Remote } from '../process/remote.ts'
import type { Runtime } from '../process/runtime.ts'

/** What all tasks of a recorder share. */
export interface Recorder {
  readonly runtime: Runtime
  readonly server: Remote
  readonly inputs: readonly Input<RecordedName>[]
  /** Names the Kafka cluster. */
  readonly cluster: string
}

/** A plan that cannot be read back for so long is committed again. */
const LONGEST_READ_BACK_MS = 1_000

/** Records decoded before the event loop gets its turn. */
const SLICE = 500

export interface WrittenBlock {
  readonly block: RecordBlock
  readonly table: string
  readonly rows: number
  readonly refused: readonly Refused[]
}

/** Plans, inserts and commits the blocks of one task. */
export class BlockWriter {
  private readonly recorder: Recorder
  private readonly task: Task
  private readonly signal: AbortSignal

  /** @param signal ends all waiting for servers that are away, with its reason. */
  constructor(recorder: Recorder, task: Task, signal: AbortSignal) {
    this.recorder = recorder
    this.task = task
    this.signal = signal
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
      this.recorder.runtime.log.info({ job: 'record', ...block }, 'a planned block was sent again')
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
    await this.plan(plan)
    const written: WrittenBlock[] = []
    for (const block of blocks) written.push(await this.insert(block))
    await this.commit(written, false)
    return written
  }

  /**
   * Commits a plan, and waits until it can be read back. An acknowledged end is not yet a committed position: a lone broker that dies between the two
   * may begin again without it (docs/delivery.md), and a block inserted by then would be planned anew, with another range.
   */
  private async plan(positions: ReadonlyMap<string, Position>): Promise<void> {
    const { broker, config } = this.recorder.runtime
    const { job, partition } = this.task
    const topics = [...positions.keys()]
    const isCommitted = async (): Promise<boolean> => {
      // Whatever stands in the way shows in the next commit, which knows what to do about it.
      const found = await broker.admin.committed(config.app, job, topics).catch(() => undefined)
      if (found === undefined) return false
      return topics.every((topic) => {
        const { offset, metadata } = found.get(topic)?.get(partition) ?? { offset: -1, metadata: '' }
        const planned = positions.get(topic)!
        return offset === planned.offset && metadata === planned.metadata
      })
    }
    for (;;) {
      await this.task.checkpoint({ outputs: [], positions })
      for (let wait = 5; wait < LONGEST_READ_BACK_MS; wait *= 2) {
        if (await isCommitted()) return
        await sleep(wait, undefined, { signal: this.signal })
      }
    }
  }

  private async commit(written: readonly WrittenBlock[], keepBatch: boolean): Promise<void> {
    const outputs: OutputRecord[] = written.flatMap(({ block, refused }) =>
      refused.map((refusal) => deadLetterRecord(this.recorder.runtime, block, refusal)),
    )
    const positions = new Map(written.map(({ block }) => [block.topic, { offset: block.to }]))
    const commit = { outputs, positions }
    await (keepBatch ? this.task.checkpoint(commit) : this.task.commit(commit)).catch(letterFailed)
  }

  private async insert(block: RecordBlock): Promise<WrittenBlock> {
    const { event, recorded, refusals } = await this.decode(block)
    const range: BlockRange = { cluster: this.recorder.cluster, ...block }
    let rows = recorded.length
    const bytes = encodeBlock(
      event,
      range,
      recorded as RecordedEvent<never>[],
      ({ offset }, { code, message }) => {
        const index = block.records.findIndex((record) => record.offset === offset)
        refusals.push({ index, stage: 'record', code, message })
        rows--
      },
    )
    if (rows > 0) await this.send(bytes)
    return { block, table: tableOf(event), rows, refused: refusals }
  }

  /** Sends a block, the same bytes again while ClickHouse is away. The connection is asked for each time: an embedded server may have begun anew. */
  private send(block: Block): Promise<void> {
    const { runtime, server } = this.recorder
    const { signal } = this
    const once = async () => (await runtime.clickhouse(0)).insertBlock(block, { patienceMs: 0, signal })
    return server.reach(once, signal)
  }

  /** Decodes a block a slice at a time, so that heartbeats and decisions get their turn in between. */
  private async decode(block: RecordBlock) {
    const { runtime, inputs } = this.recorder
    const recorded: RecordedEvent<EventTypes[RecordedName]>[] = []
    const refusals: Refused[] = []
    let event: RecordedName = 'decision'
    for (let start = 0; start < block.records.length; start += SLICE) {
      const records = block.records.slice(start, start + SLICE)
      const inbound = await readBatch(
        { ...block, records, nextOffset: block.to },
        inputs,
        runtime.log,
        this.signal,
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
      await this.recorder.runtime.broker.read(range, (batch) => void records.push(...batch.records))
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
