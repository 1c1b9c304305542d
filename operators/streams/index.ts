/** Operators over streams of events, and what they are made of: `millrace/streams`. */
export { codeOf, ERROR_CODES, type ErrorCode, MillraceError } from '../../schemas/errors.ts'
export type * from '../../schemas/generated/events.ts'
export type * from './batch.ts'
export { BlockGatherer, type BlockOptions, type RecordBlock } from './blocks.ts'
export {
  CUT_VALUE_LENGTH,
  deadLetter,
  type Refusal,
  type RefusedRecord,
  WHOLE_VALUE_LIMIT,
} from './dead-letter.ts'
export * from './featurize.ts'
export {
  type CompiledSink,
  checkMapping,
  compileSink,
  compileSource,
  type MappingProblem,
  mappingProblems,
  parseJson,
  type SinkEvents,
  type SinkMapping,
  type SourceEvents,
  type SourceMapping,
} from './mapping.ts'
export {
  JOIN_REASONS,
  type JoinInput,
  type JoinOutputs,
  type JoinProgress,
  type JoinReason,
  RewardJoin,
  type RewardJoinOptions,
} from './reward-join.ts'
export { checkDecision, checkReward, type Fault } from './validation.ts'
export { Watermark, type WatermarkOptions } from './watermark.ts'
