/** `millrace replay`: the same log again, with the same policy or another one. Writes nothing. */
import { Command } from 'commander'
import { KEYS } from '../../schemas/catalogue.ts'
import { reasons } from '../evaluate/report.ts'
import { openRuntime } from '../process/open.ts'
import type { Counts } from '../replay/comparison.ts'
import { readPolicyFile } from '../replay/policy-file.ts'
import { parseBound } from '../replay/range.ts'
import type { SamePolicyReplay } from '../replay/same-policy.ts'
import { type PolicyReplay, replay } from '../replay.ts'
import { type ConfigurationOptions, configOption, loadConfiguration, refuseMemory } from './configuration.ts'
import { endRefused, otherJson, otherLines } from './evaluated.ts'
import { plain, say } from './output.ts'
import { ProgressLine } from './progress-line.ts'

interface ReplayArguments extends ConfigurationOptions {
  readonly from: string
  readonly to: string
  readonly policy?: string
  readonly policyName?: readonly string[]
  readonly json?: boolean
}

export const replayCommand = (): Command =>
  new Command('replay')
    .description('the same log again, with the same policy or another one; writes nothing')
    .addOption(configOption())
    .option('--from <place>', 'a time, an offset in the outcomes, or beginning', 'beginning')
    .option('--to <place>', 'a time, an offset in the outcomes, or end; it is not included', 'end')
    .option(
      '--policy <file>',
      'evaluate the policies that this file defines instead of those of the same names',
    )
    .option('--policy-name <name...>', 'only these policies (default: those of the configuration)')
    .option('--json', 'one line of JSON a policy')
    .action(async (options: ReplayArguments) => {
      const from = parseBound(options.from, '--from')
      const to = parseBound(options.to, '--to')
      const others = options.policy === undefined ? undefined : readPolicyFile(options.policy, process.env)
      const { config, log } = loadConfiguration(options)
      refuseMemory(config)
      // Sinks would register their schemas.
      const runtime = await openRuntime({ ...config, sinks: [] }, { log })
      const progress = new ProgressLine(process.stderr, 'offsets')
      try {
        const replayed = await replay(runtime, {
          from,
          to,
          ...(others === undefined ? {} : { others }),
          ...(options.policyName === undefined ? {} : { policies: [...new Set(options.policyName)] }),
          onProgress: ({ policy, passed, total }) => progress.show(policy, passed, total),
        })
        progress.clear()
        if (replayed.length === 0) say('no policy is defined: there is nothing to replay')
        for (const each of replayed) {
          if (options.json) say(jsonOf(each))
          else for (const line of linesOf(each)) say(line)
          if (each.other !== null) endRefused(each.policy, each.other.report)
        }
        if (replayed.some(({ same }) => same?.comparison.different)) process.exitCode = 1
      } finally {
        progress.clear()
        await runtime.close()
      }
    })

/** What a replay has to say, a line each; the last says whether all is equal, or what the other policy is worth. */
export const linesOf = (replayed: PolicyReplay): string[] => {
  const { policy, version, ranges, begun, same, other } = replayed
  const where = ranges
    .map(({ partition, from, to }) => `${from} to ${to} of partition ${partition}`)
    .join(', ')
  const lines = [`${policy} version ${version}, outcomes ${where}`]
  if (begun !== null)
    lines.push(`outcomes reach no further back: begun with snapshot ${KEYS.snapshot(begun)}`)
  if (same !== null) lines.push(...sameLines(same))
  if (other !== null) lines.push(...otherLines(other))
  return lines.map((line) => `${policy}: ${plain(line)}`)
}

const sameLines = ({ comparison, outcomes, refused, stateSha256, learned }: SamePolicyReplay): string[] => {
  const [snapshots, decisions] = [comparison.of('snapshots'), comparison.of('decisions')]
  const state = `state sha256 ${stateSha256}, learned ${learned}`
  const differences = snapshots.different + decisions.different
  const compared = (counts: Counts) => counts.equal + counts.different
  const verdict =
    differences > 0
      ? `DIFFERENT: ${different(snapshots, 'snapshot')}, ${different(decisions, 'decision')}; ${state}`
      : compared(snapshots) + compared(decisions) === 0
        ? `nothing to compare; ${state}`
        : `equal: ${number(snapshots.equal, 'snapshot')}, ${number(decisions.equal, 'decision')}; ${state}`
  return [
    `${number(outcomes, 'outcome')} folded${reasons(refused, ', not learned from')}`,
    ...comparison.notes,
    ...unchecked(snapshots, 'snapshot'),
    ...unchecked(decisions, 'decision'),
    ...comparison.differences.map((difference) => `differs: ${difference}`),
    verdict,
  ]
}

const different = (counts: Counts, noun: string): string =>
  `${counts.different} of ${number(counts.different + counts.equal, noun)}`

const unchecked = (counts: Counts, noun: string): string[] =>
  Object.entries(counts.unchecked).map(([why, count]) => `not checked: ${number(count, noun)}, ${why}`)

const number = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

const jsonOf = ({ same, other, begun, ...rest }: PolicyReplay): string =>
  JSON.stringify({
    ...rest,
    begun: begun === null ? null : KEYS.snapshot(begun),
    ...(same === null
      ? {}
      : {
          equal: !same.comparison.different,
          snapshots: same.comparison.of('snapshots'),
          decisions: same.comparison.of('decisions'),
          differences: same.comparison.differences,
          notes: same.comparison.notes,
          outcomes: same.outcomes,
          refused: Object.fromEntries(same.refused),
          stateSha256: same.stateSha256,
          learned: same.learned,
        }),
    ...(other === null ? {} : otherJson(other)),
  })
