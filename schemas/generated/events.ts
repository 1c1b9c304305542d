/** Generated from schemas/events by `npm run generate`: do not edit. */

/** A decision was really shown. Topic `activations`, key: request id. */
export interface Activation {
  /** The request whose decision was shown. */
  readonly requestId: string
  /** When it was shown. */
  readonly occurredAt: number
}

/** A record that could not be processed. Topic `dead-letters`, key: source topic. */
export interface DeadLetter {
  /** The source topic. */
  readonly topic: string
  /** Its partition. */
  readonly partition: number
  /** Its offset. */
  readonly offset: number
  /** The raw key, cut like the value. */
  readonly key: Buffer | null
  /** The raw value up to 512 KiB, else its first 64 KiB. */
  readonly value: Buffer | null
  /** Bytes of the whole value; -1 where it was null. */
  readonly valueLength: number
  /** SHA-256 of the whole value, hex; empty where it was null. */
  readonly valueSha256: string
  /** Whether key or value were cut: a replay re-reads the source. */
  readonly truncated: boolean
  /** Schema id or fingerprint found in the framing; empty where none. */
  readonly schemaId: string
  /** Where it failed, for example `decode`, `map`, `decide`. */
  readonly stage: string
  /** Stable error code. */
  readonly code: string
  /** What was wrong, for people. */
  readonly message: string
  /** When it failed. */
  readonly at: number
}

/** One choice that is open. */
export interface Arm {
  /** Name of the arm, unique within the request. */
  readonly id: string
  /** Features of the arm: dense or named; null for an arm known by its name alone. */
  readonly features: readonly number[] | Readonly<Record<string, number>> | null
}

/** A request to choose one arm. Topic `decision-requests`, key: request id. */
export interface DecisionRequest {
  /** Unique name of the request; decisions, rewards and activations refer to it. */
  readonly requestId: string
  /** Name of the policy that shall decide. */
  readonly policy: string
  /** When the request was made, by its producer's clock. */
  readonly occurredAt: number
  /** Features of the situation: dense (the policy's dimension) or named; null where the arms carry all features. */
  readonly context: readonly number[] | Readonly<Record<string, number>> | null
  /** The choices, at least one, no name twice. */
  readonly arms: readonly Arm[]
}

export type PropensityKind = 'exact' | 'estimated'

/** One hyper-parameter value in force for a decision. */
export interface HyperParameterDraw {
  /** The hyper-parameter, for example `alpha`. */
  readonly name: string
  /** The value drawn. */
  readonly value: number
  /** The probability with which it was drawn, 0 to 1. */
  readonly probability: number
}

/** The arm chosen for a request, with all that learning and evaluation need. Topic `decisions`, key: request id. */
export interface Decision {
  /** The request decided. */
  readonly requestId: string
  /** Name of the policy. */
  readonly policy: string
  /** Version of the policy's definition. */
  readonly policyVersion: number
  /** First 16 hex digits of the SHA-256 of the canonical definition. */
  readonly policyHash: string
  /** When the request was made. */
  readonly occurredAt: number
  /** When the decision was made, by the decider's clock. */
  readonly decidedAt: number
  /** The chosen arm. */
  readonly arm: string
  /** Probability with which the chosen arm was chosen, above 0, at most 1. */
  readonly propensity: number
  /** `exact`, or `estimated` from recorded draws. */
  readonly propensityKind: PropensityKind
  /** All arms, in the order of the request. */
  readonly arms: readonly string[]
  /** Probability of every arm, in the order of `arms`; sums to 1. */
  readonly probabilities: readonly number[]
  /** Indices into `arms`, best first: an explanation; the propensity is that of the arm taken. */
  readonly ranking: readonly number[]
  /** The chosen arm's feature vector, as the policy saw it. */
  readonly vector: readonly number[]
  /** Hyper-parameters in force, with the probabilities of their draws. */
  readonly hyperParameters: readonly HyperParameterDraw[]
  /** Offset in the policy's `outcomes` partition up to which (exclusive) the state had learned; of a split policy the number of outcomes of each part in it. */
  readonly stateOffset: number
  /** Partition of `decision-requests` that holds the request with every arm's features. */
  readonly requestPartition: number
  /** Offset of the request in that partition. */
  readonly requestOffset: number
}

/** A label with its score. */
export interface ScoredLabel {
  /** The label. */
  readonly label: string
  /** Its score, higher is more likely. */
  readonly score: number
}

