/**
 * The policies before the oracle: every decision is made again at the state it names, by plain algebra; and the bytes of a policy are those of a
 * clean fold over `outcomes`, also in the snapshots that workers left.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LinUcb } from '../../operators/bandits/policies/lin-ucb.ts'
import { PolicyTable } from '../../operators/bandits/state/policy-table.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Decision, Outcome, PolicyDefinition, Snapshot } from '../../schemas/generated/events.ts'
import type { Evidence, Placed } from './evidence.ts'
import { drawn, firstDraw, NaiveLinUcb } from './naive-lin-ucb.ts'
import { expectEqual, type Verdict } from './tally.ts'

export interface PolicyEvidence {
  readonly definitions: readonly PolicyDefinition[]
  readonly snapshots: readonly Snapshot[]
  readonly decisions: readonly Placed<Decision>[]
  readonly outcomes: readonly Placed<Outcome>[]
}

const TOLERANCE = 1e-9

interface Body {
  readonly algorithm: { readonly variant: string; readonly alpha: number | string; readonly lambda: number }
  readonly features: {
    readonly context?: { readonly dense?: number }
    readonly arm?: unknown
    readonly bias?: boolean
  }
  readonly explorationFloor: number
  readonly partitions?: number
}

/** What plain algebra here can make again: a regression an arm over a dense context, in one part. */
const dimensionOf = ({ algorithm, features, partitions = 1 }: Body): number | undefined =>
  algorithm.variant === 'disjoint' &&
  typeof algorithm.alpha === 'number' &&
  !features.arm &&
  !features.bias &&
  partitions === 1
    ? features.context?.dense
    : undefined

export const judgePolicies = (verdict: Verdict, evidence: Evidence, found: PolicyEvidence): void => {
  const names = new Set(found.definitions.map(({ policy }) => policy))
  const outcomes = [...found.outcomes].sort((a, b) => a.record.offset - b.record.offset)
  for (const name of names) {
    const versions = found.definitions.filter(({ policy }) => policy === name)
    const body = JSON.parse(versions[0]!.definition) as Body
    const dimension = dimensionOf(body)
    if (dimension === undefined) continue
    const own = outcomes.filter(({ event }) => event.policy === name)
    const naive = new NaiveLinUcb(dimension, Number(body.algorithm.alpha), body.algorithm.lambda)
    judgeDecisions(verdict, name, body, naive, versions, own, found.decisions)
    judgeBytes(verdict, evidence, name, found, own, naive)
  }
}

/** Makes every decision of a policy again; the state has then learned all outcomes. */
const judgeDecisions = (
  verdict: Verdict,
  name: string,
  body: Body,
  state: NaiveLinUcb,
  versions: readonly PolicyDefinition[],
  outcomes: readonly Placed<Outcome>[],
  all: readonly Placed<Decision>[],
): void => {
  const decisions = all
    .map(({ event }) => event)
    .filter(({ policy }) => policy === name)
    .sort((a, b) => a.stateOffset - b.stateOffset)
  const wrong: string[] = []
  let next = 0
  const learnUpTo = (offset: number) => {
    for (; next < outcomes.length && outcomes[next]!.record.offset < offset; next++) {
      const { arm, vector, reward } = outcomes[next]!.event
      state.learn(arm, vector, reward)
    }
  }
  for (const decision of decisions) {
    learnUpTo(decision.stateOffset)
    const version = versions.find((each) => each.version === decision.policyVersion)
    const fault = version === undefined ? 'an unknown version' : faultOf(decision, state, body, version)
    if (fault !== '') wrong.push(`${decision.requestId}: ${fault}`)
  }
  learnUpTo(Number.POSITIVE_INFINITY)
  if (wrong.length > 0)
    verdict.differences.push(
      `decisions of "${name}" that cannot be made again: ${wrong.length}: ${wrong.slice(0, 3).join(' | ')}`,
    )
}

/** What is wrong with a decision, or ''. Of scores as close as rounding, either may have won. */
const faultOf = (decision: Decision, state: NaiveLinUcb, body: Body, version: PolicyDefinition): string => {
  const { arms, vector, probabilities, arm, propensity, requestId, policy } = decision
  const scores = arms.map((each) => state.score(each, vector))
  const floor = body.explorationFloor / arms.length
  const taken = probabilities.indexOf(Math.max(...probabilities))
  const best = Math.max(...scores)
  if (scores[taken]! < best - TOLERANCE * (1 + Math.abs(best)))
    return `arm ${taken} is not the best of ${scores}`
  for (const [i, p] of probabilities.entries()) {
    const expected = i === taken ? 1 - body.explorationFloor + floor : floor
    if (!(Math.abs(p - expected) <= TOLERANCE)) return `probability ${p} of arm ${i}, not ${expected}`
  }
  const chosen = drawn(probabilities, firstDraw(version.salt, policy, version.version, requestId))
  if (arms[chosen] !== arm) return `drew ${arm}, not ${arms[chosen]}`
  return Math.abs(propensity - probabilities[chosen]!) <= TOLERANCE ? '' : `propensity ${propensity}`
}

/** A clean fold agrees with plain algebra, and every snapshot that is still there with a clean fold up to its offset. */
const judgeBytes = (
  verdict: Verdict,
  { models }: Evidence,
  name: string,
  { definitions, snapshots }: PolicyEvidence,
  outcomes: readonly Placed<Outcome>[],
  naive: NaiveLinUcb,
): void => {
  const foldTo = (offset: number) => {
    const table = new PolicyTable(definitions)
    for (const { event, record } of outcomes) if (record.offset < offset) learned(table, event, record.offset)
    return table.get(name)!.policy
  }
  const clean = foldTo(Number.POSITIVE_INFINITY)
  if (clean instanceof LinUcb) {
    const arms = new Set(outcomes.map(({ event }) => event.arm))
    let apart = 0
    for (const arm of arms)
      for (const [i, theta] of naive.theta(arm).entries())
        apart = Math.max(apart, Math.abs(theta - clean.theta(arm)[i]!) / (1 + Math.abs(theta)))
    if (!(apart <= TOLERANCE)) verdict.differences.push(`θ of "${name}" is ${apart} away from plain algebra`)
  }
  for (const snapshot of snapshots.filter(({ policy }) => policy === name).slice(-2)) {
    const file = join(models, snapshot.sha256)
    if (!existsSync(file)) continue
    const expected = createHash('sha256').update(foldTo(snapshot.offset).snapshot()).digest('hex')
    expectEqual(verdict, `bytes of "${name}" at ${snapshot.offset}`, expected, snapshot.sha256)
    const held = createHash('sha256').update(readFileSync(file)).digest('hex')
    expectEqual(verdict, `bytes in the snapshot's file of "${name}"`, snapshot.sha256, held)
  }
}

/** Folds an outcome; one that is refused leaves the state as it was. */
const learned = (table: PolicyTable, outcome: Outcome, offset: number): void => {
  try {
    table.learn(outcome, offset)
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'NON_FINITE_NUMBER') throw error
  }
}
