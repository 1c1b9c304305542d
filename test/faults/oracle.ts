/**
 * The oracle: from the input log alone, what should have come of it, held against what the topics, ClickHouse and the snapshots say. Decodes
 * with a plain Avro library, joins by definition, scores by Gaussian elimination: nothing of the product's own path, except where the
 * product's fold is itself what is asked (the bytes of a policy).
 *
 * `lost` counts what should be there and is not, `doubled` what is there too often, over everything compared; `differences` tell both in words,
 * and what is wrong otherwise.
 */
import type { Decision, EventName, EventTypes, Ledger, Outcome } from '../../schemas/generated/events.ts'
import { decoded } from './events.ts'
import type { Evidence, Placed } from './evidence.ts'
import { correctionLine, count, type Joined, naiveJoin, outcomeLine } from './naive-join.ts'
import { judgePolicies } from './oracle-policies.ts'
import { compare, expectEqual, newVerdict, type Verdict } from './tally.ts'
import { SENTINEL } from './world.ts'

/** Topics that the oracle reads, without their prefix. */
export const JUDGED = [
  'decision-requests',
  'rewards',
  'decisions',
  'outcomes',
  'outcome-corrections',
  'policies',
  'snapshots',
  'ledgers',
  'dead-letters',
] as const

const isSentinel = (id: string): boolean => id.startsWith(SENTINEL)

/** Reads a topic's events, but for records that are marked to become dead letters, and others' tombstones. */
const eventsOf = <E extends EventName>(
  { log, prefix }: Evidence,
  topic: string,
  event: E,
): Placed<EventTypes[E]>[] =>
  log
    .records(prefix + topic)
    .filter(({ value, headers }) => value !== null && headers['expect'] === undefined)
    .map((record) => ({ event: decoded(event, record.value!), record }))

export const judge = (evidence: Evidence): Verdict => {
  const verdict = newVerdict()
  const requests = eventsOf(evidence, 'decision-requests', 'decision-request')
  const rewards = eventsOf(evidence, 'rewards', 'reward')
  const decisions = eventsOf(evidence, 'decisions', 'decision')
  const outcomes = eventsOf(evidence, 'outcomes', 'outcome')
  const corrections = eventsOf(evidence, 'outcome-corrections', 'outcome-correction')

  compare(
    verdict,
    'decisions',
    requests.map(({ event, record }) => `${event.requestId} ${record.partition}/${record.offset}`),
    decisions.map(({ event }) => `${event.requestId} ${event.requestPartition}/${event.requestOffset}`),
  )
  // What is marked with a reason is counted under it, whatever the rules say.
  const markedRequests = requests.filter(({ record }) => record.headers['reason'] !== undefined)
  const marked = new Map(
    markedRequests.map(({ event, record }) => [event.requestId, record.headers['reason']!]),
  )
  const joined = naiveJoin(
    decisions.map(({ event }) => event).filter(({ requestId: id }) => !isSentinel(id) && !marked.has(id)),
    rewards
      .filter(({ event, record }) => !isSentinel(event.requestId) && record.headers['reason'] === undefined)
      .map(({ event }) => event),
    evidence.join,
  )
  for (const reason of marked.values()) count(joined.reasons.decisions, reason)
  const rewardsCounted = evidence.log
    .records(`${evidence.prefix}rewards`)
    .filter(({ headers }) => headers['reason'] !== undefined)
  for (const { headers } of rewardsCounted) count(joined.reasons.rewards, headers['reason']!)
  compare(
    verdict,
    'outcomes',
    joined.outcomes,
    outcomes.map(({ event }) => lineOf(event)),
  )
  compare(
    verdict,
    'corrections',
    joined.corrections,
    corrections.map(({ event: of }) =>
      correctionLine(of.requestId, of.arm, of.rewardId, of.reward, of.recorded, of.occurredAt),
    ),
  )
  compareLetters(verdict, evidence)
  judgeRequestsTold(verdict, requests, decisions)
  judgePolicies(verdict, evidence, {
    definitions: eventsOf(evidence, 'policies', 'policy-definition').map(({ event }) => event),
    snapshots: eventsOf(evidence, 'snapshots', 'snapshot').map(({ event }) => event),
    decisions,
    outcomes,
  })
  if (evidence.ledgersWhole === false) return verdict
  judgeLedgers(verdict, eventsOf(evidence, 'ledgers', 'ledger'), {
    decisions: decisions.length,
    // The join takes in what it refuses itself.
    rewards: rewards.length + rewardsCounted.filter(({ headers }) => headers['expect'] !== undefined).length,
    usedDecisions: joined.outcomes.length,
    usedRewards: joined.used,
    reasons: joined.reasons,
  })
  return verdict
}

