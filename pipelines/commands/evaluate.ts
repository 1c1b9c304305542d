/** `millrace evaluate`: what another policy would have earned, from a log. Writes nothing. */
import { basename } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { connectClickHouse } from '../../infra/clickhouse/connect.ts'
import { clickhouseConnection } from '../../infra/config/connections.ts'
import type { PolicyConfig } from '../../infra/config/policy.ts'
import type { EvaluationOptions } from '../../operators/bandits/index.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { ownLogLines, reportJson, reportLines } from '../evaluate/report.ts'
import { chooseTarget } from '../evaluate/target.ts'
import { type Evaluated, evaluateFile, evaluatePolicyOfLog, evaluateRecorded, formatOf } from '../evaluate.ts'
import { openRuntime } from '../process/open.ts'
import { readPolicyFile } from '../replay/policy-file.ts'
import { type Bound, parseBound } from '../replay/range.ts'
import { replay } from '../replay.ts'
import { type ConfigurationOptions, configOption, loadConfiguration, refuseMemory } from './configuration.ts'
import { endRefused, otherJson } from './evaluated.ts'
import { plain, say, table } from './output.ts'
import { ProgressLine } from './progress-line.ts'
import { linesOf } from './replay.ts'

interface EvaluateArguments extends ConfigurationOptions {
  readonly log: string
  readonly policy?: string
  readonly policyName?: string
  readonly policyLog?: string
  readonly from?: string
  readonly to?: string
  readonly clip?: number
  readonly switchAt?: number
  readonly json?: boolean
}

export const evaluateCommand = (): Command =>
  new Command('evaluate')
    .description('what another policy would have earned, from a log; writes nothing')
    .addOption(configOption())
    .option('--log <where>', 'topics, clickhouse, or a file of logged steps (.jsonl, .csv; .gz)', 'topics')
    .option('--policy <file>', 'the policy to be evaluated: an entry of policies:, or a configuration')
    .option('--policy-name <name>', 'which of them, where the file defines several')
    .option('--policy-log <file>', 'with an Open Bandit file: the policy that wrote this other one')
    .option('--from <place>', 'a time, an offset in the outcomes (topics), or beginning')
    .option('--to <place>', 'a time, an offset in the outcomes (topics), or end; it is not included')
    .option('--clip <weight>', 'clipped IPS takes no weight for more (default: 10)', weight)
    .option('--switch-at <weight>', 'switch-DR takes heavier weights for 0 (default: 10)', weight)
    .option('--json', 'one line of JSON')
    .action(async (options: EvaluateArguments) => {
      const { clip, switchAt, log } = options
      const evaluation = {
        ...(clip === undefined ? {} : { clip }),
        ...(switchAt === undefined ? {} : { switchAt }),
      }
      if (log === 'topics') await overTopics(options, evaluation)
      else if (log === 'clickhouse') await overClickHouse(options, evaluation)
      else await overFile(options, evaluation)
    })

/** A number from 0. @throws InvalidArgumentError */
const weight = (text: string): number => {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0)) throw new InvalidArgumentError('it must be a number of at least 0')
  return value
}

const refuse = (why: string): never => {
  throw new MillraceError('INVALID_CONFIG', why)
}

const policiesOf = ({ policy, policyLog, log }: EvaluateArguments): readonly PolicyConfig[] => {
  if (policyLog !== undefined) refuse('--policy-log: only with --log <file>.csv')
  return policy === undefined
    ? refuse(`--policy: a policy is needed with --log ${log}`)
    : readPolicyFile(policy, process.env)
}

const boundsOf = ({ from = 'beginning', to = 'end' }: EvaluateArguments): { from: Bound; to: Bound } => ({
  from: parseBound(from, '--from'),
  to: parseBound(to, '--to'),
})

