/**
 * The window that a model is trained on: the last documents of the log, read again from the log itself. Each partition gives its share of them, in proportion to what
 * it holds, so the window follows from the ends of the partitions alone, and a version's record names it.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { TopicOffsets } from '../../infra/kafka/port.ts'
import type { Document, TrainedOn } from '../../schemas/generated/events.ts'
import { readBatch } from '../delivery/inputs.ts'
import type { Runtime } from '../process/runtime.ts'

/** What one partition of a topic holds. */
export interface PartitionEnds extends TopicOffsets {
  readonly topic: string
}

/** A document with what it was labelled by, and where it lies. */
export interface PlacedDocument {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly document: Document
}

type Surroundings = Pick<Runtime, 'broker' | 'inputs' | 'log'>

/** Every partition that documents come from, as it is now. */
export const documentEnds = async ({ broker, inputs }: Surroundings): Promise<PartitionEnds[]> => {
  const topics = inputs('document').map(({ topic }) => topic)
  const ends = await Promise.all(
    topics.map(async (topic) => (await broker.admin.offsets(topic)).map((each) => ({ topic, ...each }))),
  )
  return ends.flat()
}

/** The last `size` documents: a range of each partition, in proportion to what it holds. */
export const windowOf = (ends: readonly PartitionEnds[], size: number): TrainedOn[] => {
  const held = ends.reduce((sum, { earliest, latest }) => sum + latest - earliest, 0)
  const taken = Math.min(size, held)
  let before = 0
  return ends.map(({ topic, partition, earliest, latest }) => {
    const upTo = before + latest - earliest
    const share = held === 0 ? 0 : Math.floor((taken * upTo) / held) - Math.floor((taken * before) / held)
    before = upTo
    return { topic, partition, from: latest - share, to: latest }
  })
}

/** Documents that came after these ranges. What was made anew since then, and ends before its range did, counts whole. */
export const documentsSince = (ends: readonly PartitionEnds[], ranges: readonly TrainedOn[]): number =>
  ends.reduce((sum, { topic, partition, earliest, latest }) => {
    const range = ranges.find((each) => each.topic === topic && each.partition === partition)
    const from = range === undefined || range.to > latest ? earliest : Math.max(earliest, range.to)
    return sum + latest - from
  }, 0)

/** Few enough that nobody waits for long while a window is read beside the stream. */
const BATCH_DOCUMENTS = 200

/**
 * Reads the labelled documents of a window, a few at a time, in the order of each partition. What cannot be read, and what has no labels, is passed over: what was wrong with it,
 * tagging has said.
 * @param signal ends the reading with its reason
 * @throws MillraceError OFFSET_OUT_OF_RANGE where part of it is gone meanwhile; KAFKA_UNAVAILABLE
 */
export const readWindow = async (
  { broker, inputs, log }: Surroundings,
  window: readonly TrainedOn[],
  each: (documents: readonly PlacedDocument[]) => void,
  signal: AbortSignal,
): Promise<void> => {
  const sources = inputs('document')
  for (const topic of new Set(window.map((range) => range.topic))) {
    const ranges = window.filter((range) => range.topic === topic && range.from < range.to)
    if (ranges.length === 0) continue
    const from = new Map(ranges.map((range) => [range.partition, range.from]))
    const to = new Map(ranges.map((range) => [range.partition, range.to]))
    await broker.read(
      { topic, from, to, maxBatchRecords: BATCH_DOCUMENTS },
      async (batch) => {
        const { partition, records } = batch
        const { events } = await readBatch(batch, sources, log, signal)
        const labelled: PlacedDocument[] = []
        for (const [index, document] of events.entries()) {
          if (document == null || (document.labels?.length ?? 0) === 0) continue
          labelled.push({ topic, partition, offset: records[index]!.offset, document })
        }
        if (labelled.length > 0) each(labelled)
        await turn()
      },
      signal,
    )
    signal.throwIfAborted()
  }
}
