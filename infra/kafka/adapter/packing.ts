/**
 * Packs records for a client library, which may write all it is given for a partition as one record batch: here they are dealt out
 * over rounds so that no batch exceeds its topic's `max.message.bytes`, and a record that never can is refused before anything is
 * sent. Order within a partition is kept from round to round. One object a record.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { partitionOf } from '../partitioner.ts'
import type { OutputRecord } from '../port.ts'
import { BATCH_HEADER_BYTES, recordBytes } from '../record-size.ts'

export type { PackedRecord, Round } from './driver.ts'

import { type ClosableAdmin, missingTopic, type PackedRecord, type Round } from './driver.ts'

interface Destination {
  readonly topic: string
  readonly partitions: number
  readonly limit: number
  readonly knownSince: number
  /** Where the next record without a key goes. */
  turn: number
}

interface Slot {
  round: number
  bytes: number
}

/** Room for a record's timestamp and offset deltas to grow where it is not alone. */
const DELTA_SLACK = 12
const KNOWN_FOR_MS = 300_000

export interface Packer {
  /**
   * Rounds to be sent one after another.
   * @throws MillraceError MISSING_TOPIC, MESSAGE_TOO_LARGE; nothing has been sent then.
   */
  pack(records: readonly OutputRecord[]): Promise<Round[]>
}

export const createPacker = (admin: ClosableAdmin, address: string): Packer => {
  const destinations = new Map<string, Destination>()

  const learn = async (topics: readonly string[]): Promise<void> => {
    const found = await admin.describe(topics)
    const absent = topics.filter((topic) => !found.some((each) => each.topic === topic))
    if (absent.length > 0) throw missingTopic(absent, address)
    for (const { topic, partitions } of found) {
      const limit = await admin.maxMessageBytes(topic)
      destinations.set(topic, { topic, partitions, limit, knownSince: Date.now(), turn: 0 })
    }
  }

  const pack = async (records: readonly OutputRecord[]): Promise<Round[]> => {
    const unknown = new Set<string>()
    const now = Date.now()
    let last = ''
    for (const { topic } of records) {
      if (topic === last) continue
      last = topic
      const known = destinations.get(topic)
      if (!known || now - known.knownSince > KNOWN_FOR_MS) unknown.add(topic)
    }
    if (unknown.size > 0) await learn([...unknown])

    const rounds: Map<string, PackedRecord[]>[] = []
    const slots = new Map<string, Slot[]>()
    for (const record of records) {
      const { topic, key, value, timestamp, headers } = record
      const destination = destinations.get(topic)!
      const partition =
        record.partition ??
        (key === null
          ? destination.turn++ % destination.partitions
          : partitionOf(key, destination.partitions))
      const ofTopic = slots.get(topic) ?? []
      if (ofTopic.length === 0) slots.set(topic, ofTopic)
      ofTopic[partition] ??= { round: 0, bytes: BATCH_HEADER_BYTES }
      const slot = ofTopic[partition]
      const bytes = recordBytes(record)
      if (BATCH_HEADER_BYTES + bytes > destination.limit)
        throw new MillraceError(
          'MESSAGE_TOO_LARGE',
          `a record of ${BATCH_HEADER_BYTES + bytes} bytes for ${topic} exceeds its max.message.bytes of ${destination.limit}`,
        )
      if (slot.bytes > BATCH_HEADER_BYTES && slot.bytes + bytes + DELTA_SLACK > destination.limit) {
        slot.round++
        slot.bytes = BATCH_HEADER_BYTES
      }
      slot.bytes += bytes + DELTA_SLACK
      rounds[slot.round] ??= new Map()
      const round = rounds[slot.round]!
      const messages = round.get(topic) ?? []
      if (messages.length === 0) round.set(topic, messages)
      messages.push({
        key,
        value,
        partition,
        ...(timestamp === undefined ? {} : { timestamp }),
        ...(headers === undefined ? {} : { headers }),
      })
    }
    return rounds.map((round) => [...round].map(([topic, messages]) => ({ topic, messages })))
  }

  return { pack }
}
