/**
 * evaluate: what another policy would have earned, from a log that lies in topics, in ClickHouse or in a file. All ways lead through one evaluation
 * (operators/bandits/evaluation): a step is checked, weighed, judged by a state and a model that have not seen it, and then learned. Nothing is written.
 *
 * Topics are read as `replay --policy` reads them (replay.ts).
 */
import type { ClickHouse } from '../infra/clickhouse/connect.ts'
import type { PolicyConfig } from '../infra/config/policy.ts'
import {
  type EvaluationOptions,
  type EvaluationReport,
  OffPolicyEvaluation,
  ProgressiveEvaluation,
  RewardModel,
} from '../operators/bandits/index.ts'
import { definitionHash } from '../operators/bandits/state/definition.ts'
import { SHORT_HASH } from '../operators/bandits/state/policy-table.ts'
import { codeOf, type ErrorCode, MillraceError } from '../schemas/errors.ts'
import { type LoggedRecord, recordOf } from './evaluate/logged-record.ts'
import { openBandit, type PolicyOfLog, policyOfLog } from './evaluate/open-bandit.ts'
import { type RecordedRange, recordedOutcomes, requireRecordable } from './evaluate/recorded.ts'
import { openTarget } from './evaluate/target.ts'
import { linesOf } from './evaluate/text-file.ts'

/** Told how far an evaluation has come: bytes of a file, rows of a table. */
export type OnPassed = (passed: number, total: number) => void

/** What came of an evaluation: `unlearned` where a policy has learned. */
export type Evaluated = EvaluationReport & { readonly unlearned?: ReadonlyMap<ErrorCode, number> }

/** How a file of logged steps is written. @throws MillraceError INVALID_CONFIG */
export const formatOf = (file: string): 'json-lines' | 'open-bandit' => {
  const name = file.toLowerCase().replace(/\.gz$/, '')
  if (name.endsWith('.csv')) return 'open-bandit'
  if (/\.(jsonl|ndjson|json)$/.test(name)) return 'json-lines'
  throw new MillraceError(
    'INVALID_CONFIG',
    `--log: "${file}" is none of: topics, clickhouse, a file .jsonl or .ndjson (a JSON object a line) or .csv (Open Bandit), perhaps with .gz`,
  )
}

/**
 * Evaluates a policy on a file of logged steps; without one, the policy whose probabilities stand in the lines themselves (`target`).
 * @throws MillraceError INVALID_CONFIG where the file cannot be read
 */
export const evaluateFile = async (
  file: string,
  policy: PolicyConfig | null,
  options: EvaluationOptions = {},
  onPassed: OnPassed = () => {},
): Promise<Evaluated> => {
  const format = formatOf(file)
  const read = format === 'open-bandit' ? (await openBandit(file)).record : recordOf
  if (policy === null && format === 'open-bandit')
    throw new MillraceError('INVALID_CONFIG', '--policy or --policy-log is needed to say what is evaluated')
  if (policy !== null) {
    const evaluation = new ProgressiveEvaluation(openTarget(policy.name, policy.definition), options)
    await eachRecord(file, read, evaluation, onPassed, ({ request, logged }) =>
      evaluation.step(request, { ...logged, requestId: request.requestId }),
    )
    return evaluation.report
  }
  const evaluation = new OffPolicyEvaluation(options)
  await eachRecord(file, read, evaluation, onPassed, ({ logged, target, predictions }) => {
    if (target === null)
      throw new MillraceError('INVALID_EVENT', 'target: neither here nor given by --policy')
    evaluation.take(logged, { arms: logged.arms, probabilities: target }, predictions ?? undefined)
  })
  return evaluation.report
}

/** Reads a file's records one by one; what cannot be read or used is counted where all else is. */
const eachRecord = async <R extends LoggedRecord>(
  file: string,
  read: (line: string, requestId: string) => R,
  evaluation: { refuse(code: ErrorCode): void },
  onPassed: OnPassed,
  use: (record: R) => void,
): Promise<void> => {
  let [row, header] = [0, formatOf(file) === 'open-bandit']
  for await (const { lines, passed, total } of linesOf(file)) {
    for (const line of lines) {
      if (header) {
        header = false
        continue
      }
      try {
        use(read(line, `row-${row++}`))
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        evaluation.refuse(codeOf(error, 'INVALID_EVENT'))
      }
    }
    onPassed(passed, total)
  }
}

export interface PolicyLogEvaluated {
  readonly report: Evaluated
  /** What its own log says of the policy evaluated. */
  readonly own: PolicyOfLog
}

/**
 * Evaluates the policy that wrote one Open Bandit log on another: its probabilities are its frequencies at each position. The model of the reward knows item and position.
 * @throws MillraceError INVALID_CONFIG
 */
export const evaluatePolicyOfLog = async (
  file: string,
  policyLog: string,
  options: EvaluationOptions = {},
  onPassed: OnPassed = () => {},
): Promise<PolicyLogEvaluated> => {
  for (const [option, each] of [
    ['--log', file],
    ['--policy-log', policyLog],
  ] as const) {
    if (formatOf(each) !== 'open-bandit')
      throw new MillraceError(
        'INVALID_CONFIG',
        `${option}: with --policy-log both logs are Open Bandit files (.csv)`,
      )
  }
  const own = await policyOfLog(policyLog)
  const { record, items } = await openBandit(file)
  const evaluation = new OffPolicyEvaluation(options)
  const { positions } = own
  const dimension = positions.length
  const model = new RewardModel({ variant: 'disjoint', dimension })
  await eachRecord(file, record, evaluation, onPassed, ({ logged, position }) => {
    const at = positions.indexOf(position)
    if (at < 0) throw new MillraceError('NO_SUPPORT', `--policy-log has no position ${position}`)
    const vectors = new Float64Array(items.length * dimension)
    for (let place = at; place < vectors.length; place += dimension) vectors[place] = 1
    const predictions = model.predict({ arms: items, vectors, oneVector: true })
    evaluation.take(logged, { arms: own.items, probabilities: own.probabilities(position)! }, predictions)
    model.learn(logged.arm, vectors.subarray(0, dimension), logged.reward)
  })
  return { report: evaluation.report, own }
}

export interface RecordedEvaluated {
  readonly policy: string
  /** First 16 hex digits of the definition's hash. */
  readonly hash: string
  readonly report: Evaluated
}

/**
 * Evaluates a policy on the outcomes recorded in ClickHouse of the logged policy of its name.
 * @param logged the configured policies, among which the logged one is
 * @throws MillraceError INVALID_CONFIG where the tables cannot say what the policy would have chosen; CLICKHOUSE_UNAVAILABLE, CLICKHOUSE_REFUSED
 */
export const evaluateRecorded = async (
  ch: ClickHouse,
  logged: readonly PolicyConfig[],
  target: PolicyConfig,
  range: RecordedRange,
  options: EvaluationOptions = {},
  onPassed: OnPassed = () => {},
): Promise<RecordedEvaluated> => {
  const { name, definition } = target
  const own = logged.find((policy) => policy.name === name)
  requireRecordable(own, target)
  const evaluation = new ProgressiveEvaluation(openTarget(name, definition), options)
  for await (const { outcomes, passed, total } of recordedOutcomes(ch, own!, range)) {
    for (const each of outcomes) {
      if (typeof each === 'string') evaluation.refuse(each)
      else evaluation.stepFeaturized(each.input, each.outcome)
    }
    onPassed(passed, total)
  }
  return { policy: name, hash: definitionHash(definition).slice(0, SHORT_HASH), report: evaluation.report }
}
