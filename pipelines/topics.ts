/** The topics that pipelines need, made only where the configuration says so; otherwise what is missing is named. */
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
  'metric',
  'dead-letter',
] as const satisfies readonly EventName[]

/** What lies between the present topics and those needed, in words; empty where nothing does. */
export const topicProblems = async ({
  broker,
  config,
  inputs,
  sinks,
}: Runtime): Promise<{ missing: string[]; uneven: string[] }> => {
  const own = DECISION_EVENTS.map((event) => topicOf(config, event))
  const users = [
    ...(['decision-request', 'reward', 'activation'] as const).flatMap((event) =>
      inputs(event).map(({ topic }) => topic),
    ),
    ...sinks.map(({ topic }) => topic),
  ]
  const needed = [...new Set([...own, ...users])]
  const found = new Map(
    (await broker.admin.describe(needed)).map(({ topic, partitions }) => [topic, partitions]),
  )
  const missing = needed.filter((topic) => !found.has(topic))
  const decisions = topicOf(config, 'decision')
  const partitions = found.get(decisions)
  const joined = inputs('reward').map(({ topic }) => topic)
  const uneven = joined
    .filter((topic) => found.has(topic) && partitions !== undefined && found.get(topic) !== partitions)
    .map((topic) => `${topic} has ${found.get(topic)} partitions, ${decisions} ${partitions}`)
  return { missing, uneven }
}

/**
 * Makes sure that the topics are there.
 * @throws MillraceError MISSING_TOPIC naming them, PARTITION_MISMATCH
 */
export const ensureTopics = async (runtime: Runtime, create: boolean): Promise<void> => {
  const { broker, config } = runtime
  if (create) {
    const { partitions, replicationFactor } = config.topics
    await broker.admin.create(
      DECISION_EVENTS.map((event) => ({
        topic: topicOf(config, event),
        partitions,
        replicationFactor,
        config: COMPACTED_TOPICS.has(TOPICS[event] as TopicName) ? { 'cleanup.policy': 'compact' } : {},
      })),
    )
  }
  const { missing, uneven } = await topicProblems(runtime)
  if (missing.length > 0) {
    throw new MillraceError(
      'MISSING_TOPIC',
      `missing: ${missing.join(', ')}. Create them, or start with --create-topics to have millrace's own made`,
    )
  }
  if (uneven.length > 0)
    throw new MillraceError('PARTITION_MISMATCH', `${uneven.join('; ')}: joined topics need equal numbers`)
}
