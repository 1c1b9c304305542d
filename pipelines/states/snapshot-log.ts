/** The topic `snapshots`: what lies there, and which of it can be gone on from. */
import { partitionOf } from '../../infra/kafka/partitioner.ts'
import type { TopicOffsets } from '../../infra/kafka/port.ts'
import { type LivePolicy, type PolicyTable, SHORT_HASH } from '../../operators/bandits/state/policy-table.ts'
import { NUMERIC_KERNEL, SNAPSHOT_FORMAT } from '../../operators/bandits/state/snapshot-format.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { PolicyDefinition, Snapshot, SnapshotPart } from '../../schemas/generated/events.ts'
import { type Runtime, topicOf } from '../process/runtime.ts'

/** Slots of a state in the topic. */
const SLOTS = 4

type Surroundings = Pick<Runtime, 'broker' | 'codec' | 'config' | 'log'>

/** Every slot of every policy as it stands now; a record that cannot be read is left out, with a warning. */
export const readSnapshots = async ({ broker, codec, config, log }: Surroundings): Promise<Snapshot[]> => {
  const topic = topicOf(config, 'snapshot')
  const offsets = await broker.admin.offsets(topic)
  const from = new Map(offsets.map(({ partition, earliest }) => [partition, earliest]))
  const to = new Map(offsets.map(({ partition, latest }) => [partition, latest]))
  const slots = new Map<string, Snapshot>()
  await broker.read({ topic, from, to }, async ({ records, partition }) => {
    await codec.ensureSchemas(records.map(({ value }) => value))
    for (const { key, value, offset } of records) {
      try {
        if (value === null) slots.delete(String(key))
        else {
          const snapshot = codec.decode('snapshot', value)
          slots.set(KEYS.snapshot(snapshot), snapshot)
        }
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        log.warn({ code: error.code, topic, partition, offset }, `no snapshot: ${error.message}`)
      }
    }
  })
  return [...slots.values()]
}

/** Where a snapshot's parts lie and how far each is learned; one part where the policy is not split. */
export const partsOfSnapshot = ({ parts, partition, offset }: Snapshot): readonly SnapshotPart[] =>
  parts.length > 0 ? parts : [{ partition, offset }]

/** The sum of its offsets: of two snapshots of a policy the newer one has the larger. */
export const reach = (snapshot: Snapshot): number =>
  partsOfSnapshot(snapshot).reduce((sum, { offset }) => sum + offset, 0)

/** Whether a snapshot is of the state that the live version goes on with: of any version that gives it the same meaning. */
export const isOfState = (
  { policy, policyHash }: Snapshot,
  live: LivePolicy,
  definitions: readonly PolicyDefinition[],
): boolean =>
  policy === live.name &&
  definitions.some(
    (other) =>
      other.policy === policy &&
      other.stateHash === live.stateHash &&
      other.hash.slice(0, SHORT_HASH) === policyHash,
  )

/** The partition of `outcomes` that holds each of a policy's parts. */
export const partitionsOf = ({ keys }: Pick<LivePolicy, 'keys'>, partitions: number): number[] =>
  keys.map((key) => partitionOf(Buffer.from(key), partitions))

/**
 * Why the fold cannot go on from a snapshot of its state, as far as the record tells: SNAPSHOT_MISMATCH (another format or numeric kernel, other
 * partitions) or OFFSET_OUT_OF_RANGE; null where it can.
 * @param outcomes the part of `outcomes` that there is to fold
 */
export const whyUnusable = (
  snapshot: Snapshot,
  live: LivePolicy,
  outcomes: readonly TopicOffsets[],
): MillraceError | null => {
  const { format, kernel } = snapshot
  const mismatch = (why: string) => new MillraceError('SNAPSHOT_MISMATCH', `snapshot: ${why}`)
  if (format !== SNAPSHOT_FORMAT || kernel !== NUMERIC_KERNEL)
    return mismatch(
      `it was made by kernel ${kernel} in format ${format}, this process has ${NUMERIC_KERNEL} and ${SNAPSHOT_FORMAT}`,
    )
  const parts = partsOfSnapshot(snapshot)
  const expected = partitionsOf(live, outcomes.length)
  const found = parts.map(({ partition }) => partition)
  if (found.join() !== expected.join())
    return mismatch(
      `it is of partitions ${found} of the outcomes, those of "${live.name}" lie in ${expected}`,
    )
  for (const { partition, offset } of parts) {
    const { earliest, latest } = outcomes.find((each) => each.partition === partition)!
    if (offset >= earliest && offset <= latest) continue
    return new MillraceError(
      'OFFSET_OUT_OF_RANGE',
      `snapshot: it goes on at offset ${offset} of partition ${partition}, where outcomes ${earliest} to ${latest} are`,
    )
  }
  return null
}

/**
 * The place of a state among those of its policy, in the order of their first versions: its slots are four from four times that on. Versions are only added, so
 * it stays what it is.
 */
const placeOf = ({ name, stateHash }: LivePolicy, definitions: readonly PolicyDefinition[]): number => {
  const own = definitions.filter(({ policy }) => policy === name).sort((a, b) => a.version - b.version)
  return [...new Set(own.map((other) => other.stateHash))].indexOf(stateHash)
}

/** The slots of the policies' states as the topic has them; a task owns those of its policies, so that nobody else changes them meanwhile. */
export class Slots {
  readonly #definitions: readonly PolicyDefinition[]
  readonly #slots = new Map<string, Snapshot>()
  /** Of each slot that can be gone on from, how far it has come. */
  readonly #usable = new Map<string, number>()

  private constructor(definitions: readonly PolicyDefinition[]) {
    this.#definitions = definitions
  }

  static async read(
    runtime: Surroundings,
    table: PolicyTable,
    definitions: readonly PolicyDefinition[],
  ): Promise<Slots> {
    const outcomes = await runtime.broker.admin.offsets(topicOf(runtime.config, 'outcome'))
    const slots = new Slots(definitions)
    for (const snapshot of await readSnapshots(runtime)) {
      const key = KEYS.snapshot(snapshot)
      slots.#slots.set(key, snapshot)
      for (const live of table.held()) {
        const own = isOfState(snapshot, live, definitions) && slots.#of(live).includes(snapshot.slot)
        if (own && whyUnusable(snapshot, live, outcomes) === null) slots.#usable.set(key, reach(snapshot))
      }
    }
    return slots
  }

  /** How far the newest usable snapshot of a state has come, its beginning where there is none. */
  newest(live: LivePolicy): number {
    return Math.max(live.from * live.parts, ...this.#reaches(live))
  }

  /** The slot to be written next: an empty one, else the one that is of least use. */
  next(live: LivePolicy): number {
    const reaches = this.#reaches(live)
    return this.#of(live)[reaches.indexOf(Math.min(...reaches))]!
  }

  /** @returns what lay in the slot before */
  put(snapshot: Snapshot): Snapshot | undefined {
    const key = KEYS.snapshot(snapshot)
    const before = this.#slots.get(key)
    this.#slots.set(key, snapshot)
    this.#usable.set(key, reach(snapshot))
    return before
  }

  #of(live: LivePolicy): number[] {
    const place = placeOf(live, this.#definitions)
    return Array.from({ length: SLOTS }, (_, slot) => SLOTS * place + slot)
  }

  /** By slot: -1 where what lies there is of no use, -2 where nothing does. */
  #reaches(live: LivePolicy): number[] {
    return this.#of(live).map((slot) => {
      const key = KEYS.snapshot({ policy: live.name, slot } as Snapshot)
      return this.#usable.get(key) ?? (this.#slots.has(key) ? -1 : -2)
    })
  }
}
