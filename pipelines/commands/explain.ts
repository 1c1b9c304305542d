/** `millrace explain <requestId>`: why a request was decided as it was, from the log alone. Writes nothing. */
import { Command } from 'commander'
import { type ExplainedArm, type Explanation, explain } from '../explain.ts'
import { openRuntime } from '../process/open.ts'
import { type ConfigurationOptions, configOption, loadConfiguration, refuseMemory } from './configuration.ts'
import { plain, say, table, time } from './output.ts'

export const explainCommand = (): Command =>
  new Command('explain')
    .description('why a request was decided as it was, from the log alone; writes nothing')
    .argument('<requestId>', 'the request')
    .addOption(configOption())
    .option('--json', 'one line of JSON')
    .action(async (requestId: string, options: ConfigurationOptions & { readonly json?: boolean }) => {
      const { config, log } = loadConfiguration(options)
      refuseMemory(config)
      // Sinks would register their schemas.
      const runtime = await openRuntime({ ...config, sinks: [] }, { log })
      try {
        const explanation = await explain(runtime, requestId)
        if (options.json) say(JSON.stringify(explanation))
        else for (const line of linesOf(explanation)) say(line)
      } finally {
        await runtime.close()
      }
    })

/** The explanation for people. */
export const linesOf = ({
  decision,
  place,
  repeated,
  arms,
  outcome,
  same,
  notes,
  request,
}: Explanation): string[] => {
  const { requestId, policy, policyVersion, policyHash, decidedAt, stateOffset } = decision
  const { arm, propensity, propensityKind, hyperParameters } = decision
  const parameters = hyperParameters.map(
    ({ name, value, probability }) => `${name} ${number(value)} (probability ${number(probability)})`,
  )
  const lines = [
    `request ${requestId}: policy ${policy} version ${policyVersion} (${policyHash})`,
    `decided ${time(decidedAt)} at state ${stateOffset}; partition ${place.partition}, offset ${place.offset} of the decisions`,
    `took ${arm} with propensity ${number(propensity)} (${propensityKind})`,
    `hyper-parameters: ${parameters.length === 0 ? 'none' : parameters.join(', ')}`,
    ...(request === null ? [] : [`context: ${JSON.stringify(request.context)}`]),
    ...table(['rank', 'arm', 'probability', 'estimate', 'width', 'vector'], byRank(arms).map(row)).split(
      '\n',
    ),
    outcomeLine(outcome),
    ...(repeated === 0 ? [] : [`decided ${repeated} times more: only this decision counts`]),
    ...notes,
    same === null
      ? 'not made again'
      : same
        ? 'made again from the log: the same, to the last bit'
        : 'made again from the log: DIFFERENT',
  ]
  return lines.map(plain)
}

const byRank = (arms: readonly ExplainedArm[]): ExplainedArm[] => [...arms].sort((a, b) => a.rank - b.rank)

/** Vectors are long: what is zero is left out, and the end of what is still too long. */
const MOST_FEATURES = 8

const row = ({ rank, arm, probability, estimate, width, vector }: ExplainedArm): string[] => [
  String(rank),
  arm,
  number(probability),
  estimate === null ? '-' : number(estimate),
  width === null ? '-' : number(width),
  vector === null ? '-' : features(vector),
]

const features = (vector: readonly number[]): string => {
  const nonzero = [...vector.entries()].filter(([, value]) => value !== 0)
  const shown = nonzero.slice(0, MOST_FEATURES).map(([i, value]) => `${i}:${number(value)}`)
  const more = nonzero.length - shown.length
  return `${shown.join(' ')}${more > 0 ? ` and ${more} more` : ''}`
}

const outcomeLine = (outcome: Explanation['outcome']): string => {
  if (outcome === null) return 'no outcome yet'
  const { reward, rewardKind, rewardOccurredAt, closedAt } = outcome
  const when = rewardOccurredAt === null ? `closed ${time(closedAt)}` : `occurred ${time(rewardOccurredAt)}`
  return `outcome: reward ${number(reward)} (${rewardKind}), ${when}`
}

const number = (value: number): string => String(Number(value.toPrecision(6)))
