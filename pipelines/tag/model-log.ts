/**
 * The topic `models`: a record a version (key `name/version`) and one that says which version is served (`name/live`). All records of one model lie in the
 * partition of its name, so they have one order, and whoever owns that partition in the group `retrain` is the model's one trainer. A record without a value ends
 * its key: an old version that is kept no longer.
 */
import { partitionOf } from '../../infra/kafka/partitioner.ts'
import type { ConsumedRecord, OutputRecord } from '../../infra/kafka/port.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Model } from '../../schemas/generated/events.ts'
import { type Runtime, topicOf } from '../process/runtime.ts'

export type ModelSurroundings = Pick<Runtime, 'broker' | 'codec' | 'config' | 'log'>

/** What the log says of one model. */
export class ModelVersions {
  readonly name: string
  /** The version served, as the record says that named it; null where none is. */
  live: Model | null = null
  private readonly kept = new Map<number, Model>()

  constructor(name: string) {
    this.name = name
  }

  /** The versions, oldest first. */
  get all(): readonly Model[] {
    return [...this.kept.values()].sort((a, b) => a.version - b.version)
  }

  get newest(): Model | null {
    return this.all.at(-1) ?? null
  }

  /** @throws MillraceError UNKNOWN_MODEL */
  version(number: number): Model {
    const model = this.kept.get(number)
    if (model !== undefined) return model
    const known = this.all.map(({ version }) => version).join(', ')
    throw new MillraceError(
      'UNKNOWN_MODEL',
      `model "${this.name}" has no version ${number}: it has ${known || 'none'}`,
    )
  }

  /** @param key what stands behind the name and its slash. @param model null where the record has no value */
  take(key: string, model: Model | null): void {
    if (key === LIVE) this.live = model
    else if (model === null) this.kept.delete(Number(key))
    else this.kept.set(Number(key), model)
  }
}

const LIVE = 'live'

/** The partition that holds all records of a model. */
export const partitionOfModel = (name: string, partitions: number): number =>
  partitionOf(Buffer.from(name), partitions)

/** Takes a batch of the topic into what is known of models, by name; what cannot be read is passed over with a warning. */
export const takeRecords = async (
  { codec, config, log }: Omit<ModelSurroundings, 'broker'>,
  partition: number,
  records: readonly ConsumedRecord[],
  found: Map<string, ModelVersions>,
): Promise<void> => {
  await codec.ensureSchemas(records.map(({ value }) => value))
  for (const { key, value, offset } of records) {
    const [, name, part] = /^([^/]+)\/(live|\d+)$/.exec(String(key)) ?? []
    try {
      if (name === undefined || part === undefined)
        throw new MillraceError('INVALID_EVENT', `the key ${String(key).slice(0, 200)} is no model's`)
      const model = value === null ? null : codec.decode('model', value)
      const versions = found.get(name) ?? new ModelVersions(name)
      found.set(name, versions)
      versions.take(part, model)
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      const topic = topicOf(config, 'model')
      log.warn({ code: error.code, topic, partition, offset }, `no model: ${error.message}`)
    }
  }
}

/** A model as its partition has it now, and where that reading ended. */
export interface ModelReading {
  readonly versions: ModelVersions
  readonly partition: number
  readonly offset: number
  /** Partitions of the topic. */
  readonly partitions: number
}

/** Reads one model. @throws MillraceError MISSING_TOPIC, KAFKA_UNAVAILABLE, REGISTRY_UNAVAILABLE */
export const readModel = async (surroundings: ModelSurroundings, name: string): Promise<ModelReading> => {
  const { broker, config } = surroundings
  const topic = topicOf(config, 'model')
  const offsets = await broker.admin.offsets(topic)
  const partition = partitionOfModel(name, offsets.length)
  const { earliest, latest } = offsets.find((each) => each.partition === partition)!
  const found = new Map<string, ModelVersions>()
  if (earliest < latest)
    await broker.read(
      { topic, from: new Map([[partition, earliest]]), to: new Map([[partition, latest]]) },
      ({ records }) => takeRecords(surroundings, partition, records, found),
    )
  const versions = found.get(name) ?? new ModelVersions(name)
  return { versions, partition, offset: latest, partitions: offsets.length }
}

/** Every model of the log, by name. @throws as `readModel` */
export const readModels = async (surroundings: ModelSurroundings): Promise<ModelVersions[]> => {
  const { broker, config } = surroundings
  const topic = topicOf(config, 'model')
  const offsets = await broker.admin.offsets(topic)
  const from = new Map(offsets.map(({ partition, earliest }) => [partition, earliest]))
  const to = new Map(offsets.map(({ partition, latest }) => [partition, latest]))
  const found = new Map<string, ModelVersions>()
  await broker.read({ topic, from, to }, ({ partition, records }) =>
    takeRecords(surroundings, partition, records, found),
  )
  return [...found.values()]
    .filter(({ live, all }) => live !== null || all.length > 0)
    .sort((a, b) => a.name.localeCompare(b.name))
}

/** What `modelRecord` is to say: a version as it was made, the version served, or that a version is kept no longer. */
export type ModelSays = 'version' | 'live' | 'gone'

/** A record of a model, in the partition of its name. */
export const modelRecord = (
  { codec, config }: Pick<Runtime, 'codec' | 'config'>,
  says: ModelSays,
  model: Model,
  partitions: number,
): OutputRecord => ({
  topic: topicOf(config, 'model'),
  key: Buffer.from(says === 'live' ? `${model.name}/${LIVE}` : KEYS.model(model)),
  value: says === 'gone' ? null : codec.encode('model', model),
  partition: partitionOfModel(model.name, partitions),
})

/** The version that was served before the present one: of those that passed the gate, the newest below it. @throws MillraceError UNKNOWN_MODEL */
export const before = ({ name, live, all }: ModelVersions): Model => {
  const found = all.filter(({ version, promoted }) => promoted && version < (live?.version ?? 0)).at(-1)
  if (found !== undefined) return found
  throw new MillraceError('UNKNOWN_MODEL', `model "${name}" has no promoted version before the one served`)
}

/**
 * Has another version served; whoever tags takes it up at once.
 * @param number the version; where absent, the one served before
 * @returns the model served now, and the one that was
 * @throws MillraceError UNKNOWN_MODEL, and as `readModel`
 */
export const rollBack = async (
  surroundings: ModelSurroundings,
  name: string,
  number?: number,
): Promise<{ readonly live: Model; readonly former: Model | null }> => {
  const { versions, partitions } = await readModel(surroundings, name)
  const chosen = number === undefined ? before(versions) : versions.version(number)
  const live: Model = { ...chosen, promoted: true }
  const { live: former } = versions
  const { broker, codec } = surroundings
  await codec.prepare(['model'])
  const writer = await broker.writer()
  try {
    await writer.send([modelRecord(surroundings, 'live', live, partitions)])
  } finally {
    await writer.close()
  }
  return { live, former }
}
