/**
 * The join of one task: rebuilt from the topics when the task opens, then fed batch by batch. What a batch closes leaves in parts of bounded
 * size, each with its progress: an outage may have let a million windows run out together.
 */
import type { Task } from '../../infra/kafka/port.ts'
import type { Inbound, Outbound, Outgoing, Refused, SourceBatch } from '../../operators/streams/batch.ts'
import type { JoinInput, JoinOutputs } from '../../operators/streams/join-options.ts'
import { RewardJoin } from '../../operators/streams/reward-join.ts'
import { checkDecision, checkReward, type Fault } from '../../operators/streams/validation.ts'
import type { Decision } from '../../schemas/generated/events.ts'
import { type Input, readBatch } from '../delivery/inputs.ts'
import type { Runtime } from '../process/runtime.ts'
import { HeldDecisions } from './held-decisions.ts'
import { Ledgers, outcomeEvent } from './join-events.ts'
import { decodeProgress, encodeProgress } from './join-progress.ts'

export type JoinEvent = 'decision' | 'reward' | 'activation'

export interface JoinSetting {
  /** Decisions first. A topic's place is its number in the join. */
  readonly inputs: readonly Input<JoinEvent>[]
  /** In how many parts a policy's outcomes are learned. */
  readonly parts: ReadonlyMap<string, number>
}

/** What leaves in one commit, as decisions weigh in their own messages: little enough that decoded ones die young. */
const PART_BYTES = 2 ** 19

export class JoinTask {
  readonly join: RewardJoin
  /** Whether more is due behind the part given last. */
  more = false
  private readonly runtime: Runtime
  private readonly setting: JoinSetting
  private readonly topics: readonly string[]
  private readonly partition: number
  private readonly held: HeldDecisions
  private readonly ledgers: Ledgers
  /** Where decisions go on. */
  private position: number
  private batch: SourceBatch | null = null
  private silent: ReadonlySet<number> = new Set()
  private time = 0

  /**
   * Opens a task's join: reads again every record that was undecided or remembered at the committed positions.
   * @throws MillraceError OFFSET_OUT_OF_RANGE where a topic no longer holds them.
   */
  static async open(runtime: Runtime, task: Task, setting: JoinSetting): Promise<JoinTask> {
    const { broker, config, log, now } = runtime
    const { inputs } = setting
    const { window, grace, defaultReward, idleTimeout, maxFutureSkew, dedupHorizon, rewards, activation } =
      config.join
    const join = new RewardJoin(
      {
        windowMs: window,
        graceMs: grace,
        defaultReward,
        rewards,
        activation,
        horizonMs: dedupHorizon,
        idleMs: idleTimeout,
        maxFutureSkewMs: maxFutureSkew,
      },
      inputs.length,
    )
    const held = new HeldDecisions(broker, inputs[0] as Input<'decision'>, task.partition)
    const leading = inputs[0]!.topic
    const committed = task.committed.get(leading)
    if (committed === undefined) {
      const ends = (await broker.admin.offsets(leading)).find(({ partition }) => partition === task.partition)
      return new JoinTask(runtime, task, setting, join, held, ends?.earliest ?? 0)
    }
    const topics = inputs.map(({ topic }) => topic)
    const progress = decodeProgress(committed.metadata, topics, now())
    if (progress === null) return new JoinTask(runtime, task, setting, join, held, committed.offset)
    join.restore(progress)
    for (const [i, topic] of topics.entries()) {
      const start = progress.earliest[i]!
      const end = task.committed.get(topic)?.offset ?? 0
      if (start < 0 || start >= end) continue
      const range = { topic, from: new Map([[task.partition, start]]), to: new Map([[task.partition, end]]) }
      await broker.read(range, async (batch) => {
        const inbound = await readBatch(batch, inputs, log)
        forEachInput(inbound, topics, held, (input) => {
          if (faultOf(input) !== null) return false
          return join.rebuild(input) === 'held'
        })
      })
    }
    join.resume()
    const { decisions, rewards: given } = join.counts
    log.info(
      { partition: task.partition, decisions: decisions.pending, rewards: given.pending },
      'the join is rebuilt',
    )
    return new JoinTask(runtime, task, setting, join, held, committed.offset)
  }

