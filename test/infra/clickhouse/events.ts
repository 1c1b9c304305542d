/** Events for the recording tests: one full example of each kind, and plain outcomes in any number. */

import type { RecordedName } from '../../../infra/clickhouse/rows.ts'
import type { EventTypes, Outcome } from '../../../schemas/generated/events.ts'

export const NOW = Date.UTC(2026, 4, 17, 12, 30, 15, 123)
const BIG = Number.MAX_SAFE_INTEGER

const decided = {
  requestId: 'r-1',
  policy: 'homepage-ünïcode-日本',
  policyVersion: 3,
  policyHash: '0123456789abcdef',
  occurredAt: NOW,
  arm: 'it\'s \\ "quoted"\t🦆\n',
  propensity: 0.1 + 0.2,
  propensityKind: 'estimated',
  arms: ['it\'s \\ "quoted"\t🦆\n', '', 'ß'.repeat(300)],
  probabilities: [0.30000000000000004, 5e-324, 0.7],
  vector: [-0, 1.5, Number.MAX_VALUE, -1e-300],
  hyperParameters: [
    { name: 'alpha', value: 0.25, probability: 1 },
    { name: 'λ', value: -3, probability: 0.5 },
  ],
  stateOffset: BIG,
  requestPartition: 2_147_483_647,
  requestOffset: 0,
} as const

export const EXAMPLES: { [K in RecordedName]: EventTypes[K] } = {
  decision: { ...decided, decidedAt: NOW + 7, ranking: [2, 0, 1] },
  outcome: {
    ...decided,
    closedAt: NOW + 60_000,
    reward: -2.5,
    rewardKind: 'observed',
    rewardOccurredAt: NOW + 9,
  },
  reward: { requestId: 'r-1', rewardId: 'click', value: 1e-9, occurredAt: NOW },
  activation: { requestId: 'r-1', occurredAt: NOW },
  ledger: {
    partition: 2_147_483_647,
    kind: 'rewards',
    taken: BIG,
    used: 3,
    pending: 1,
    reasons: { 'unknown-decision': 2, duplicate: 1 },
    watermark: -7,
    at: NOW,
  },
  'document-labels': {
    documentId: 'd-1',
    labels: [
      { label: 'animal.n.01 "ö"', score: 0.75 },
      { label: '', score: -1e-300 },
    ],
    modelName: 'tags',
    modelVersion: 2_147_483_647,
    occurredAt: NOW,
    taggedAt: NOW + 12,
  },
  model: {
    name: 'tags',
    version: 3,
    uri: 'file:///models/ü',
    sha256: 'cd'.repeat(32),
    trainedOn: [
      { topic: 'documents', partition: 0, from: 0, to: BIG },
      { topic: 'documents', partition: 3, from: 7, to: 8 },
    ],
    metrics: { 'psp@1': 0.25, 'precision@1': 0.5 },
    promoted: true,
    createdAt: NOW,
  },
  metric: { name: 'loss', value: -1, labels: { zone: 'ö', app: '' }, at: NOW },
  'dead-letter': {
    topic: 'decision-requests',
    partition: -1,
    offset: BIG,
    key: Buffer.from([0, 255, 128, 10]),
    value: Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
    valueLength: 256,
    valueSha256: 'ab'.repeat(32),
    truncated: true,
    schemaId: '7',
    stage: 'decode',
    code: 'MALFORMED_AVRO',
    message: 'not an Avro message – “x”',
    at: NOW,
  },
}

/** The same kinds with every list empty, every nullable null, every number small. */
export const BARE: { [K in RecordedName]: EventTypes[K] } = {
  decision: {
    ...EXAMPLES.decision,
    requestId: '',
    arms: [],
    probabilities: [],
    ranking: [],
    vector: [],
    hyperParameters: [],
    stateOffset: -1,
  },
  outcome: {
    ...EXAMPLES.outcome,
    arms: [],
    probabilities: [],
    vector: [],
    hyperParameters: [],
    rewardKind: 'defaulted',
    rewardOccurredAt: null,
  },
  reward: { requestId: '', rewardId: '', value: 0, occurredAt: NOW - 1 },
  activation: { requestId: 'r-2', occurredAt: NOW - 1 },
  ledger: {
    partition: 0,
    kind: 'decisions',
    taken: 0,
    used: 0,
    pending: 0,
    reasons: {},
    watermark: null,
    at: NOW,
  },
  'document-labels': { ...EXAMPLES['document-labels'], documentId: '', labels: [], modelVersion: 0 },
  model: { ...EXAMPLES.model, trainedOn: [], metrics: {}, promoted: false },
  metric: { name: '', value: 0, labels: {}, at: NOW },
  'dead-letter': { ...EXAMPLES['dead-letter'], key: null, value: null, valueLength: -1, truncated: false },
}

/** The i-th of many outcomes: arms `a` and `b`, reward i mod 2, one a second from `from`. */
export const outcome = (i: number, from = NOW): Outcome => ({
  ...EXAMPLES.outcome,
  requestId: `r-${i}`,
  policy: 'p',
  arm: i % 2 === 0 ? 'a' : 'b',
  propensity: 0.5,
  reward: i % 2,
  occurredAt: from + 1_000 * i,
  rewardKind: i % 4 === 0 ? 'defaulted' : 'observed',
})