const overTopics = async (options: EvaluateArguments, evaluation: EvaluationOptions): Promise<void> => {
  const others = policiesOf(options)
  const bounds = boundsOf(options)
  const { config, log } = loadConfiguration(options)
  refuseMemory(config)
  // Sinks would register their schemas.
  const runtime = await openRuntime({ ...config, sinks: [] }, { log })
  const progress = new ProgressLine(process.stderr, 'offsets')
  try {
    const replayed = await replay(runtime, {
      ...bounds,
      others,
      evaluation,
      policies: options.policyName === undefined ? others.map(({ name }) => name) : [options.policyName],
      onProgress: ({ policy, passed, total }) => progress.show(policy, passed, total),
    })
    progress.clear()
    for (const each of replayed) {
      const { policy, version, ranges, other } = each
      if (other === null) continue
      if (options.json) say(JSON.stringify({ log: 'topics', policy, version, ranges, ...otherJson(other) }))
      else for (const line of linesOf(each)) say(line)
      endRefused(policy, other.report)
    }
  } finally {
    progress.clear()
    await runtime.close()
  }
}

const overClickHouse = async (options: EvaluateArguments, evaluation: EvaluationOptions): Promise<void> => {
  const target = chooseTarget(policiesOf(options), options.policyName)
  const { from, to } = boundsOf(options)
  const timeOf = (bound: Bound, option: string): number | undefined => {
    if (typeof bound === 'string') return undefined
    return 'time' in bound ? bound.time : refuse(`${option}: with --log clickhouse ends are times`)
  }
  const [begins, ends] = [timeOf(from, '--from'), timeOf(to, '--to')]
  const range = {
    ...(begins === undefined ? {} : { from: begins }),
    ...(ends === undefined ? {} : { to: ends }),
  }
  const { config, log } = loadConfiguration(options)
  const connection =
    clickhouseConnection(config) ?? refuse('--log clickhouse: clickhouse.url names no server to read from')
  const ch = await connectClickHouse({
    ...connection,
    log: (message) => log.warn({ part: 'clickhouse' }, message),
  })
  const progress = new ProgressLine(process.stderr, 'rows')
  try {
    const { policy, hash, report } = await evaluateRecorded(
      ch,
      config.policies,
      target,
      range,
      evaluation,
      (passed, total) => progress.show(target.name, passed, total),
    )
    progress.clear()
    if (options.json) say(JSON.stringify({ log: 'clickhouse', policy, hash, report: reportJson(report) }))
    else
      sayLines(policy, [
        `policy (${hash}) over the outcomes recorded in ${ch.database}`,
        ...reportLines(report, table),
      ])
    endRefused(policy, report)
  } finally {
    progress.clear()
    await ch.close()
  }
}

const overFile = async (options: EvaluateArguments, evaluation: EvaluationOptions): Promise<void> => {
  const { log: file, policy, policyName, policyLog, json } = options
  formatOf(file)
  if (options.from !== undefined || options.to !== undefined)
    refuse('--from, --to: a file is evaluated whole')
  if (policy !== undefined && policyLog !== undefined) refuse('--policy, --policy-log: one of the two')
  const progress = new ProgressLine(process.stderr, 'bytes')
  const onPassed = (passed: number, total: number) => progress.show(file, passed, total)
  try {
    if (policyLog !== undefined) {
      const found = await evaluatePolicyOfLog(file, policyLog, evaluation, onPassed)
      progress.clear()
      const { report, own } = found
      if (json) {
        const { mean, rows, refused } = own
        say(
          JSON.stringify({ log: file, policyLog, report: reportJson(report), own: { mean, rows, refused } }),
        )
      } else
        sayLines(basename(policyLog), [
          `the policy of ${policyLog}, over ${file}`,
          ...reportLines(report, table),
          ...ownLogLines(found),
        ])
      endRefused(policyLog, report)
      return
    }
    const target = policy === undefined ? null : chooseTarget(readPolicyFile(policy, process.env), policyName)
    const report: Evaluated = await evaluateFile(file, target, evaluation, onPassed)
    progress.clear()
    const name = target?.name ?? 'target'
    if (json) say(JSON.stringify({ log: file, policy: name, report: reportJson(report) }))
    else sayLines(name, [`over ${file}`, ...reportLines(report, table)])
    endRefused(name, report)
  } finally {
    progress.clear()
  }
}

const sayLines = (name: string, lines: readonly string[]): void => {
  for (const line of lines) say(`${plain(name)}: ${plain(line)}`)
}
