/**
 * Outcomes as `record` left them in ClickHouse. They hold the vector of the arm that was taken, and not those of the others: the requests with every arm's
 * features lie in the topic alone. Where arms have no features of their own all vectors of a request are that one, so a policy with the same features as
 * the logged one can be evaluated from here; every other policy is refused, and wants the topics.
 *
 * The definition of the logged policy is the configuration's, and rows that another one made (their hash says so) are refused.
 */
import type { ClickHouse } from '../../infra/clickhouse/connect.ts'
import type { PolicyConfig } from '../../infra/config/policy.ts'
import type { DecisionInput, LoggedOutcome } from '../../operators/bandits/index.ts'
import { canonicalJson, definitionHash } from '../../operators/bandits/state/definition.ts'
import { SHORT_HASH } from '../../operators/bandits/state/policy-table.ts'
import { featureDimension, featureParts } from '../../operators/streams/featurize.ts'
import { type ErrorCode, MillraceError } from '../../schemas/errors.ts'

/** An outcome with the vectors of its arms, or the code of why it cannot be used. */
export type RecordedOutcome = { readonly input: DecisionInput; readonly outcome: LoggedOutcome } | ErrorCode

export interface RecordedBlock {
  readonly outcomes: readonly RecordedOutcome[]
  /** Rows passed so far, of so many. */
  readonly passed: number
  readonly total: number
}

/** Decisions made from one time up to another, not included; milliseconds since the epoch. */
export interface RecordedRange {
  readonly from?: number
  readonly to?: number
}

/** @throws MillraceError INVALID_CONFIG where the rows cannot say what the target would have chosen */
export const requireRecordable = (logged: PolicyConfig | undefined, target: PolicyConfig): void => {
  const refused = (why: string) => new MillraceError('INVALID_CONFIG', `--log clickhouse: ${why}`)
  if (logged === undefined) {
    throw refused(
      `the configuration must define the logged policy "${target.name}": ClickHouse holds no definitions`,
    )
  }
  const theirs = featureParts(logged.definition.features)
  const own = featureParts(target.definition.features)
  const topics = 'evaluate it with --log topics'
  if (theirs.arm !== undefined || own.arm !== undefined) {
    throw refused(
      `only the vectors of the arms taken are recorded, and arms have features of their own here: ${topics}`,
    )
  }
  if (canonicalJson(theirs) !== canonicalJson(own)) {
    throw refused(
      `vectors are recorded as the features of "${logged.name}" made them, and --policy defines others: ${topics}`,
    )
  }
}

type Row = readonly [
  requestId: string,
  hash: string,
  arm: string,
  propensity: number | null,
  arms: string[],
  probabilities: (number | null)[],
  vector: (number | null)[],
  reward: number | null,
]

/**
 * The outcomes of a policy, in the order of their topic; several partitions one after the other.
 * @throws MillraceError CLICKHOUSE_UNAVAILABLE, CLICKHOUSE_REFUSED
 */
export async function* recordedOutcomes(
  ch: ClickHouse,
  { name, definition }: PolicyConfig,
  { from, to }: RecordedRange,
): AsyncGenerator<RecordedBlock, void> {
  const where = [
    'policy = {policy:String}',
    ...(from === undefined ? [] : ['occurred_at >= fromUnixTimestamp64Milli({from:Int64})']),
    ...(to === undefined ? [] : ['occurred_at < fromUnixTimestamp64Milli({to:Int64})']),
  ].join(' AND ')
  const params = {
    policy: name,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  }
  const [counted] = await ch.query<{ total: string }>(
    `SELECT count() AS total FROM outcomes WHERE ${where}`,
    params,
  )
  const total = Number(counted?.total ?? 0)
  const hash = definitionHash(definition).slice(0, SHORT_HASH)
  const dimension = featureDimension(definition.features)
  let passed = 0
  try {
    const result = await ch.client.query({
      query: `SELECT request_id, policy_hash, arm, propensity, arms, probabilities, vector, reward
              FROM outcomes WHERE ${where} ORDER BY partition, offset`,
      query_params: params,
      format: 'JSONCompactEachRow',
    })
    for await (const rows of result.stream<Row>()) {
      passed += rows.length
      yield { outcomes: rows.map((row) => recorded(row.json(), hash, dimension)), passed, total }
    }
  } catch (error) {
    if (error instanceof MillraceError) throw error
    throw new MillraceError('CLICKHOUSE_UNAVAILABLE', `reading outcomes: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** Numbers that are not finite come as null. */
const recorded = (row: Row, hash: string, dimension: number): RecordedOutcome => {
  const [requestId, ownHash, arm, propensity, arms, probabilities, vector, reward] = row
  if (ownHash !== hash) return 'POLICY_DIFFERS'
  if (vector.length !== dimension) return 'WRONG_DIMENSION'
  if (vector.includes(null)) return 'NON_FINITE_NUMBER'
  const vectors = new Float64Array(arms.length * dimension)
  for (let a = 0; a < arms.length; a++) vectors.set(vector as number[], a * dimension)
  return {
    input: { arms, vectors, oneVector: true },
    outcome: {
      requestId,
      arm,
      arms,
      propensity: propensity ?? Number.NaN,
      probabilities: probabilities.map((each) => each ?? Number.NaN),
      reward: reward ?? Number.NaN,
    },
  }
}
