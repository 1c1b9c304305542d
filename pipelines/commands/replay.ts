/** `millrace replay`: the same log again, with the same policy or another one. Writes nothing. */
import { Command } from 'commander'
import type { Estimate } from '../../operators/bandits/evaluation/off-policy.ts'
import { KEYS } from '../../schemas/catalogue.ts'
import { openRuntime } from '../process/open.ts'
import type { Counts } from '../replay/comparison.ts'
import type { OtherPolicyReplay } from '../replay/other-policy.ts'
import { readPolicyFile } from '../replay/policy-file.ts'
import { parseBound } from '../replay/range.ts'
import type { SamePolicyReplay } from '../replay/same-policy.ts'
import { type PolicyReplay, type ReplayProgress, replay } from '../replay.ts'
import { type ConfigurationOptions, configOption, loadConfiguration, refuseMemory } from './configuration.ts'
import { plain, say } from './output.ts'

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
      const progress = new ProgressLine(process.stderr)
      try {
        const replayed = await replay(runtime, {
          from,
          to,
          ...(others === undefined ? {} : { others }),
          ...(options.policyName === undefined ? {} : { policies: [...new Set(options.policyName)] }),
          onProgress: (each) => progress.show(each),
        })
        progress.clear()
        if (replayed.length === 0) say('no policy is defined: there is nothing to replay')
        for (const each of replayed) {
          if (options.json) say(jsonOf(each))
          else for (const line of linesOf(each)) say(line)
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

const otherLines = ({
  hash,
  sameMeaning,
  report,
  outcomes,
  stateSha256,
  learned,
}: OtherPolicyReplay): string[] => {
  const { steps, refused, unlearned, logged, ips, snips, effectiveSampleSize, maxWeight } = report
  const meaning = sameMeaning ? 'the same' : 'another'
  return [
    `another policy (${hash}), evaluated progressively: it begins without experience at the beginning of the range; its state has ${meaning} meaning`,
    `${number(outcomes, 'outcome')}, ${steps} evaluated${reasons(refused, ', refused')}${reasons(unlearned, ', evaluated and not learned')}`,
    `logged mean reward ${estimate(logged)}`,
    `IPS ${estimate(ips)}, SNIPS ${estimate(snips)}`,
    `effective sample size ${effectiveSampleSize.toFixed(1)}, largest weight ${maxWeight.toPrecision(4)}`,
    ...(report.enough ? [verdictOf(report)] : ['no verdict: the effective sample size is below 100']),
    `state sha256 ${stateSha256}, learned ${learned}`,
  ]
}

/** Two standard errors of SNIPS apart, or not to be told apart. */
const verdictOf = ({ logged, snips }: OtherPolicyReplay['report']): string => {
  const difference = snips.value - logged.value
  const margin = 2 * snips.standardError
  const amount = `${difference >= 0 ? '+' : ''}${difference.toPrecision(4)} a decision, by SNIPS`
  if (Math.abs(difference) <= margin)
    return `verdict: this log does not tell them apart (${amount}, two standard errors are ${margin.toPrecision(4)})`
  return `verdict: ${difference > 0 ? 'better' : 'worse'} than the logged policy (${amount})`
}

const estimate = ({ value, standardError }: Estimate): string =>
  Number.isNaN(value) ? 'none' : `${value.toPrecision(6)} ± ${standardError.toPrecision(3)}`

const reasons = (counts: ReadonlyMap<string, number>, what: string): string =>
  counts.size === 0 ? '' : `${what}: ${[...counts].map(([code, count]) => `${code} ${count}`).join(', ')}`

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
    ...(other === null
      ? {}
      : {
          ...other,
          report: {
            ...other.report,
            refused: Object.fromEntries(other.report.refused),
            unlearned: Object.fromEntries(other.report.unlearned),
          },
        }),
  })

const PLAIN_EVERY_MS = 10_000
const LIVE_EVERY_MS = 100

/** A live line on a terminal; plain lines, seldom, elsewhere. */
class ProgressLine {
  readonly #stream: NodeJS.WriteStream
  #policy = ''
  #started = performance.now()
  #shown = performance.now()

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  show({ policy, passed, total }: ReplayProgress): void {
    const now = performance.now()
    if (policy !== this.#policy) {
      this.#policy = policy
      this.#started = now
    }
    if (now - this.#shown < (this.#stream.isTTY ? LIVE_EVERY_MS : PLAIN_EVERY_MS)) return
    this.#shown = now
    const rate = passed / Math.max(0.001, (now - this.#started) / 1_000)
    const left = rate > 0 ? `${Math.ceil((total - passed) / rate)} s left` : 'beginning'
    const text = `${plain(policy)}: ${passed} of ${total} offsets, ${Math.round(rate)}/s, ${left}`
    this.#stream.write(this.#stream.isTTY ? `\r\x1b[K${text}` : `${text}\n`)
  }

  clear(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K')
  }
}
