/** Topics, offsets and committed positions, through kafkajs. Every call is patient with a cluster that starts or fails over. */
import type { Admin as KafkajsAdmin } from 'kafkajs'
import { type ClosableAdmin, closeSoon, groupIdOf, missingTopic, patiently } from '../adapter/driver.ts'
import type { Position, TopicDescription, TopicOffsets } from '../port.ts'
import { type Client, type OpenCluster, openCluster } from './client.ts'
import { TransientError, typeOf } from './errors.ts'

const DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
const TOPIC_RESOURCE = 2

/** kafkajs's broker; its types ask for an offset in the question. */
interface OffsetCoordinator {
  offsetFetch(question: {
    readonly groupId: string
    readonly topics: readonly { topic: string; partitions: readonly { partition: number }[] }[]
  }): Promise<{
    readonly responses: readonly {
      readonly topic: string
      readonly partitions: readonly { partition: number; offset: string; metadata: string | null }[]
    }[]
  }>
}

class KafkajsAdapterAdmin implements ClosableAdmin {
  readonly #client: Client
  readonly #admin: KafkajsAdmin
  readonly #open: OpenCluster
  #connected: Promise<void> | undefined

  constructor(client: Client) {
    this.#client = client
    this.#admin = client.kafka.admin()
    this.#open = openCluster(client)
  }

  async #ask<T>(request: () => Promise<T>): Promise<T> {
    return patiently(this.#client, async () => {
      this.#connected ??= Promise.all([this.#admin.connect(), this.#open.connect()]).then(() => {})
      await this.#connected.catch((error) => {
        this.#connected = undefined
        throw error
      })
      return request()
    })
  }

  async clusterId(): Promise<string> {
    return (await this.#ask(() => this.#admin.describeCluster())).clusterId
  }

  async describe(topics?: readonly string[]): Promise<TopicDescription[]> {
    const descriptions = await this.#ask(() =>
      topics && topics.length > 0 ? this.#describeNamed(topics) : this.#describeAll(),
    )
    if (topics) return descriptions.filter(({ topic }) => topics.includes(topic))
    return descriptions.filter(({ topic }) => !topic.startsWith('__'))
  }

  async #describeAll(): Promise<TopicDescription[]> {
    const { topics } = await this.#admin.fetchTopicMetadata()
    return topics.map(({ name, partitions }) => ({ topic: name, partitions: partitions.length }))
  }

  /**
   * Asks for these alone, or for all where one is missing. The connection to the cluster creates none by asking; a broker is asked
   * past what the connection itself knows of topics, which other requests rely on.
   */
  async #describeNamed(topics: readonly string[]): Promise<TopicDescription[]> {
    const { cluster } = this.#open
    await cluster.refreshMetadataIfNecessary()
    const broker = await cluster.findControllerBroker()
    try {
      const { topicMetadata } = await broker.metadata([...topics])
      return topicMetadata.map(({ topic, partitionMetadata }) => ({
        topic,
        partitions: partitionMetadata.length,
      }))
    } catch (error) {
      if (typeOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error
      return this.#describeAll()
    }
  }

  async create(topics: readonly (TopicDescription & { replicationFactor?: number })[]): Promise<void> {
    const there = new Set((await this.describe(topics.map(({ topic }) => topic))).map(({ topic }) => topic))
    const missing = topics.filter(({ topic }) => !there.has(topic))
    if (missing.length === 0) return
    await this.#ask(() =>
      this.#admin.createTopics({
        waitForLeaders: true,
        topics: missing.map(({ topic, partitions, replicationFactor, config }) => ({
          topic,
          numPartitions: partitions,
          replicationFactor: replicationFactor ?? -1,
          configEntries: Object.entries(config ?? {}).map(([name, value]) => ({ name, value })),
        })),
      }),
    )
  }

  async offsets(topic: string): Promise<TopicOffsets[]> {
    const [description] = await this.describe([topic])
    if (!description) throw missingTopic([topic], this.#client.address)
    const { cluster } = this.#open
    const partitions = Array.from({ length: description.partitions }, (_, partition) => ({ partition }))
    const list = async (fromBeginning: boolean) => {
      const [found] = await cluster.fetchTopicsOffset([{ topic, partitions, fromBeginning }])
      return new Map(found?.partitions.map(({ partition, offset }) => [partition, Number(offset)]))
    }
    return this.#ask(async () => {
      await cluster.addMultipleTargetTopics([topic])
      const [earliest, latest] = await Promise.all([list(true), list(false)]).catch(async (error) => {
        // A leader that has moved: kafkajs would go on asking the former one until what it knows grows old.
        await cluster.refreshMetadata()
        throw error
      })
      const found = partitions.map(({ partition }) => ({
        partition,
        earliest: earliest.get(partition),
        latest: latest.get(partition),
      }))
      const whole = (each: (typeof found)[number]): each is TopicOffsets =>
        each.earliest !== undefined && each.latest !== undefined
      if (found.every(whole)) return found
      // kafkajs leaves out partitions of which it knows no leader, or nothing any more since another question replaced what it knew.
      await cluster.refreshMetadata()
      throw new TransientError(`not every partition of ${topic} was answered`)
    })
  }

  async committed(
    app: string,
    job: string,
    topics: readonly string[],
  ): Promise<Map<string, Map<number, Position>>> {
    const groupId = groupIdOf(app, job)
    const asked = (await this.describe(topics)).map(({ topic, partitions }) => ({
      topic,
      partitions: Array.from({ length: partitions }, (_, partition) => ({ partition })),
    }))
    // kafkajs's own question leaves out partitions that it knows nothing of at the moment: as if nothing were committed there.
    const { responses } = await this.#ask(async () => {
      const coordinator: unknown = await this.#open.cluster.findGroupCoordinator({ groupId })
      return (coordinator as OffsetCoordinator).offsetFetch({ groupId, topics: asked })
    })
    return new Map(
      responses.map(({ topic, partitions }) => [
        topic,
        new Map(
          partitions
            .filter(({ offset }) => Number(offset) >= 0)
            .map(({ partition, offset, metadata }) => [
              partition,
              // librdkafka ends metadata with a zero byte.
              { offset: Number(offset), metadata: metadata?.replace(/\0$/, '') ?? '' },
            ]),
        ),
      ]),
    )
  }

  async maxMessageBytes(topic: string): Promise<number> {
    // Who may write may not always describe: the default is then assumed.
    const found = await this.settings(topic).catch(() => undefined)
    const value = Number(found?.get('max.message.bytes'))
    return value > 0 ? value : DEFAULT_MAX_MESSAGE_BYTES
  }

  async settings(topic: string): Promise<ReadonlyMap<string, string>> {
    const resources = [{ type: TOPIC_RESOURCE, name: topic }]
    const { resources: found } = await this.#ask(() =>
      this.#admin.describeConfigs({ includeSynonyms: false, resources }),
    )
    return new Map(found[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]))
  }

  async close(): Promise<void> {
    await Promise.all([closeSoon(this.#admin.disconnect()), this.#open.close()])
  }
}

export const createAdmin = (client: Client): ClosableAdmin => new KafkajsAdapterAdmin(client)
