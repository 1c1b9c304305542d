/**
 * How events become rows: for each recorded event its table, its columns, and the order in which its values are written. Rows hold
 * nothing but the event and where it was read, no clock and no default of the server, so that the same records always give the same
 * bytes: what makes a repeated block a duplicate.
 */
import { MillraceError } from '../../schemas/errors.ts'
import type { EventTypes } from '../../schemas/generated/events.ts'
import type { Block } from './connect.ts'
import { RowBinaryWriter } from './row-binary.ts'

/** The events that are recorded. */
export type RecordedName =
  | 'decision'
  | 'outcome'
  | 'reward'
  | 'activation'
  | 'ledger'
  | 'document-labels'
  | 'model'
  | 'metric'
  | 'dead-letter'

interface RowFormat<E> {
  readonly table: string
  readonly columns: readonly string[]
  readonly write: (to: RowBinaryWriter, event: E) => void
}

/** A range of records of one partition. */
export interface BlockRange {
  /** Names the Kafka cluster, so that two of them may share a database. */
  readonly cluster: string
  readonly topic: string
  readonly partition: number
  /** First offset. */
  readonly from: number
  /** Offset after the last. */
  readonly to: number
}

export interface RecordedEvent<E> {
  readonly event: E
  readonly offset: number
}

const SOURCE = ['topic', 'partition', 'offset']

/** What an outcome repeats of its decision. */
const DECIDED = [
  ...['request_id', 'policy', 'policy_version', 'policy_hash', 'occurred_at', 'arm', 'propensity'],
  ...['propensity_kind', 'arms', 'probabilities', 'vector', 'hyper_parameters'],
  ...['state_offset', 'request_partition', 'request_offset'],
]

const writeDecided = (to: RowBinaryWriter, event: EventTypes['decision'] | EventTypes['outcome']): void => {
  to.string(event.requestId)
  to.string(event.policy)
  to.int32(event.policyVersion)
  to.string(event.policyHash)
  to.time(event.occurredAt)
  to.string(event.arm)
  to.float64(event.propensity)
  to.string(event.propensityKind)
  to.stringArray(event.arms)
  to.float64Array(event.probabilities)
  to.float64Array(event.vector)
  to.count(event.hyperParameters.length)
  for (const { name, value, probability } of event.hyperParameters) {
    to.string(name)
    to.float64(value)
    to.float64(probability)
  }
  to.int64(event.stateOffset)
  to.int32(event.requestPartition)
  to.int64(event.requestOffset)
}

/** A map in the order of its keys, which is no part of an event. */
const writeMap = <V>(
  to: RowBinaryWriter,
  map: Readonly<Record<string, V>>,
  write: (value: V) => void,
): void => {
  const keys = Object.keys(map).sort()
  to.count(keys.length)
  for (const key of keys) {
    to.string(key)
    write(map[key]!)
  }
}

