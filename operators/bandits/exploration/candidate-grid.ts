/**
 * Candidates of hyper-parameters and their combinations. What the policy calls its exploration, and `corruption`, which is added to it, are read by deciding
 * alone; every other hyper-parameter is structural: it gives the state its meaning, so each combination of those has a policy of its own.
 */
import { MillraceError } from '../../../schemas/errors.ts'

/** Candidates by hyper-parameter. */
export type Candidates = Readonly<Record<string, readonly number[]>>

/** Added to the exploration: what an adversary's corruption of so much asks for. */
export const CORRUPTION = 'corruption'

/** Combinations beyond this are a mistake. */
const MOST = 4_096

/** @throws MillraceError INVALID_CONFIG naming the hyper-parameter */
export const requireCandidates = (candidates: Candidates): void => {
  const refuse = (name: string, why: string): never => {
    throw new MillraceError('INVALID_CONFIG', `candidates.${name}: ${why}`)
  }
  const lists = Object.entries(candidates)
  if (lists.length === 0) throw new MillraceError('INVALID_CONFIG', 'candidates: there are none')
  let combinations = 1
  for (const [name, values] of lists) {
    if (!Array.isArray(values) || values.length === 0) refuse(name, 'it has no values')
    if (!values.every(Number.isFinite)) refuse(name, 'a value is not a finite number')
    if (new Set(values).size !== values.length) refuse(name, 'a value appears twice')
    if (name === CORRUPTION && values.some((value) => value < 0)) refuse(name, 'a value is below 0')
    combinations *= values.length
  }
  if (combinations > MOST)
    throw new MillraceError('INVALID_CONFIG', `candidates: ${combinations} combinations, at most ${MOST}`)
}

/** Every way of taking one value of each list, the last list varying fastest; one empty way where there are no lists. */
export const combinations = (lists: readonly (readonly number[])[]): number[][] =>
  lists.reduce<number[][]>((ways, list) => ways.flatMap((way) => list.map((value) => [...way, value])), [[]])