/** The labels given to a document. Topic `document-labels`, key: document id. */
export interface DocumentLabels {
  /** The document. */
  readonly documentId: string
  /** Labels, best first. */
  readonly labels: readonly ScoredLabel[]
  /** Name of the model. */
  readonly modelName: string
  /** Its version. */
  readonly modelVersion: number
  /** When the document was written. */
  readonly occurredAt: number
  /** When it was tagged. */
  readonly taggedAt: number
}

/** A sparse feature vector. */
export interface SparseVector {
  /** Strictly increasing positions. */
  readonly indices: readonly number[]
  /** Their values. */
  readonly values: readonly number[]
}

/** A document to be tagged, or to learn from. Topic `documents`, key: document id. */
export interface Document {
  /** Name of the document. */
  readonly documentId: string
  /** Its text. */
  readonly text: string | null
  /** Sparse features, when given instead of text. */
  readonly features: SparseVector | null
  /** The true labels, when known. */
  readonly labels: readonly string[] | null
  /** When it was written or received. */
  readonly occurredAt: number
}

/** What the adversarial-example detector says. */
export interface DetectorVerdict {
  /** Name of the detector. */
  readonly detector: string
  /** Higher is more suspicious. */
  readonly score: number
  /** Scores above it are flagged. */
  readonly threshold: number
  /** Whether the image is flagged. */
  readonly flagged: boolean
}

/** The scores of an image. Topic `image-scores`, key: image id. */
export interface ImageScore {
  /** The image. */
  readonly imageId: string
  /** Labels, best first. */
  readonly labels: readonly ScoredLabel[]
  /** Indices of the tokens kept at each pruning stage. */
  readonly tokensKept: readonly (readonly number[])[]
  /** The detector's verdict; null where none ran. */
  readonly detector: DetectorVerdict | null
  /** Name of the model. */
  readonly modelName: string
  /** Its version. */
  readonly modelVersion: number
  /** The true label, when known. */
  readonly label: string | null
  /** When the image was taken. */
  readonly occurredAt: number
  /** When it was scored. */
  readonly scoredAt: number
}

/** An image to be scored. Topic `images`, key: image id. */
export interface Image {
  /** Name of the image. */
  readonly imageId: string
  /** The encoded image. */
  readonly bytes: Buffer | null
  /** Where it lies, when not inline. */
  readonly uri: string | null
  /** Its media type; empty when unknown. */
  readonly contentType: string
  /** The true label, when known. */
  readonly label: string | null
  /** When it was taken or received. */
  readonly occurredAt: number
}

export type LedgerKind = 'decisions' | 'rewards' | 'activations'

/** What became of everything that a task of the join has taken in, at one of its commits: taken = used + reasons + pending. Topic `ledgers`, key: partition/kind. */
export interface Ledger {
  /** Partition of `decisions` and `rewards`: the task. */
  readonly partition: number
  /** What is counted. */
  readonly kind: LedgerKind
  /** Taken in since the task's first commit. */
  readonly taken: number
  /** Decisions that became an outcome; rewards and activations that went into one. */
  readonly used: number
  /** Undecided yet. */
  readonly pending: number
  /** What made no outcome, by why (a closed list). */
  readonly reasons: Readonly<Record<string, number>>
  /** Event time up to which the task has closed its decisions, in milliseconds; null before the first. */
  readonly watermark: number | null
  /** When it was written. */
  readonly at: number
}

/** A measured number. Topic `metrics`, key: name. */
export interface Metric {
  /** Name of the metric. */
  readonly name: string
  /** Its value, finite. */
  readonly value: number
  /** What it belongs to. */
  readonly labels: Readonly<Record<string, string>>
  /** When it was measured. */
  readonly at: number
}

/** A range of a partition. */
export interface TrainedOn {
  /** The topic. */
  readonly topic: string
  /** The partition. */
  readonly partition: number
  /** First offset. */
  readonly from: number
  /** Offset after the last. */
  readonly to: number
}

/** A version of a model, or the version served. Topic `models` (compacted), key: name/version, and name/live. */
export interface Model {
  /** Name of the model. */
  readonly name: string
  /** 1, 2, … */
  readonly version: number
  /** Where its files lie. */
  readonly uri: string
  /** SHA-256 of the files, hex. */
  readonly sha256: string
  /** What it was trained on. */
  readonly trainedOn: readonly TrainedOn[]
  /** Its measures on held-out data. */
  readonly metrics: Readonly<Record<string, number>>
  /** Whether it passed the gate. */
  readonly promoted: boolean
  /** When it was made. */
  readonly createdAt: number
}

