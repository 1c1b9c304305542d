/** Worlds to try policies in. */
export * from './classification.ts'
export * from './drifting.ts'
export type { Environment } from './environment.ts'
export * from './interaction.ts'
export { LinearEnvironment, type LinearEnvironmentOptions, linearEnvironment } from './linear.ts'
export * from './logged.ts'
export * from './logistic.ts'
