/** Contextual bandits: `millrace/bandits`. */

export { codeOf, ERROR_CODES, type ErrorCode, MillraceError } from '../../schemas/errors.ts'
export { Decider, decide, type RequestPosition } from './decide.ts'
export * from './definition.ts'
export { drawArm, greedyWithFloor } from './exploration-floor.ts'
export { type Learned, learn } from './learn.ts'
export { LinUcb, type LinUcbOptions, linUcb } from './lin-ucb.ts'
export type * from './policy.ts'
export { type LivePolicy, liveDefinitions, PolicyTable } from './policy-table.ts'
export { type TheoreticalAlpha, theoreticalAlpha } from './theoretical-alpha.ts'