/** A reward that came after the close. Topic `outcome-corrections`, key: policy. */
export interface OutcomeCorrection {
  /** The request. */
  readonly requestId: string
  /** The policy. */
  readonly policy: string
  /** Version that decided. */
  readonly policyVersion: number
  /** The arm that was chosen. */
  readonly arm: string
  /** Name of the reward. */
  readonly rewardId: string
  /** The late reward. */
  readonly reward: number
  /** The reward with which the outcome was closed. */
  readonly recorded: number
  /** When the reward was earned. */
  readonly occurredAt: number
  /** Event time at which the outcome was closed. */
  readonly closedAt: number
}

export type RewardKind = 'observed' | 'defaulted'

/** A decision joined with its reward: what policies learn from. Topic `outcomes`, key: policy. */
export interface Outcome {
  /** The request decided. */
  readonly requestId: string
  /** Name of the policy. */
  readonly policy: string
  /** Version of the policy's definition. */
  readonly policyVersion: number
  /** First 16 hex digits of the SHA-256 of the canonical definition. */
  readonly policyHash: string
  /** When the request was made. */
  readonly occurredAt: number
  /** Event time at which the decision's window closed. */
  readonly closedAt: number
  /** The chosen arm. */
  readonly arm: string
  /** Probability with which the chosen arm was chosen, above 0, at most 1. */
  readonly propensity: number
  /** `exact`, or `estimated` from recorded draws. */
  readonly propensityKind: PropensityKind
  /** All arms, in the order of the request. */
  readonly arms: readonly string[]
  /** Probability of every arm, in the order of `arms`; sums to 1. */
  readonly probabilities: readonly number[]
  /** The chosen arm's feature vector, as the policy saw it. */
  readonly vector: readonly number[]
  /** Hyper-parameters in force, with the probabilities of their draws. */
  readonly hyperParameters: readonly HyperParameterDraw[]
  /** Offset in the policy's `outcomes` partition up to which (exclusive) the state had learned; of a split policy the number of outcomes of each part in it. */
  readonly stateOffset: number
  /** Partition of `decision-requests` that holds the request with every arm's features. */
  readonly requestPartition: number
  /** Offset of the request in that partition. */
  readonly requestOffset: number
  /** The reward, or the default reward when none came in time. */
  readonly reward: number
  /** Whether a reward was observed or the default taken. */
  readonly rewardKind: RewardKind
  /** When the reward was earned; null where defaulted. */
  readonly rewardOccurredAt: number | null
}

export type PolicyMode = 'live' | 'shadow'

/** A version of a policy. Topic `policies` (compacted), key: policy/version. */
export interface PolicyDefinition {
  /** Name of the policy. */
  readonly policy: string
  /** 1, 2, … */
  readonly version: number
  /** The definition as canonical JSON (sorted keys, no white space). */
  readonly definition: string
  /** SHA-256 of `definition`, hex. */
  readonly hash: string
  /** SHA-256, hex, of that part of the definition which gives the state its meaning; equal hashes share a state. */
  readonly stateHash: string
  /** Secret-free random hex that seeds this version's draws. */
  readonly salt: string
  /** Whether this version decides, or only learns beside the one that does. */
  readonly mode: PolicyMode
  /** Offset in the policy's `outcomes` partition from which this version holds. */
  readonly effectiveFrom: number
  /** Number of partitions of `outcomes` when it was applied, which decides where a policy's outcomes lie; 0 where unknown. */
  readonly outcomesPartitions: number
  /** When it was applied. */
  readonly appliedAt: number
}

/** A flagged image, kept for inspection. Topic `quarantine`, key: image id. */
export interface QuarantinedImage {
  /** The image. */
  readonly imageId: string
  /** The encoded image. */
  readonly bytes: Buffer | null
  /** Where it lies, when not inline. */
  readonly uri: string | null
  /** Its media type; empty when unknown. */
  readonly contentType: string
  /** Labels given, best first. */
  readonly labels: readonly ScoredLabel[]
  /** The verdict. */
  readonly detector: DetectorVerdict
  /** Name of the model. */
  readonly modelName: string
  /** Its version. */
  readonly modelVersion: number
  /** When it was flagged. */
  readonly scoredAt: number
}

/** What a decision earned. Topic `rewards`, key: request id. */
export interface Reward {
  /** The request whose decision is rewarded. */
  readonly requestId: string
  /** Name of this reward among those of the same request; equal ids are the same reward sent again. */
  readonly rewardId: string
  /** The reward, finite. */
  readonly value: number
  /** When it was earned, by its producer's clock. */
  readonly occurredAt: number
}

export interface SnapshotPart {
  /** Partition of `outcomes`. */
  readonly partition: number
  /** Offset up to which (exclusive) this part has been learned. */
  readonly offset: number
}

