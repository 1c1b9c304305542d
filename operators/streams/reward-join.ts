/**
 * The reward join: each decision meets its reward, once, when its window closes in event time.
 *
 * A reward belongs to its decision when `reward.occurredAt ≤ decision.occurredAt + window`. The decision closes when the watermark passes
 * its event time + window + grace; then the rewards that came are chosen from, or the default is taken. What goes into no outcome is counted
 * under a reason, never lost silently: taken = used + reasons + pending, for decisions, rewards and activations.
 *
 * What becomes of a record is a function of each topic's own order: of its event time (when it occurred, but at most `maxFutureSkewMs` later
 * than its record's own time), and of how far event time had come *before* it in its topic. The watermark is never ahead of that, so whatever
 * the rules ask for is still remembered when it is asked for. Hence all interleavings of the topics give the same outcomes, corrections and reasons, as long
 * as no input is silent; and replaying the topics from the earliest record that is still needed gives the same join again.
 *
 * Pure: events, offsets and the clock are passed in. O(log n) an event, and O(rewards of its decision). Memory: about 120 bytes and the id a
 * decision, 50 a reward, until the horizon.
 */
import type { OutcomeCorrection } from '../../schemas/generated/events.ts'
import { BinaryHeap } from './binary-heap.ts'
import { EarlyRecords } from './early-records.ts'
import { eventTimeOf, reachedBy } from './event-time.ts'
import { CLOSED, JoinDecisions, NOT_ACTIVATED, PENDING } from './join-decisions.ts'
import { countsNow, goOn, type JoinCounts, type JoinReason, noCounts } from './join-ledgers.ts'
import type {
  DecisionInput,
  JoinInput,
  JoinOutputs,
  JoinProgress,
  JoinVerdict,
  RewardJoinOptions,
} from './join-options.ts'
import { ACTIVATION, BEHIND, CANDIDATE, JoinRecords, LATE, REWARD } from './join-records.ts'
import { RetainedOffsets } from './retained-offsets.ts'
import { NONE_SILENT, Watermark } from './watermark.ts'

/** How much further ahead than `maxFutureSkewMs` a record may be before it is refused: brokers refuse more, too. */
const REFUSED_AHEAD_MS = 3_600_000
/** What a closing takes beside its decision, in bytes. */
const CLOSING_BYTES = 200
const NONE = -1

export class RewardJoin {
  /** Totals; the ledgers hold after every call. */
  readonly counts: JoinCounts = noCounts()
  private readonly options: RewardJoinOptions
  /** From event time to the close. */
  private readonly spanMs: number
  private readonly horizonMs: number
  private readonly watermark: Watermark
  private readonly decisions = new JoinDecisions()
  private readonly records = new JoinRecords()
  private readonly early: EarlyRecords
  private readonly retained: readonly RetainedOffsets[]
  /** By input: how far event time has come. */
  private readonly before: Float64Array
  /** Decisions under the time of their close, then of their being forgotten. */
  private readonly due = new BinaryHeap<number>()
  /** Event time up to which everything has closed. */
  private time = Number.NEGATIVE_INFINITY
  private clock = Number.NEGATIVE_INFINITY
  /** While it is rebuilt: the committed progress. */
  private rebuilding: JoinProgress | null = null

  /** @param topics number of inputs. */
  constructor(options: RewardJoinOptions, topics: number) {
    this.options = options
    this.spanMs = options.windowMs + options.graceMs
    this.horizonMs = options.horizonMs ?? 2 * options.windowMs
    this.watermark = new Watermark(topics, options)
    this.early = new EarlyRecords(this.records, (record) => this.expiryTime(record))
    this.retained = Array.from({ length: topics }, () => new RetainedOffsets())
    this.before = new Float64Array(topics).fill(Number.NEGATIVE_INFINITY)
  }

  get progress(): JoinProgress {
    return {
      watermark: this.time,
      clock: this.clock,
      largest: this.watermark.largest,
      earliest: this.retained.map(({ earliest }) => earliest),
      before: this.retained.map((retained, topic) => retained.earliestBefore(this.before[topic]!)),
      counts: countsNow(this.counts),
    }
  }

