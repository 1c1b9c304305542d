/** Contextual bandits: `millrace/bandits`. */

export { codeOf, ERROR_CODES, type ErrorCode, MillraceError } from '../../schemas/errors.ts'
export * from './attacks/index.ts'
export { Decider, decide, type RequestPosition } from './decide.ts'
export { decisionOutput } from './decision-output.ts'
export * from './environments/index.ts'
export {
  type EvaluationOptions,
  type EvaluationReport,
  OffPolicyEvaluation,
} from './evaluation/evaluation.ts'
export { anytimeInterval, type Estimate, type Interval, interval } from './evaluation/interval.ts'
export {
  ENOUGH,
  OffPolicyEstimator,
  type OffPolicyOptions,
  type OffPolicyReport,
} from './evaluation/off-policy.ts'
export {
  type LoggedOutcome,
  type LoggedRequest,
  ProgressiveEvaluation,
  type ProgressiveReport,
} from './evaluation/progressive.ts'
export { RewardModel, type RewardModelOptions } from './evaluation/reward-model.ts'
export { type SequentialReport, SequentialTest } from './evaluation/sequential-test.ts'
export type { LoggedStep, SupportReport, TargetStep } from './evaluation/support.ts'
export { expectedSampleSize, type Verdict, verdictOf } from './evaluation/verdict.ts'
export { BetaBernoulli, type BetaBernoulliOptions } from './exploration/beta-bernoulli.ts'
export { type Candidates, CORRUPTION } from './exploration/candidate-grid.ts'
export { Exp3, type Exp3Options, exp3Gamma } from './exploration/exp3.ts'
export { Exp4 } from './exploration/exp4.ts'
export { drawArm } from './exploration/exploration-floor.ts'
export { type TheoreticalAlpha, theoreticalAlpha } from './exploration/theoretical-alpha.ts'
export { type Learned, learn } from './learn.ts'
export type { Forgetting } from './models/linear-options.ts'
export {
  ConfidenceWeighted,
  type ConfidenceWeightedOptions,
  confidenceWeighted,
} from './policies/confidence-weighted.ts'
export { EpsilonGreedy, type EpsilonGreedyOptions, epsilonGreedy } from './policies/epsilon-greedy.ts'
export { LinTs, type LinTsOptions, linTs } from './policies/lin-ts.ts'
export { LinUcb, type LinUcbOptions, linUcb } from './policies/lin-ucb.ts'
export { Restarting, type RestartingOptions, restarting } from './policies/restarting.ts'
export { RewardGuard, type RewardGuardOptions, rewardGuard } from './policies/reward-guard.ts'
export { paperLevels, type RobustOptions, robust } from './policies/robust.ts'
export { SquareCb, type SquareCbOptions, squareCb } from './policies/square-cb.ts'
export { Syndicate, type SyndicateBase, type SyndicateOptions, syndicated } from './policies/syndicated.ts'
export { UcbGlm, type UcbGlmOptions, ucbGlm } from './policies/ucb-glm.ts'
export { Uniform, type UniformOptions, uniform } from './policies/uniform.ts'
export type { PredictingPolicy } from './policies/wrapped-policy.ts'
export type * from './policy.ts'
export * from './state/definition.ts'
export type { SavedState } from './state/fold.ts'
export { type LivePolicy, liveDefinitions, PolicyTable } from './state/policy-table.ts'
export { partKey, partOf, partsOf } from './state/split.ts'
export { challengersOf, formerOf, learnsFrom, whereDecides } from './state/versions.ts'