/** Where a policy's state is kept. Topic `snapshots` (compacted), key: policy/slot. */
export interface Snapshot {
  /** The policy. */
  readonly policy: string
  /** Slot in rotation, 0 to 3. */
  readonly slot: number
  /** Version of its definition. */
  readonly policyVersion: number
  /** Its hash, first 16 hex digits. */
  readonly policyHash: string
  /** Where the bytes lie. */
  readonly uri: string
  /** SHA-256 of the bytes, hex. */
  readonly sha256: string
  /** Their number. */
  readonly bytes: number
  /** CRC-32 of the bytes. */
  readonly crc32: number
  /** Format version of the bytes. */
  readonly format: number
  /** Numeric kernel that made the state; another refuses to continue it. */
  readonly kernel: string
  /** Partition of `outcomes`. */
  readonly partition: number
  /** Offset up to which (exclusive) the state has learned; of a split policy that of its first part. */
  readonly offset: number
  /** Of a split policy: each part in the order of its index; empty otherwise. */
  readonly parts: readonly SnapshotPart[]
  /** When it was taken. */
  readonly takenAt: number
}

/** Event name → its type. */
export interface EventTypes {
  activation: Activation
  'dead-letter': DeadLetter
  'decision-request': DecisionRequest
  decision: Decision
  'document-labels': DocumentLabels
  document: Document
  'image-score': ImageScore
  image: Image
  ledger: Ledger
  metric: Metric
  model: Model
  'outcome-correction': OutcomeCorrection
  outcome: Outcome
  'policy-definition': PolicyDefinition
  'quarantined-image': QuarantinedImage
  reward: Reward
  snapshot: Snapshot
}

/** Name of an event. */
export type EventName = keyof EventTypes

/** The Avro schema of every event, and earlier releases (canonical form) whose bytes it reads too. */
export const SCHEMAS: Readonly<
  Record<EventName, { readonly current: string; readonly earlier: readonly string[] }>