  /** Takes one event in. Nothing closes until `advance`. Corrections of what has closed go to `outputs`. @param now the clock. */
  step(input: JoinInput, now: number, outputs: JoinOutputs): JoinVerdict {
    this.clock = now
    const eventTime = eventTimeOf(input, this.options.maxFutureSkewMs)
    if (this.refuses(input, eventTime, now)) return 'from-the-future'
    this.watermark.observe(input.topic, reachedBy(input), now)
    return this.take(input, eventTime, outputs)
  }

  /**
   * Moves event time as far as the inputs allow, and closes what is due. Call it at the end of a batch, and on idle ones.
   * @param silent inputs that are known to have nothing.
   * @param mostBytes stops when the decisions closed take so many bytes; those of one millisecond close together.
   * @returns whether more is due: commit what came out, then call it again.
   */
  advance(
    now: number,
    outputs: JoinOutputs,
    silent: ReadonlySet<number> = NONE_SILENT,
    mostBytes = Number.POSITIVE_INFINITY,
  ): boolean {
    this.clock = now
    return this.closeUpTo(this.watermark.advance(now, silent), outputs, mostBytes)
  }

  /**
   * Begins a rebuild from what was committed. Then give every record from `progress.earliest` to the committed positions to `rebuild`, topic
   * by topic or in any other order that keeps each topic's own, and call `resume` before any `step`.
   */
  restore(progress: JoinProgress): void {
    this.rebuilding = progress
    for (let topic = 0; topic < this.before.length; topic++)
      this.before[topic] = progress.before[topic] ?? Number.NEGATIVE_INFINITY
  }

  /** Takes in again an event from before the committed position. Of decisions that had closed, the handle is not kept: they are `taken`. */
  rebuild(input: JoinInput): JoinVerdict {
    const eventTime = eventTimeOf(input, this.options.maxFutureSkewMs)
    if (this.refuses(input, eventTime, this.rebuilding!.clock)) return 'from-the-future'
    return this.take(input, eventTime, null)
  }

  /** Ends a rebuild: what had closed at the committed watermark closes silently, and the ledgers go on from what was counted. */
  resume(): void {
    const { watermark, clock, largest, counts } = this.rebuilding!
    this.rebuilding = null
    this.clock = clock
    this.watermark.restore(watermark, largest)
    this.closeUpTo(watermark, null, Number.POSITIVE_INFINITY)
    goOn(this.counts, counts)
  }

  private refuses(input: JoinInput, eventTime: number, now: number): boolean {
    if (eventTime <= now + this.options.maxFutureSkewMs + REFUSED_AHEAD_MS) return false
    const ledger = this.counts[LEDGER_OF[input.kind]]
    ledger.taken++
    ledger.reasons['from-the-future']++
    return true
  }

  private take(input: JoinInput, eventTime: number, outputs: JoinOutputs | null): JoinVerdict {
    const { records } = this
    const { topic } = input
    const before = this.before[topic]!
    this.before[topic] = Math.max(before, reachedBy(input))
    this.counts[LEDGER_OF[input.kind]].taken++
    if (input.kind === 'decision') return this.decision(input, eventTime, before)
    const place = this.retained[topic]!.add(input.offset, before)
    const { requestId, occurredAt } = input.event
    const record =
      input.kind === 'reward'
        ? records.add(REWARD, occurredAt, input.event.rewardId, input.event.value, topic, eventTime, place)
        : records.add(ACTIVATION, occurredAt, '', 0, topic, eventTime, place)
    this.record(record, requestId, outputs)
    return 'taken'
  }

  private decision(input: DecisionInput, eventTime: number, before: number): JoinVerdict {
    const { decisions } = this
    const ledger = this.counts.decisions
    const { requestId } = input.event
    const close = eventTime + this.spanMs
    const forget = close + this.horizonMs
    for (let slot = decisions.newest(requestId); slot !== NONE; slot = decisions.older[slot]!) {
      if (before >= this.forgetTime(slot)) continue
      // Without the first, a rebuild would take the second for a decision of its own.
      decisions.remember(slot, forget)
      ledger.reasons['duplicate-decision']++
      return 'taken'
    }
    if (before >= close || close <= this.time) {
      ledger.reasons['decision-behind-watermark']++
      return 'taken'
    }
    ledger.pending++
    const place = this.retained[input.topic]!.add(input.offset, before)
    const slot = decisions.add(input, eventTime, forget, place)
    this.due.push(close, slot)
    for (const record of this.early.take(requestId, (each) => this.meets(slot, each)))
      this.join(slot, record, null)
    if (this.rebuilding === null || close > this.rebuilding.watermark) return 'held'
    decisions.handle[slot] = NONE
    return 'taken'
  }

