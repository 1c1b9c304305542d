/**
 * Another policy over the log of one: progressive evaluation from the beginning of the range, where the other policy begins without experience, to its
 * end. Each outcome is judged and learned with its whole request, read back where the outcome points.
 */

import type { EvaluationOptions } from '../../operators/bandits/evaluation/evaluation.ts'
import {
  ProgressiveEvaluation,
  type ProgressiveReport,
} from '../../operators/bandits/evaluation/progressive.ts'
import type { PolicyDefinitionBody } from '../../operators/bandits/state/definition.ts'
import type { LivePolicy } from '../../operators/bandits/state/policy-table.ts'
import type { PolicyDefinition } from '../../schemas/generated/events.ts'
import { openTarget } from '../evaluate/target.ts'
import { type OutcomeAt, outcomesOf, type PartRange, type Reading } from './outcomes.ts'
import { Requests } from './requests.ts'
import { sha256 } from './snapshot-checks.ts'

export interface OtherPolicyReplay {
  /** First 16 hex digits of the other definition's hash. */
  readonly hash: string
  /** Whether its state has the meaning of the logged policy's: equal outcomes then give equal bytes. */
  readonly sameMeaning: boolean
  readonly report: ProgressiveReport
  /** Outcomes of the range, those that could not be evaluated among them. */
  readonly outcomes: number
  /** Of the other policy's state at the end. */
  readonly stateSha256: string
  readonly learned: number
}

export interface OtherPolicyOptions {
  /** The policy of the log, its newest live version: the other one draws with its salt. */
  readonly live: LivePolicy
  readonly definition: PolicyDefinition
  readonly other: PolicyDefinitionBody
  readonly ranges: readonly PartRange[]
  readonly evaluation?: EvaluationOptions
  readonly onPassed?: (passed: number) => void
}

/** @throws MillraceError INVALID_CONFIG, and what reading throws */
export const replayOtherPolicy = async (
  reading: Reading,
  { live, definition, other, ranges, evaluation: options, onPassed = () => {} }: OtherPolicyOptions,
): Promise<OtherPolicyReplay> => {
  // As a live version without experience, in the place of the logged one.
  const entry = openTarget(definition.policy, other, definition)
  const evaluation = new ProgressiveEvaluation(entry, options)
  const requests = new Requests(reading)
  let gathered: OutcomeAt[] = []
  let count = 0
  const evaluate = async (): Promise<void> => {
    const outcomes = gathered
    gathered = []
    const readable = outcomes.flatMap(({ outcome }) => (outcome === null ? [] : [outcome]))
    const found = await requests.at(readable)
    let next = 0
    for (const { outcome, code } of outcomes) {
      if (outcome === null) evaluation.refuse(code!)
      else {
        const request = found[next++]!
        if (typeof request === 'string') evaluation.refuse(request)
        else evaluation.step(request, outcome)
      }
    }
  }
  for await (const { outcomes, passed } of outcomesOf(reading, live, ranges)) {
    count += outcomes.length
    for (const outcome of outcomes) {
      gathered.push(outcome)
      if (gathered.length >= requests.atOnce) await evaluate()
    }
    onPassed(passed)
  }
  await evaluate()
  const { policy, hash } = entry
  return {
    hash,
    sameMeaning: entry.stateHash === live.stateHash,
    report: evaluation.report,
    outcomes: count,
    stateSha256: sha256(policy.snapshot()),
    learned: policy.learned,
  }
}