> = {
  activation: {
    current: '{"type":"record","name":"Activation","namespace":"millrace","doc":"A decision was really shown. Topic `activations`, key: request id.","fields":[{"name":"requestId","type":"string","doc":"The request whose decision was shown."},{"name":"occurredAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it was shown."}]}',
    earlier: [],
  },
  'dead-letter': {
    current: '{"type":"record","name":"DeadLetter","namespace":"millrace","doc":"A record that could not be processed. Topic `dead-letters`, key: source topic.","fields":[{"name":"topic","type":"string","doc":"The source topic."},{"name":"partition","type":"int","doc":"Its partition."},{"name":"offset","type":"long","doc":"Its offset."},{"name":"key","type":["null","bytes"],"doc":"The raw key, cut like the value.","default":null},{"name":"value","type":["null","bytes"],"doc":"The raw value up to 512 KiB, else its first 64 KiB.","default":null},{"name":"valueLength","type":"long","doc":"Bytes of the whole value; -1 where it was null."},{"name":"valueSha256","type":"string","doc":"SHA-256 of the whole value, hex; empty where it was null."},{"name":"truncated","type":"boolean","doc":"Whether key or value were cut: a replay re-reads the source."},{"name":"schemaId","type":"string","doc":"Schema id or fingerprint found in the framing; empty where none.","default":""},{"name":"stage","type":"string","doc":"Where it failed, for example `decode`, `map`, `decide`."},{"name":"code","type":"string","doc":"Stable error code."},{"name":"message","type":"string","doc":"What was wrong, for people."},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it failed."}]}',
    earlier: [],
  },
  'decision-request': {
    current: '{"type":"record","name":"DecisionRequest","namespace":"millrace","doc":"A request to choose one arm. Topic `decision-requests`, key: request id.","fields":[{"name":"requestId","type":"string","doc":"Unique name of the request; decisions, rewards and activations refer to it."},{"name":"policy","type":"string","doc":"Name of the policy that shall decide."},{"name":"occurredAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When the request was made, by its producer\'s clock."},{"name":"context","type":["null",{"type":"array","items":"double"},{"type":"map","values":"double"}],"doc":"Features of the situation: dense (the policy\'s dimension) or named; null where the arms carry all features.","default":null},{"name":"arms","type":{"type":"array","items":{"type":"record","name":"Arm","namespace":"millrace","doc":"One choice that is open.","fields":[{"name":"id","type":"string","doc":"Name of the arm, unique within the request."},{"name":"features","type":["null",{"type":"array","items":"double"},{"type":"map","values":"double"}],"doc":"Features of the arm: dense or named; null for an arm known by its name alone.","default":null}]}},"doc":"The choices, at least one, no name twice."}]}',
    earlier: [],
  },
  decision: {
    current: '{"type":"record","name":"Decision","namespace":"millrace","doc":"The arm chosen for a request, with all that learning and evaluation need. Topic `decisions`, key: request id.","fields":[{"name":"requestId","type":"string","doc":"The request decided."},{"name":"policy","type":"string","doc":"Name of the policy."},{"name":"policyVersion","type":"int","doc":"Version of the policy\'s definition."},{"name":"policyHash","type":"string","doc":"First 16 hex digits of the SHA-256 of the canonical definition."},{"name":"occurredAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When the request was made."},{"name":"decidedAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When the decision was made, by the decider\'s clock."},{"name":"arm","type":"string","doc":"The chosen arm."},{"name":"propensity","type":"double","doc":"Probability with which the chosen arm was chosen, above 0, at most 1."},{"name":"propensityKind","type":{"type":"enum","name":"PropensityKind","namespace":"millrace","symbols":["exact","estimated"]},"doc":"`exact`, or `estimated` from recorded draws."},{"name":"arms","type":{"type":"array","items":"string"},"doc":"All arms, in the order of the request."},{"name":"probabilities","type":{"type":"array","items":"double"},"doc":"Probability of every arm, in the order of `arms`; sums to 1."},{"name":"ranking","type":{"type":"array","items":"int"},"doc":"Indices into `arms`, best first: an explanation; the propensity is that of the arm taken."},{"name":"vector","type":{"type":"array","items":"double"},"doc":"The chosen arm\'s feature vector, as the policy saw it."},{"name":"hyperParameters","type":{"type":"array","items":{"type":"record","name":"HyperParameterDraw","namespace":"millrace","doc":"One hyper-parameter value in force for a decision.","fields":[{"name":"name","type":"string","doc":"The hyper-parameter, for example `alpha`."},{"name":"value","type":"double","doc":"The value drawn."},{"name":"probability","type":"double","doc":"The probability with which it was drawn, 0 to 1."}]}},"doc":"Hyper-parameters in force, with the probabilities of their draws."},{"name":"stateOffset","type":"long","doc":"Offset in the policy\'s `outcomes` partition up to which (exclusive) the state had learned; of a split policy the number of outcomes of each part in it."},{"name":"requestPartition","type":"int","doc":"Partition of `decision-requests` that holds the request with every arm\'s features."},{"name":"requestOffset","type":"long","doc":"Offset of the request in that partition."}]}',
    earlier: [],
  },
  'document-labels': {
    current: '{"type":"record","name":"DocumentLabels","namespace":"millrace","doc":"The labels given to a document. Topic `document-labels`, key: document id.","fields":[{"name":"documentId","type":"string","doc":"The document."},{"name":"labels","type":{"type":"array","items":{"type":"record","name":"ScoredLabel","namespace":"millrace","doc":"A label with its score.","fields":[{"name":"label","type":"string","doc":"The label."},{"name":"score","type":"double","doc":"Its score, higher is more likely."}]}},"doc":"Labels, best first."},{"name":"modelName","type":"string","doc":"Name of the model."},{"name":"modelVersion","type":"int","doc":"Its version."},{"name":"occurredAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When the document was written."},{"name":"taggedAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it was tagged."}]}',
    earlier: [],
  },
  document: {
    current: '{"type":"record","name":"Document","namespace":"millrace","doc":"A document to be tagged, or to learn from. Topic `documents`, key: document id.","fields":[{"name":"documentId","type":"string","doc":"Name of the document."},{"name":"text","type":["null","string"],"doc":"Its text.","default":null},{"name":"features","type":["null",{"type":"record","name":"SparseVector","namespace":"millrace","doc":"A sparse feature vector.","fields":[{"name":"indices","type":{"type":"array","items":"int"},"doc":"Strictly increasing positions."},{"name":"values","type":{"type":"array","items":"double"},"doc":"Their values."}]}],"doc":"Sparse features, when given instead of text.","default":null},{"name":"labels","type":["null",{"type":"array","items":"string"}],"doc":"The true labels, when known.","default":null},{"name":"occurredAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it was written or received."}]}',
    earlier: [],
  },
  'image-score': {
    current: '{"type":"record","name":"ImageScore","namespace":"millrace","doc":"The scores of an image. Topic `image-scores`, key: image id.","fields":[{"name":"imageId","type":"string","doc":"The image."},{"name":"labels","type":{"type":"array","items":{"type":"record","name":"ScoredLabel","namespace":"millrace","doc":"A label with its score.","fields":[{"name":"label","type":"string","doc":"The label."},{"name":"score","type":"double","doc":"Its score, higher is more likely."}]}},"doc":"Labels, best first."},{"name":"tokensKept","type":{"type":"array","items":{"type":"array","items":"int"}},"doc":"Indices of the tokens kept at each pruning stage."},{"name":"detector","type":["null",{"type":"record","name":"DetectorVerdict","namespace":"millrace","doc":"What the adversarial-example detector says.","fields":[{"name":"detector","type":"string","doc":"Name of the detector."},{"name":"score","type":"double","doc":"Higher is more suspicious."},{"name":"threshold","type":"double","doc":"Scores above it are flagged."},{"name":"flagged","type":"boolean","doc":"Whether the image is flagged."}]}],"doc":"The detector\'s verdict; null where none ran.","default":null},{"name":"modelName","type":"string","doc":"Name of the model."},{"name":"modelVersion","type":"int","doc":"Its version."},{"name":"label","type":["null","string"],"doc":"The true label, when known.","default":null},{"name":"occurredAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When the image was taken."},{"name":"scoredAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it was scored."}]}',
    earlier: [],
  },
  image: {
    current: '{"type":"record","name":"Image","namespace":"millrace","doc":"An image to be scored. Topic `images`, key: image id.","fields":[{"name":"imageId","type":"string","doc":"Name of the image."},{"name":"bytes","type":["null","bytes"],"doc":"The encoded image.","default":null},{"name":"uri","type":["null","string"],"doc":"Where it lies, when not inline.","default":null},{"name":"contentType","type":"string","doc":"Its media type; empty when unknown.","default":""},{"name":"label","type":["null","string"],"doc":"The true label, when known.","default":null},{"name":"occurredAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it was taken or received."}]}',
    earlier: [],
  },
  ledger: {
    current: '{"type":"record","name":"Ledger","namespace":"millrace","doc":"What became of everything that a task of the join has taken in, at one of its commits: taken = used + reasons + pending. Topic `ledgers`, key: partition/kind.","fields":[{"name":"partition","type":"int","doc":"Partition of `decisions` and `rewards`: the task."},{"name":"kind","type":{"type":"enum","name":"LedgerKind","symbols":["decisions","rewards","activations"]},"doc":"What is counted."},{"name":"taken","type":"long","doc":"Taken in since the task\'s first commit."},{"name":"used","type":"long","doc":"Decisions that became an outcome; rewards and activations that went into one."},{"name":"pending","type":"long","doc":"Undecided yet."},{"name":"reasons","type":{"type":"map","values":"long"},"doc":"What made no outcome, by why (a closed list)."},{"name":"watermark","type":["null","long"],"doc":"Event time up to which the task has closed its decisions, in milliseconds; null before the first.","default":null},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it was written."}]}',
    earlier: [],
  },
  metric: {
    current: '{"type":"record","name":"Metric","namespace":"millrace","doc":"A measured number. Topic `metrics`, key: name.","fields":[{"name":"name","type":"string","doc":"Name of the metric."},{"name":"value","type":"double","doc":"Its value, finite."},{"name":"labels","type":{"type":"map","values":"string"},"doc":"What it belongs to."},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it was measured."}]}',
    earlier: [],
  },
  model: {
    current: '{"type":"record","name":"Model","namespace":"millrace","doc":"A version of a model, or the version served. Topic `models` (compacted), key: name/version, and name/live.","fields":[{"name":"name","type":"string","doc":"Name of the model."},{"name":"version","type":"int","doc":"1, 2, …"},{"name":"uri","type":"string","doc":"Where its files lie."},{"name":"sha256","type":"string","doc":"SHA-256 of the files, hex."},{"name":"trainedOn","type":{"type":"array","items":{"type":"record","name":"TrainedOn","namespace":"millrace","doc":"A range of a partition.","fields":[{"name":"topic","type":"string","doc":"The topic."},{"name":"partition","type":"int","doc":"The partition."},{"name":"from","type":"long","doc":"First offset."},{"name":"to","type":"long","doc":"Offset after the last."}]}},"doc":"What it was trained on."},{"name":"metrics","type":{"type":"map","values":"double"},"doc":"Its measures on held-out data."},{"name":"promoted","type":"boolean","doc":"Whether it passed the gate."},{"name":"createdAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it was made."}]}',
    earlier: [],
  },
  'outcome-correction': {
    current: '{"type":"record","name":"OutcomeCorrection","namespace":"millrace","doc":"A reward that came after the close. Topic `outcome-corrections`, key: policy.","fields":[{"name":"requestId","type":"string","doc":"The request."},{"name":"policy","type":"string","doc":"The policy."},{"name":"policyVersion","type":"int","doc":"Version that decided."},{"name":"arm","type":"string","doc":"The arm that was chosen."},{"name":"rewardId","type":"string","doc":"Name of the reward.","default":""},{"name":"reward","type":"double","doc":"The late reward."},{"name":"recorded","type":"double","doc":"The reward with which the outcome was closed."},{"name":"occurredAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When the reward was earned."},{"name":"closedAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"Event time at which the outcome was closed."}]}',
    earlier: [],
  },
  outcome: {
    current: '{"type":"record","name":"Outcome","namespace":"millrace","doc":"A decision joined with its reward: what policies learn from. Topic `outcomes`, key: policy.","fields":[{"name":"requestId","type":"string","doc":"The request decided."},{"name":"policy","type":"string","doc":"Name of the policy."},{"name":"policyVersion","type":"int","doc":"Version of the policy\'s definition."},{"name":"policyHash","type":"string","doc":"First 16 hex digits of the SHA-256 of the canonical definition."},{"name":"occurredAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When the request was made."},{"name":"closedAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"Event time at which the decision\'s window closed."},{"name":"arm","type":"string","doc":"The chosen arm."},{"name":"propensity","type":"double","doc":"Probability with which the chosen arm was chosen, above 0, at most 1."},{"name":"propensityKind","type":{"type":"enum","name":"PropensityKind","namespace":"millrace","symbols":["exact","estimated"]},"doc":"`exact`, or `estimated` from recorded draws."},{"name":"arms","type":{"type":"array","items":"string"},"doc":"All arms, in the order of the request."},{"name":"probabilities","type":{"type":"array","items":"double"},"doc":"Probability of every arm, in the order of `arms`; sums to 1."},{"name":"vector","type":{"type":"array","items":"double"},"doc":"The chosen arm\'s feature vector, as the policy saw it."},{"name":"hyperParameters","type":{"type":"array","items":{"type":"record","name":"HyperParameterDraw","namespace":"millrace","doc":"One hyper-parameter value in force for a decision.","fields":[{"name":"name","type":"string","doc":"The hyper-parameter, for example `alpha`."},{"name":"value","type":"double","doc":"The value drawn."},{"name":"probability","type":"double","doc":"The probability with which it was drawn, 0 to 1."}]}},"doc":"Hyper-parameters in force, with the probabilities of their draws."},{"name":"stateOffset","type":"long","doc":"Offset in the policy\'s `outcomes` partition up to which (exclusive) the state had learned; of a split policy the number of outcomes of each part in it."},{"name":"requestPartition","type":"int","doc":"Partition of `decision-requests` that holds the request with every arm\'s features."},{"name":"requestOffset","type":"long","doc":"Offset of the request in that partition."},{"name":"reward","type":"double","doc":"The reward, or the default reward when none came in time."},{"name":"rewardKind","type":{"type":"enum","name":"RewardKind","symbols":["observed","defaulted"]},"doc":"Whether a reward was observed or the default taken."},{"name":"rewardOccurredAt","type":["null",{"type":"long","logicalType":"timestamp-millis"}],"doc":"When the reward was earned; null where defaulted.","default":null}]}',
    earlier: [],
  },
  'policy-definition': {
    current: '{"type":"record","name":"PolicyDefinition","namespace":"millrace","doc":"A version of a policy. Topic `policies` (compacted), key: policy/version.","fields":[{"name":"policy","type":"string","doc":"Name of the policy."},{"name":"version","type":"int","doc":"1, 2, …"},{"name":"definition","type":"string","doc":"The definition as canonical JSON (sorted keys, no white space)."},{"name":"hash","type":"string","doc":"SHA-256 of `definition`, hex."},{"name":"stateHash","type":"string","doc":"SHA-256, hex, of that part of the definition which gives the state its meaning; equal hashes share a state."},{"name":"salt","type":"string","doc":"Secret-free random hex that seeds this version\'s draws."},{"name":"mode","type":{"type":"enum","name":"PolicyMode","symbols":["live","shadow"]},"doc":"Whether this version decides, or only learns beside the one that does."},{"name":"effectiveFrom","type":"long","doc":"Offset in the policy\'s `outcomes` partition from which this version holds."},{"name":"outcomesPartitions","type":"int","doc":"Number of partitions of `outcomes` when it was applied, which decides where a policy\'s outcomes lie; 0 where unknown.","default":0},{"name":"appliedAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it was applied."}]}',
    earlier: [
      '{"name":"millrace.PolicyDefinition","type":"record","fields":[{"name":"policy","type":"string"},{"name":"version","type":"int"},{"name":"definition","type":"string"},{"name":"hash","type":"string"},{"name":"stateHash","type":"string"},{"name":"salt","type":"string"},{"name":"mode","type":{"name":"millrace.PolicyMode","type":"enum","symbols":["live","shadow"]}},{"name":"effectiveFrom","type":"long"},{"name":"appliedAt","type":"long"}]}',
    ],
  },
  'quarantined-image': {
    current: '{"type":"record","name":"QuarantinedImage","namespace":"millrace","doc":"A flagged image, kept for inspection. Topic `quarantine`, key: image id.","fields":[{"name":"imageId","type":"string","doc":"The image."},{"name":"bytes","type":["null","bytes"],"doc":"The encoded image.","default":null},{"name":"uri","type":["null","string"],"doc":"Where it lies, when not inline.","default":null},{"name":"contentType","type":"string","doc":"Its media type; empty when unknown.","default":""},{"name":"labels","type":{"type":"array","items":{"type":"record","name":"ScoredLabel","namespace":"millrace","doc":"A label with its score.","fields":[{"name":"label","type":"string","doc":"The label."},{"name":"score","type":"double","doc":"Its score, higher is more likely."}]}},"doc":"Labels given, best first."},{"name":"detector","type":{"type":"record","name":"DetectorVerdict","namespace":"millrace","doc":"What the adversarial-example detector says.","fields":[{"name":"detector","type":"string","doc":"Name of the detector."},{"name":"score","type":"double","doc":"Higher is more suspicious."},{"name":"threshold","type":"double","doc":"Scores above it are flagged."},{"name":"flagged","type":"boolean","doc":"Whether the image is flagged."}]},"doc":"The verdict."},{"name":"modelName","type":"string","doc":"Name of the model."},{"name":"modelVersion","type":"int","doc":"Its version."},{"name":"scoredAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it was flagged."}]}',
    earlier: [],
  },
  reward: {
    current: '{"type":"record","name":"Reward","namespace":"millrace","doc":"What a decision earned. Topic `rewards`, key: request id.","fields":[{"name":"requestId","type":"string","doc":"The request whose decision is rewarded."},{"name":"rewardId","type":"string","doc":"Name of this reward among those of the same request; equal ids are the same reward sent again.","default":""},{"name":"value","type":"double","doc":"The reward, finite."},{"name":"occurredAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it was earned, by its producer\'s clock."}]}',
    earlier: [],
  },
  snapshot: {
    current: '{"type":"record","name":"Snapshot","namespace":"millrace","doc":"Where a policy\'s state is kept. Topic `snapshots` (compacted), key: policy/slot.","fields":[{"name":"policy","type":"string","doc":"The policy."},{"name":"slot","type":"int","doc":"Slot in rotation, 0 to 3."},{"name":"policyVersion","type":"int","doc":"Version of its definition."},{"name":"policyHash","type":"string","doc":"Its hash, first 16 hex digits."},{"name":"uri","type":"string","doc":"Where the bytes lie."},{"name":"sha256","type":"string","doc":"SHA-256 of the bytes, hex."},{"name":"bytes","type":"long","doc":"Their number."},{"name":"crc32","type":"long","doc":"CRC-32 of the bytes."},{"name":"format","type":"int","doc":"Format version of the bytes."},{"name":"kernel","type":"string","doc":"Numeric kernel that made the state; another refuses to continue it."},{"name":"partition","type":"int","doc":"Partition of `outcomes`."},{"name":"offset","type":"long","doc":"Offset up to which (exclusive) the state has learned; of a split policy that of its first part."},{"name":"parts","type":{"type":"array","items":{"type":"record","name":"SnapshotPart","namespace":"millrace","fields":[{"name":"partition","type":"int","doc":"Partition of `outcomes`."},{"name":"offset","type":"long","doc":"Offset up to which (exclusive) this part has been learned."}]}},"doc":"Of a split policy: each part in the order of its index; empty otherwise.","default":[]},{"name":"takenAt","type":{"type":"long","logicalType":"timestamp-millis"},"doc":"When it was taken."}]}',
    earlier: [
      '{"name":"millrace.Snapshot","type":"record","fields":[{"name":"policy","type":"string"},{"name":"slot","type":"int"},{"name":"policyVersion","type":"int"},{"name":"policyHash","type":"string"},{"name":"uri","type":"string"},{"name":"sha256","type":"string"},{"name":"bytes","type":"long"},{"name":"crc32","type":"long"},{"name":"format","type":"int"},{"name":"kernel","type":"string"},{"name":"partition","type":"int"},{"name":"offset","type":"long"},{"name":"takenAt","type":"long"}]}',
    ],
  },
}