const FORMATS: { readonly [K in RecordedName]: RowFormat<EventTypes[K]> } = {
  decision: {
    table: 'decisions',
    columns: [...DECIDED, 'decided_at', 'ranking', ...SOURCE],
    write(to, event) {
      writeDecided(to, event)
      to.time(event.decidedAt)
      to.int32Array(event.ranking)
    },
  },
  outcome: {
    table: 'outcomes',
    columns: [...DECIDED, 'closed_at', 'reward', 'reward_kind', 'reward_occurred_at', ...SOURCE],
    write(to, event) {
      writeDecided(to, event)
      to.time(event.closedAt)
      to.float64(event.reward)
      to.string(event.rewardKind)
      if (!to.isNull(event.rewardOccurredAt)) to.time(event.rewardOccurredAt)
    },
  },
  reward: {
    table: 'rewards',
    columns: ['request_id', 'reward_id', 'value', 'occurred_at', ...SOURCE],
    write(to, event) {
      to.string(event.requestId)
      to.string(event.rewardId)
      to.float64(event.value)
      to.time(event.occurredAt)
    },
  },
  activation: {
    table: 'activations',
    columns: ['request_id', 'occurred_at', ...SOURCE],
    write(to, event) {
      to.string(event.requestId)
      to.time(event.occurredAt)
    },
  },
  ledger: {
    table: 'ledgers',
    columns: ['task', 'kind', 'taken', 'used', 'pending', 'reasons', 'watermark', 'at', ...SOURCE],
    write(to, event) {
      to.int32(event.partition)
      to.string(event.kind)
      to.int64(event.taken)
      to.int64(event.used)
      to.int64(event.pending)
      writeMap(to, event.reasons, (count) => to.int64(count))
      if (!to.isNull(event.watermark)) to.int64(event.watermark)
      to.time(event.at)
    },
  },
  'document-labels': {
    table: 'document_labels',
    columns: [
      ...['document_id', 'labels', 'model_name', 'model_version', 'occurred_at', 'tagged_at'],
      ...SOURCE,
    ],
    write(to, event) {
      to.string(event.documentId)
      to.count(event.labels.length)
      for (const { label, score } of event.labels) {
        to.string(label)
        to.float64(score)
      }
      to.string(event.modelName)
      to.int32(event.modelVersion)
      to.time(event.occurredAt)
      to.time(event.taggedAt)
    },
  },
  model: {
    table: 'models',
    columns: [
      ...['name', 'version', 'uri', 'sha256', 'trained_on', 'metrics', 'promoted', 'created_at'],
      ...SOURCE,
    ],
    write(to, event) {
      to.string(event.name)
      to.int32(event.version)
      to.string(event.uri)
      to.string(event.sha256)
      to.count(event.trainedOn.length)
      for (const { topic, partition, from, to: end } of event.trainedOn) {
        to.string(topic)
        to.int32(partition)
        to.int64(from)
        to.int64(end)
      }
      writeMap(to, event.metrics, (value) => to.float64(value))
      to.bool(event.promoted)
      to.time(event.createdAt)
    },
  },
  metric: {
    table: 'metrics',
    columns: ['name', 'value', 'labels', 'at', ...SOURCE],
    write(to, event) {
      to.string(event.name)
      to.float64(event.value)
      writeMap(to, event.labels, (label) => to.string(label))
      to.time(event.at)
    },
  },
  'dead-letter': {
    table: 'dead_letters',
    columns: [
      ...[
        'source_topic',
        'source_partition',
        'source_offset',
        'key',
        'value',
        'value_length',
        'value_sha256',
      ],
      ...['truncated', 'schema_id', 'stage', 'code', 'message', 'at', ...SOURCE],
    ],
    write(to, event) {
      to.string(event.topic)
      to.int32(event.partition)
      to.int64(event.offset)
      if (!to.isNull(event.key)) to.bytes(event.key)
      if (!to.isNull(event.value)) to.bytes(event.value)
      to.int64(event.valueLength)
      to.string(event.valueSha256)
      to.bool(event.truncated)
      to.string(event.schemaId)
      to.string(event.stage)
      to.string(event.code)
      to.string(event.message)
      to.time(event.at)
    },
  },
}

/** The table in which an event is recorded. */
export const tableOf = (name: RecordedName): string => FORMATS[name].table

/** The events that are recorded, and their tables. */
export const RECORDED = Object.keys(FORMATS) as RecordedName[]

/** The token of a block: equal for equal ranges, and different for different ones. */
export const blockToken = ({ cluster, topic, partition, from, to }: BlockRange, table: string): string =>
  JSON.stringify([cluster, topic, partition, from, to, table])

/**
 * The block of the events of a range, ready for `insertBlock`. O(bytes).
 * @param onRefused told about a record whose values its columns cannot hold; the block then goes without it. Where absent, the block
 * is refused.
 * @throws MillraceError NON_FINITE_NUMBER or INVALID_EVENT, naming the record.
 */
export const encodeBlock = <K extends RecordedName>(
  name: K,
  range: BlockRange,
  records: readonly RecordedEvent<EventTypes[K]>[],
  onRefused?: (record: RecordedEvent<EventTypes[K]>, error: MillraceError) => void,
): Block => {
  const { table, columns, write } = FORMATS[name]
  const { topic, partition } = range
  const writer = new RowBinaryWriter(Math.max(1 << 12, records.length << 8))
  for (const record of records) {
    const begun = writer.length
    try {
      write(writer, record.event)
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      const refusal = new MillraceError(
        error.code,
        `${topic}/${partition} at ${record.offset}: ${error.message}`,
      )
      if (onRefused === undefined) throw refusal
      writer.truncate(begun)
      onRefused(record, refusal)
      continue
    }
    writer.string(topic)
    writer.uint32(partition)
    writer.uint64(record.offset)
  }
  return { table, columns, bytes: writer.finish(), token: blockToken(range, table) }
}