const lineOf = (of: Outcome): string => outcomeLine(of, of.reward, of.rewardKind, of.rewardOccurredAt)

/** What a decision says of its request is what the request says. */
const judgeRequestsTold = (
  verdict: Verdict,
  requests: readonly Placed<EventTypes['decision-request']>[],
  decisions: readonly Placed<Decision>[],
): void => {
  const byPlace = new Map(
    requests.map((each) => [`${each.record.partition}/${each.record.offset}`, each.event]),
  )
  let wrong = 0
  for (const { event } of decisions) {
    const asked = byPlace.get(`${event.requestPartition}/${event.requestOffset}`)
    const arms = asked?.arms.map(({ id }) => id).join()
    if (
      asked &&
      (asked.occurredAt !== event.occurredAt || asked.policy !== event.policy || arms !== event.arms.join())
    )
      wrong++
  }
  expectEqual(verdict, 'decisions that tell their request wrongly', 0, wrong)
}

/** Records marked `expect: CODE` are in dead-letters once each under that code, and nothing else is. */
const compareLetters = (verdict: Verdict, evidence: Evidence): void => {
  const { log, prefix } = evidence
  const marked = (['decision-requests', 'rewards'] as const).flatMap((topic) =>
    log.records(prefix + topic).filter(({ headers }) => headers['expect'] !== undefined),
  )
  compare(
    verdict,
    'dead letters',
    marked.map(
      ({ topic, partition, offset, headers }) => `${topic}/${partition}/${offset} ${headers['expect']}`,
    ),
    eventsOf(evidence, 'dead-letters', 'dead-letter').map(
      ({ event: { topic, partition, offset, code } }) => `${topic}/${partition}/${offset} ${code}`,
    ),
  )
}

interface Totals {
  readonly decisions: number
  readonly rewards: number
  readonly usedDecisions: number
  readonly usedRewards: number
  readonly reasons: Joined['reasons']
}

/** In every ledger, what was taken is accounted for; the last of each task add up to the whole. Nothing where none is written. */
const judgeLedgers = (verdict: Verdict, ledgers: readonly Placed<Ledger>[], totals: Totals): void => {
  if (ledgers.length === 0) return
  const sumOf = (reasons: Ledger['reasons']) => Object.values(reasons).reduce((sum, count) => sum + count, 0)
  let broken = 0
  const last = new Map<string, Ledger>()
  for (const { event } of ledgers) {
    if (event.taken !== event.used + event.pending + sumOf(event.reasons)) broken++
    last.set(`${event.partition}/${event.kind}`, event)
  }
  expectEqual(verdict, 'ledgers that do not add up', 0, broken)
  const total = (kind: Ledger['kind'], field: 'taken' | 'used') =>
    [...last.values()]
      .filter((ledger) => ledger.kind === kind)
      .reduce((sum, ledger) => sum + ledger[field], 0)
  expectEqual(verdict, 'decisions in the ledgers', totals.decisions, total('decisions', 'taken'))
  expectEqual(verdict, 'rewards in the ledgers', totals.rewards, total('rewards', 'taken'))
  expectEqual(verdict, 'decisions used in the ledgers', totals.usedDecisions, total('decisions', 'used'))
  expectEqual(verdict, 'rewards used in the ledgers', totals.usedRewards, total('rewards', 'used'))
  for (const kind of ['decisions', 'rewards'] as const) {
    const found = new Map<string, number>()
    for (const ledger of last.values())
      if (ledger.kind === kind)
        for (const [reason, n] of Object.entries(ledger.reasons))
          found.set(reason, (found.get(reason) ?? 0) + n)
    const wanted = totals.reasons[kind]
    for (const reason of new Set([...found.keys(), ...wanted.keys()]))
      expectEqual(verdict, `${kind} counted as ${reason}`, wanted.get(reason) ?? 0, found.get(reason) ?? 0)
  }
}
