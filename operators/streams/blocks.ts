/**
 * Blocks of records for a sink that counts equal blocks once: consecutive batches of a topic are gathered until there are enough rows or
 * the oldest has waited long enough. A block is a range of offsets `[from, to)`, so that after a crash the very same block can be made again
 * from the log. Pure: the clock is passed in.
 */
import type { SourceBatch, SourceRecord } from './batch.ts'

export interface BlockOptions {
  /** A block is due with so many rows; it may exceed them by one batch. */
  readonly maxRows: number
  /** A block is due when its first batch has waited so long, in milliseconds. */
  readonly maxWaitMs: number
}

export interface RecordBlock {
  readonly topic: string
  readonly partition: number
  /** First offset: where the block before ended. */
  readonly from: number
  /** Offset after the last. */
  readonly to: number
  readonly records: readonly SourceRecord[]
}

interface Gathering {
  readonly partition: number
  readonly from: number
  to: number
  readonly since: number
  readonly records: SourceRecord[]
}

export class BlockGatherer {
  private readonly options: BlockOptions
  /** Where each topic's next block begins. */
  private readonly ends: Map<string, number>
  private readonly gathering = new Map<string, Gathering>()

  /**
   * @param positions where each topic's first block begins; a topic without one begins at its first batch. What comes from before is in
   * a block already and is passed over.
   */
  constructor(options: BlockOptions, positions: ReadonlyMap<string, number>) {
    this.options = options
    this.ends = new Map(positions)
  }

  /** Takes a batch in. Batches of a topic come in order; an idle one brings nothing. */
  add({ topic, partition, records, nextOffset, idle }: SourceBatch, now: number): void {
    const end = this.ends.get(topic) ?? Number.NEGATIVE_INFINITY
    if (idle || nextOffset <= end) return
    let block = this.gathering.get(topic)
    if (block === undefined) {
      block = {
        partition,
        from: this.ends.get(topic) ?? records[0]!.offset,
        to: nextOffset,
        since: now,
        records: [],
      }
      this.gathering.set(topic, block)
    }
    for (const record of records) if (record.offset >= end) block.records.push(record)
    block.to = nextOffset
    this.ends.set(topic, nextOffset)
  }

  /** The blocks that are due now, each given once. */
  due(now: number): RecordBlock[] {
    const due: RecordBlock[] = []
    for (const [topic, { partition, from, to, since, records }] of this.gathering) {
      if (records.length < this.options.maxRows && now - since < this.options.maxWaitMs) continue
      this.gathering.delete(topic)
      due.push({ topic, partition, from, to, records })
    }
    return due
  }
}
