/** The topics that pipelines need, made only where the configuration says so; otherwise what is missing is named. */
import { RECORDED, type RecordedName } from '../../infra/clickhouse/rows.ts'
import { CUT_VALUE_LENGTH, WHOLE_VALUE_LIMIT } from '../../operators/streams/dead-letter.ts'
import { COMPACTED_TOPICS, TOPICS, type TopicName } from '../../schemas/catalogue.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { EventName } from '../../schemas/generated/events.ts'
import { type Runtime, topicOf } from '../process/runtime.ts'

/** The events whose topics the decision jobs stand on. */
export const DECISION_EVENTS = [
  'decision-request',
  'decision',
  'reward',
  'activation',
  'outcome',
  'outcome-correction',
  'policy-definition',
  'snapshot',
  'ledger',
  'metric',
  'dead-letter',
] as const satisfies readonly EventName[]

/** The events whose topics the jobs of documents stand on, too. */
export const DOCUMENT_EVENTS = [
  'document',
  'document-labels',
  'model',
] as const satisfies readonly EventName[]

/** The events whose topics are needed. */
export const eventsOf = ({ tag }: Pick<Runtime['config'], 'tag'>): readonly EventName[] =>
  tag === undefined ? DECISION_EVENTS : [...DECISION_EVENTS, ...DOCUMENT_EVENTS]

/** What a dead letter may take beside its key and value: names, message, framing. */
const LETTER_OVERHEAD = 16 * 1024
/** The largest dead letter in bytes: a whole value and the longest key. */
export const LARGEST_LETTER = WHOLE_VALUE_LIMIT + CUT_VALUE_LENGTH + LETTER_OVERHEAD

export interface TopicProblems {
  /** Topics that are not there. */
  readonly missing: readonly string[]
  /** Jobs whose topics differ in their numbers of partitions, in words. */
  readonly uneven: readonly string[]
  /** Topics whose `max.message.bytes` is too small for what is written there, in words. */
  readonly small: readonly string[]
}

/**
 * How a topic is made: of a compacted one the newest of each key is kept, of outcomes all (states are folds over them), else what the cluster
 * keeps. What the join reads carries the broker's time, since producers' clocks may be wrong.
 */
const settingsOf = (
  event: EventName,
  { tag }: Runtime['config'],
  broker: Pick<Runtime['broker'], 'kind'>,
): Record<string, string> => {
  // What is in memory is gone once it was read, but for what a model is trained on.
  if (event === 'document' && broker.kind === 'memory' && tag !== undefined)
    return { 'retention.records': String(tag.retrain.window) }
  if (COMPACTED_TOPICS.has(TOPICS[event] as TopicName)) return { 'cleanup.policy': 'compact' }
  if (event === 'outcome') return { 'retention.ms': '-1', 'retention.bytes': '-1' }
  return JOINED.has(event) ? { 'message.timestamp.type': 'LogAppendTime' } : {}
}

const JOINED: ReadonlySet<EventName> = new Set(['decision', 'reward', 'activation'])

type Cluster = Pick<Runtime, 'broker' | 'config'>

/**
 * What lies between the present topics and those needed; all empty where nothing does.
 * @param jobs whose topics must be even; those of all jobs where absent.
 */
export const topicProblems = async (
  { broker, config }: Cluster,
  jobs?: readonly string[],
): Promise<TopicProblems> => {
  const own = eventsOf(config).map((event) => topicOf(config, event))
  const users = [...config.sources, ...config.sinks].map(({ topic }) => topic)
  const needed = [...new Set([...own, ...users])]
  const found = new Map(
    (await broker.admin.describe(needed)).map(({ topic, partitions }) => [topic, partitions]),
  )
  const missing = needed.filter((topic) => !found.has(topic))
  const uneven = Object.entries(readTogether(config)).flatMap(([job, topics]) => {
    if (jobs !== undefined && !jobs.includes(job)) return []
    const present = topics.filter((topic) => found.has(topic))
    if (new Set(present.map((topic) => found.get(topic))).size <= 1) return []
    return [`${job}: ${present.map((topic) => `${topic} has ${found.get(topic)}`).join(', ')}`]
  })
  const letters = topicOf(config, 'dead-letter')
  const limit = found.has(letters) ? await broker.admin.maxMessageBytes(letters) : null
  const small =
    limit === null || limit >= LARGEST_LETTER
      ? []
      : [`${letters} has max.message.bytes ${limit}, the largest dead letter takes ${LARGEST_LETTER}`]
  return { missing, uneven, small }
}

