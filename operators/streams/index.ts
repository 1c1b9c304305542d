/** Operators over streams of events, and what they are made of: `millrace/streams`. */
export { codeOf, ERROR_CODES, type ErrorCode, MillraceError } from '../../schemas/errors.ts'
export type * from '../../schemas/generated/events.ts'
export type * from './batch.ts'
export { BlockGatherer, type BlockOptions, type RecordBlock } from './blocks.ts'
export { ByteArena } from './byte-arena.ts'
export {
  CUT_VALUE_LENGTH,
  deadLetter,
  type Refusal,
  type RefusedRecord,
  WHOLE_VALUE_LIMIT,
} from './dead-letter.ts'
export * from './featurize.ts'
export {
  JOIN_KINDS,
  JOIN_REASONS,
  type JoinCounts,
  type JoinKind,
  type JoinLedger,
  type JoinReason,
} from './join-ledgers.ts'
export type {
  ActivationInput,
  Closing,
  DecisionInput,
  JoinInput,
  JoinOutputs,
  JoinProgress,
  JoinVerdict,
  RewardInput,
  RewardJoinOptions,
} from './join-options.ts'
export { RewardJoin } from './reward-join.ts'
export { checkDecision, checkReward, type Fault } from './validation.ts'
export { NONE_SILENT, Watermark, type WatermarkOptions } from './watermark.ts'
