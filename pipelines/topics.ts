/** The topics that pipelines need, made only where the configuration says so; otherwise what is missing is named. */
import { RECORDED } from '../infra/clickhouse/rows.ts'
import { CUT_VALUE_LENGTH, WHOLE_VALUE_LIMIT } from '../operators/streams/dead-letter.ts'
import { COMPACTED_TOPICS, TOPICS, type TopicName } from '../schemas/catalogue.ts'
import { MillraceError } from '../schemas/errors.ts'
import type { EventName } from '../schemas/generated/events.ts'
import { type Runtime, topicOf } from './runtime.ts'

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

/** What a topic is told to keep: the newest of each key, every outcome (states are folds over all of them), else the cluster's default. */
const keeping = (event: EventName): Record<string, string> => {
  if (COMPACTED_TOPICS.has(TOPICS[event] as TopicName)) return { 'cleanup.policy': 'compact' }
  return event === 'outcome' ? { 'retention.ms': '-1', 'retention.bytes': '-1' } : {}
}

type Cluster = Pick<Runtime, 'broker' | 'config'>

/**
 * What lies between the present topics and those needed; all empty where nothing does.
 * @param jobs whose topics must be even; those of all jobs where absent.
 */
export const topicProblems = async (
  { broker, config }: Cluster,
  jobs?: readonly string[],
): Promise<TopicProblems> => {
  const own = DECISION_EVENTS.map((event) => topicOf(config, event))
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

/** The topics that each job reads together. */
const readTogether = (config: Runtime['config']): Readonly<Record<string, readonly string[]>> => {
  const from = (event: EventName) => {
    const mapped = config.sources.filter((source) => source.event === event).map(({ topic }) => topic)
    return mapped.length > 0 ? mapped : [topicOf(config, event)]
  }
  return {
    decide: from('decision-request'),
    attribute: [topicOf(config, 'decision'), ...from('reward')],
    record: RECORDED.flatMap(from),
  }
}

/** Makes millrace's own topics where they are missing; the user's are never made. */
export const createTopics = ({ broker, config }: Cluster): Promise<void> => {
  const { partitions, replicationFactor } = config.topics
  return broker.admin.create(
    DECISION_EVENTS.map((event) => ({
      topic: topicOf(config, event),
      partitions,
      replicationFactor,
      config: keeping(event),
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