/** Where an event comes from: the user's topics that are mapped to it, else millrace's own. */
const sourcesOf = (config: Runtime['config'], event: EventName): readonly string[] => {
  const mapped = config.sources.filter((source) => source.event === event).map(({ topic }) => topic)
  return mapped.length > 0 ? mapped : [topicOf(config, event)]
}

/** What the join reads, and reads again after a restart. */
const joinTopics = (config: Runtime['config']): readonly string[] => [
  topicOf(config, 'decision'),
  ...sourcesOf(config, 'reward'),
  ...(config.join.activation === 'deferred' ? sourcesOf(config, 'activation') : []),
]

/** The events that are recorded under a configuration: those whose topics there are. */
export const recordedEvents = (config: Pick<Runtime['config'], 'tag'>): RecordedName[] => {
  const events = new Set(eventsOf(config))
  return RECORDED.filter((event) => events.has(event))
}

/** The topics that each job reads together. */
const readTogether = (config: Runtime['config']): Readonly<Record<string, readonly string[]>> => ({
  decide: sourcesOf(config, 'decision-request'),
  attribute: joinTopics(config),
  record: recordedEvents(config).flatMap((event) => sourcesOf(config, event)),
  ...(config.tag === undefined ? {} : { tag: sourcesOf(config, 'document') }),
})

/**
 * Topics of the join, in words, that keep their records for less than the join may need them again; those that are missing are passed over. What
 * `retention.bytes` leaves is not known beforehand.
 */
export const retentionProblems = async ({ broker, config }: Cluster): Promise<string[]> => {
  const { window, grace, dedupHorizon } = config.join
  const needed = window + grace + dedupHorizon
  const problems: string[] = []
  for (const { topic } of await broker.admin.describe(joinTopics(config))) {
    const settings = await broker.admin.settings(topic)
    const retention = Number(settings.get('retention.ms') ?? -1)
    if (settings.get('cleanup.policy')?.includes('compact'))
      problems.push(
        `${topic} is compacted: of several records with one key only the newest would be read again`,
      )
    else if (retention >= 0 && retention < needed)
      problems.push(
        `${topic} has retention.ms ${retention}, join.window, join.grace and join.dedupHorizon together are ${needed}`,
      )
  }
  return problems
}

/** Makes millrace's own topics where they are missing; the user's are never made. */
export const createTopics = ({ broker, config }: Cluster): Promise<void> => {
  const { partitions, replicationFactor } = config.topics
  return broker.admin.create(
    eventsOf(config).map((event) => ({
      topic: topicOf(config, event),
      partitions,
      replicationFactor,
      config: settingsOf(event, config, broker),
    })),
  )
}

/**
 * Makes sure that the topics are there, and even for these jobs (all where absent).
 * @throws MillraceError MISSING_TOPIC naming them, PARTITION_MISMATCH
 */
export const ensureTopics = async (
  cluster: Cluster,
  create: boolean,
  jobs?: readonly string[],
): Promise<void> => {
  if (create) await createTopics(cluster)
  const { missing, uneven } = await topicProblems(cluster, jobs)
  if (missing.length > 0) {
    throw new MillraceError(
      'MISSING_TOPIC',
      `missing: ${missing.join(', ')}. Create them, or start with --create-topics to have millrace's own made`,
    )
  }
  if (uneven.length > 0)
    throw new MillraceError(
      'PARTITION_MISMATCH',
      `${uneven.join('; ')}: topics read together need equal numbers of partitions`,
    )
}
