/**
 * Which topic carries which event, and its key: what co-partitioning and compaction rest on. Topic names are without the configurable
 * prefix; docs/events.md is the same for people.
 */
import type { EventName, EventTypes } from './generated/events.ts'

/** Event → topic. */
export const TOPICS = {
  'decision-request': 'decision-requests',
  decision: 'decisions',
  reward: 'rewards',
  activation: 'activations',
  outcome: 'outcomes',
  'outcome-correction': 'outcome-corrections',
  'policy-definition': 'policies',
  snapshot: 'snapshots',
  image: 'images',
  'image-score': 'image-scores',
  'quarantined-image': 'quarantine',
  document: 'documents',
  'document-labels': 'document-labels',
  model: 'models',
  ledger: 'ledgers',
  metric: 'metrics',
  'dead-letter': 'dead-letters',
} as const satisfies Readonly<Record<EventName, string>>

export type TopicName = (typeof TOPICS)[EventName]

/** Topics of which Kafka keeps the newest record of a key only. */
export const COMPACTED_TOPICS: ReadonlySet<TopicName> = new Set(['policies', 'snapshots', 'models'])

/** Event → its record key. (`models` also holds `name/live`, the pointer to the served version; a split policy's key is `policy#k`.) */
export const KEYS: { readonly [E in EventName]: (event: EventTypes[E]) => string } = {
  'decision-request': (event) => event.requestId,
  decision: (event) => event.requestId,
  reward: (event) => event.requestId,
  activation: (event) => event.requestId,
  outcome: (event) => event.policy,
  'outcome-correction': (event) => event.policy,
  'policy-definition': (event) => `${event.policy}/${event.version}`,
  snapshot: (event) => `${event.policy}/${event.slot}`,
  image: (event) => event.imageId,
  'image-score': (event) => event.imageId,
  'quarantined-image': (event) => event.imageId,
  document: (event) => event.documentId,
  'document-labels': (event) => event.documentId,
  model: (event) => `${event.name}/${event.version}`,
  ledger: (event) => `${event.partition}/${event.kind}`,
  metric: (event) => event.name,
  'dead-letter': (event) => event.topic,
}
