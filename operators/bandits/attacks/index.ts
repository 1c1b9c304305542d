/** Attacks on bandits. */
export * from './attack.ts'
export * from './context.ts'
export * from './garcelon.ts'
export * from './oracle.ts'
export * from './targeted.ts'