  /** A reward or an activation belongs to the first decision of its request that it meets, or waits for one. */
  private record(record: number, requestId: string, outputs: JoinOutputs | null): void {
    const { decisions } = this
    this.ledgerOf(record).pending++
    let met = NONE
    for (let slot = decisions.newest(requestId); slot !== NONE; slot = decisions.older[slot]!)
      if (this.meets(slot, record)) met = slot
    if (met !== NONE) this.join(met, record, outputs)
    else if (this.expiryTime(record) <= this.time) this.dismiss(record, 'unknown-decision')
    else this.early.hold(record, requestId)
  }

  /** Whether a record belongs to a decision's time: neither came when the other could have been given up, whatever came first. */
  private meets(slot: number, record: number): boolean {
    return (
      this.beforeDecision(slot) < this.expiryTime(record) && this.beforeRecord(record) < this.forgetTime(slot)
    )
  }

  private join(slot: number, record: number, outputs: JoinOutputs | null): void {
    const { decisions, records } = this
    // Without the decision, a rebuild would take the record for an early one.
    decisions.remember(slot, this.expiryTime(record))
    const pending = decisions.state[slot] === PENDING
    const late = records.occurredAt[record]! > decisions.occurredAt[slot]! + this.options.windowMs
    const behind = !pending || this.beforeRecord(record) >= this.closeTime(slot)
    const reason = this.reasonAgainst(slot, record, late, behind)
    if (reason !== null) {
      this.dismiss(record, reason)
      return
    }
    records.standing[record] = late ? LATE : behind ? BEHIND : CANDIDATE
    if (records.kind[record] === ACTIVATION) decisions.activated[slot] = 1
    decisions.records[slot] = records.prepend(record, decisions.records[slot]!, slot)
    if (!pending) this.correct(slot, record, outputs)
  }

  /** Why a record adds nothing to its decision; null where it does. */
  private reasonAgainst(slot: number, record: number, late: boolean, behind: boolean) {
    const { decisions, records } = this
    if (records.kind[record] === REWARD) {
      const twin = records.twin(record, decisions.records[slot]!, slot)
      if (twin === NONE) return null
      return records.sameContent(twin, record) ? 'duplicate-reward' : 'conflicting-reward'
    }
    if (late) return 'late-activation'
    if (behind) return 'activation-behind-watermark'
    return decisions.activated[slot] === 1 ? 'duplicate-activation' : null
  }

  /** Closes, expires and forgets what is due, in the order of event time. */
  private closeUpTo(time: number, outputs: JoinOutputs | null, mostBytes: number): boolean {
    const { due, decisions } = this
    let bytes = 0
    while (due.minimum <= time) {
      if (due.minimum > this.time) {
        if (bytes >= mostBytes && decisions.state[due.first!] === PENDING) break
        this.time = due.minimum
      }
      const slot = due.pop()!
      if (decisions.state[slot] !== PENDING) this.forget(slot)
      else {
        bytes += decisions.bytes[slot]! + CLOSING_BYTES
        this.close(slot, outputs)
      }
    }
    const more = due.minimum <= time
    if (!more && time > this.time) this.time = time
    for (const record of this.early.expired(this.time)) this.dismiss(record, 'unknown-decision')
    return more
  }

