/** What `replay --policy` and `evaluate` say of another policy over the topics, and how a refused verdict ends a command. */
import { verdictOf } from '../../operators/bandits/index.ts'
import { reportJson, reportLines } from '../evaluate/report.ts'
import type { Evaluated } from '../evaluate.ts'
import type { OtherPolicyReplay } from '../replay/other-policy.ts'
import { table } from './output.ts'

export const otherLines = (other: OtherPolicyReplay): string[] => {
  const { hash, sameMeaning, report, outcomes, stateSha256, learned } = other
  const meaning = sameMeaning ? 'the same' : 'another'
  return [
    `another policy (${hash}), evaluated progressively: it begins without experience at the beginning of the range; its state has ${meaning} meaning`,
    `${outcomes} outcome${outcomes === 1 ? '' : 's'}`,
    ...reportLines(report, table),
    `state sha256 ${stateSha256}, learned ${learned}`,
  ]
}

export const otherJson = (other: OtherPolicyReplay): Record<string, unknown> => ({
  ...other,
  report: reportJson(other.report),
})

/** A verdict that the log cannot support ends a command with its code, after everything was said. */
export const endRefused = (name: string, report: Evaluated): void => {
  const verdict = verdictOf(report)
  if (verdict.is !== 'refused' || verdict.code !== 'NO_SUPPORT') return
  process.stderr.write(`NO_SUPPORT: ${name}: ${verdict.why}\n`)
  process.exitCode = 1
}
