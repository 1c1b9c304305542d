/** Contextual bandits: `millrace/bandits`. */
export * from './definition.ts'
export { drawArm, greedyWithFloor } from './exploration-floor.ts'
export { LinUcb, type LinUcbOptions, linUcb } from './lin-ucb.ts'
export type * from './policy.ts'
export { type TheoreticalAlpha, theoreticalAlpha } from './theoretical-alpha.ts'