  private constructor(
    runtime: Runtime,
    { partition }: Task,
    setting: JoinSetting,
    join: RewardJoin,
    held: HeldDecisions,
    position: number,
  ) {
    this.runtime = runtime
    this.setting = setting
    this.partition = partition
    this.topics = setting.inputs.map(({ topic }) => topic)
    this.join = join
    this.held = held
    this.position = position
    const deferred = runtime.config.join.activation === 'deferred'
    const kinds = ['decisions', 'rewards', ...(deferred ? (['activations'] as const) : [])] as const
    this.ledgers = new Ledgers(partition, kinds, join.counts)
  }

  /** Takes a batch in: what must not be joined is refused, what event time allows is closed, up to one part. */
  async take(inbound: Inbound<JoinEvent>): Promise<Outbound> {
    const { join, topics, held } = this
    const { batch } = inbound
    const outputs: JoinOutputs = { closings: [], corrections: [] }
    const refused = [...inbound.refused]
    this.batch = batch
    this.time = this.runtime.now()
    this.silent = new Set(batch.silent?.map((topic) => topics.indexOf(topic)))
    forEachInput(inbound, topics, held, (input, index) => {
      const fault = faultOf(input)
      if (fault !== null) refused.push({ index, stage: 'join', ...fault })
      else {
        const verdict = join.step(input, this.time, outputs)
        if (verdict === 'from-the-future') refused.push({ index, ...fromTheFuture(input, this.time) })
        return verdict === 'held'
      }
      return false
    })
    if (batch.topic === topics[0]) this.position = batch.nextOffset
    return this.part(batch, refused, outputs)
  }

  /** The next part of what the batch closes; to be asked while there is `more`, once the last was committed. */
  rest(): Promise<Outbound> {
    const { partition } = this.batch!
    const batch = { topic: '', partition, records: [], nextOffset: -1 }
    return this.part(batch, [], { closings: [], corrections: [] })
  }

  /** Progress rides with the position of the first input, decisions, whichever topic the batch came from. */
  private async part(
    batch: SourceBatch,
    refused: readonly Refused[],
    outputs: JoinOutputs,
  ): Promise<Outbound> {
    const { join, topics, time } = this
    this.more = join.advance(time, outputs, this.silent, PART_BYTES)
    const { progress } = join
    const positions = new Map<string, { offset: number; metadata?: string }>()
    if (batch.topic !== '') positions.set(batch.topic, { offset: batch.nextOffset })
    positions.set(topics[0]!, { offset: this.position, metadata: encodeProgress(progress, topics) })
    const outgoing = [
      ...(await this.outcomes(outputs)),
      ...outputs.corrections.map((value) => ({ event: 'outcome-correction' as const, value })),
      ...this.ledgers.events(join.counts, progress.watermark, time),
    ]
    return { batch, outputs: outgoing, refused, positions }
  }

  private async outcomes({ closings }: JoinOutputs): Promise<Outgoing[]> {
    const decisions = await this.held.take(closings)
    const made: Outgoing[] = []
    for (const [i, closing] of closings.entries()) {
      const decision: Decision = decisions[i]!
      const parts = this.setting.parts.get(decision.policy) ?? 1
      if (closing.used) made.push(outcomeEvent(decision, closing, parts, this.partition))
    }
    return made
  }
}

const faultOf = (input: JoinInput): Fault | null => {
  switch (input.kind) {
    case 'decision':
      return checkDecision(input.event as Decision)
    case 'reward':
      return checkReward(input.event)
    default:
      return null
  }
}

const fromTheFuture = ({ event, timestamp }: JoinInput, now: number) => {
  const [occurred, stamped] = [event.occurredAt, timestamp].map((time) => new Date(time).toISOString())
  return {
    stage: 'join',
    code: 'INVALID_EVENT' as const,
    message: `from the future: occurredAt is ${occurred}, the record's time ${stamped}, and now it is ${new Date(now).toISOString()}`,
  }
}

/** Gives every event of a batch to the join. @param each whether the join holds the decision. */
const forEachInput = (
  { batch, event, events }: Inbound<JoinEvent>,
  topics: readonly string[],
  held: HeldDecisions,
  each: (input: JoinInput, index: number) => boolean,
): void => {
  const topic = topics.indexOf(batch.topic)
  for (const [index, value] of events.entries()) {
    if (value == null) continue
    const { offset, timestamp, value: message } = batch.records[index]!
    if (event !== 'decision')
      each({ kind: event, event: value, topic, offset, timestamp } as JoinInput, index)
    else {
      const handle = held.hold(message!)
      const input = {
        kind: event,
        event: value as Decision,
        topic,
        offset,
        timestamp,
        handle,
        bytes: message!.length,
      }
      if (!each(input, index)) held.drop(handle)
    }
  }
}