  private close(slot: number, outputs: JoinOutputs | null): void {
    const { decisions, records, options, counts } = this
    const list = this.records.listed(decisions.records[slot]!).sort((a, b) => records.compare(a, b))
    const used = options.activation !== 'deferred' || decisions.activated[slot] === 1
    const chosen = used ? this.chosen(list) : []
    const last = chosen.at(-1)
    let reward = options.defaultReward
    if (last !== undefined) {
      reward = records.value[chosen[0]!]!
      for (let i = 1; i < chosen.length; i++) reward += records.value[chosen[i]!]!
    }
    decisions.recorded[slot] = reward
    decisions.state[slot] = used ? CLOSED : NOT_ACTIVATED
    counts.decisions.pending--
    if (used) counts.decisions.used++
    else counts.decisions.reasons['not-activated']++
    outputs?.closings.push({
      requestId: decisions.ids[slot]!,
      handle: decisions.handle[slot]!,
      offset: this.retained[decisions.topic[slot]!]!.offset(decisions.place[slot]!),
      used,
      closedAt: this.closeTime(slot),
      reward,
      rewardKind: last === undefined ? 'defaulted' : 'observed',
      rewardOccurredAt: last === undefined ? null : records.occurredAt[last]!,
    })
    for (const record of list) {
      if (records.standing[record] !== CANDIDATE) this.correct(slot, record, outputs)
      else if (records.kind[record] === ACTIVATION || chosen.length > 1 || chosen[0] === record) {
        const ledger = this.ledgerOf(record)
        ledger.pending--
        ledger.used++
      } else this.count(record, used ? 'surplus-reward' : 'not-activated')
    }
    this.due.push(this.forgetTime(slot), slot)
  }

  /** The rewards that make the outcome, in their order. @param list sorted */
  private chosen(list: readonly number[]): readonly number[] {
    const { records, options } = this
    const candidates = list.filter(
      (record) => records.kind[record] === REWARD && records.standing[record] === CANDIDATE,
    )
    switch (options.rewards) {
      case 'sum':
        return candidates
      case 'last':
        return candidates.slice(-1)
      default:
        return candidates.slice(0, 1)
    }
  }

  /** Counts a reward that came too late, and says so where there is an outcome to correct. */
  private correct(slot: number, record: number, outputs: JoinOutputs | null): void {
    const { decisions, records } = this
    this.count(record, records.standing[record] === LATE ? 'late-reward' : 'reward-behind-watermark')
    if (decisions.state[slot] === CLOSED) outputs?.corrections.push(this.correction(slot, record))
  }

  private correction(slot: number, record: number): OutcomeCorrection {
    const { decisions, records } = this
    const { policy, policyVersion, arm } = decisions.factsOf(slot)
    return {
      requestId: decisions.ids[slot]!,
      policy,
      policyVersion,
      arm,
      rewardId: records.rewardIds[record]!,
      reward: records.value[record]!,
      recorded: decisions.recorded[slot]!,
      occurredAt: records.occurredAt[record]!,
      closedAt: this.closeTime(slot),
    }
  }

  /** Forgets a decision with all that belongs to it, once no other of its request needs it. */
  private forget(slot: number): void {
    const { decisions } = this
    const until = decisions.untilOfRequest(decisions.ids[slot]!)
    if (until > this.time) {
      this.due.push(until, slot)
      return
    }
    for (const record of this.records.listed(decisions.records[slot]!)) this.release(record)
    this.records.removeList(slot)
    this.retained[decisions.topic[slot]!]!.release(decisions.place[slot]!)
    decisions.remove(slot)
  }

  /** Counts a pending record under a reason. */
  private count(record: number, reason: JoinReason<'rewards'> | JoinReason<'activations'>): void {
    const ledger = this.ledgerOf(record)
    ledger.pending--
    const reasons = ledger.reasons as Record<string, number>
    reasons[reason]!++
  }

  /** Counts a pending record under a reason, and keeps nothing of it. */
  private dismiss(record: number, reason: JoinReason<'rewards'> | JoinReason<'activations'>): void {
    this.count(record, reason)
    this.release(record)
  }

  private release(record: number): void {
    const { records } = this
    this.retained[records.topic[record]!]!.release(records.place[record]!)
    records.remove(record)
  }

  private ledgerOf(record: number) {
    return this.records.kind[record] === REWARD ? this.counts.rewards : this.counts.activations
  }

  private closeTime(slot: number): number {
    return this.decisions.eventTime[slot]! + this.spanMs
  }

  private forgetTime(slot: number): number {
    return this.closeTime(slot) + this.horizonMs
  }

  private expiryTime(record: number): number {
    return this.records.eventTime[record]! + this.spanMs
  }

  private beforeDecision(slot: number): number {
    return this.retained[this.decisions.topic[slot]!]!.before(this.decisions.place[slot]!)
  }

  private beforeRecord(record: number): number {
    return this.retained[this.records.topic[record]!]!.before(this.records.place[record]!)
  }
}

const LEDGER_OF = { decision: 'decisions', reward: 'rewards', activation: 'activations' } as const
