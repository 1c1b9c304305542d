/**
 * A policy's outcomes read back, in an order that depends on the log alone: a part's outcomes in the order of its partition, and several parts
 * taking turns, outcome by outcome. Pulled: no more than a few batches are held, but for what a part is ahead of the slowest.
 */
import type { Batch, Broker, ReadOptions } from '../../infra/kafka/port.ts'
import type { LivePolicy } from '../../operators/bandits/state/policy-table.ts'
import { partOf } from '../../operators/bandits/state/split.ts'
import { type ErrorCode, MillraceError } from '../../schemas/errors.ts'
import type { Outcome } from '../../schemas/generated/events.ts'
import { ownInput, readBatch } from '../delivery/inputs.ts'
import { type Runtime, topicOf } from '../process/runtime.ts'

/** What a replay reads with. It is given nothing to write with but the broker, of which it only reads. */
export type Reading = Pick<Runtime, 'broker' | 'codec' | 'config' | 'log' | 'inputs'>

/** A stretch of the partition that holds one part of a policy's outcomes: [from, to). */
export interface PartRange {
  readonly partition: number
  readonly from: number
  readonly to: number
}

export interface OutcomeAt {
  /** The part of the policy that it belongs to. */
  readonly part: number
  readonly offset: number
  readonly key: Buffer | null
  /** Null where the record cannot be read: then `code` says why. */
  readonly outcome: Outcome | null
  readonly code?: ErrorCode
}

export interface OutcomeBlock {
  readonly outcomes: readonly OutcomeAt[]
  /** Offsets passed so far, over all partitions. */
  readonly passed: number
}

const BLOCK = 1_000

/**
 * The outcomes of a policy in these ranges, one for each of its parts.
 * @throws MillraceError UNKNOWN_SCHEMA, OFFSET_OUT_OF_RANGE, MISSING_TOPIC, KAFKA_UNAVAILABLE
 */
export async function* outcomesOf(
  reading: Reading,
  live: LivePolicy,
  ranges: readonly PartRange[],
): AsyncGenerator<OutcomeBlock, void> {
  const queues = ranges.map((): OutcomeAt[] => [])
  const heads = ranges.map(() => 0)
  const sources = new Map(
    ranges.map(({ partition }) => [partition, new Source(reading, live, partition, ranges)]),
  )
  let turn = 0
  let block: OutcomeAt[] = []
  const passed = () => [...sources.values()].reduce((sum, source) => sum + source.passed, 0)
  try {
    for (let ended = 0; ended < ranges.length; ) {
      const queue = queues[turn]!
      if (heads[turn]! < queue.length) {
        ended = 0
        block.push(queue[heads[turn]!++]!)
        if (block.length === BLOCK) {
          yield { outcomes: block, passed: passed() }
          block = []
        }
      } else {
        queue.length = 0
        heads[turn] = 0
        const more = await sources.get(ranges[turn]!.partition)!.next()
        if (more !== null) {
          for (const outcome of more) queues[outcome.part]!.push(outcome)
          continue
        }
        ended++
      }
      turn = (turn + 1) % ranges.length
    }
    yield { outcomes: block, passed: passed() }
  } finally {
    for (const source of sources.values()) await source.close()
  }
}

/** One partition: the outcomes of those of a policy's parts that lie there. */
class Source {
  passed = 0
  readonly #reading: Reading
  readonly #live: LivePolicy
  readonly #partition: number
  readonly #ranges: readonly PartRange[]
  readonly #from: number
  readonly #batches: AsyncGenerator<Batch, void>

  constructor(reading: Reading, live: LivePolicy, partition: number, ranges: readonly PartRange[]) {
    this.#reading = reading
    this.#live = live
    this.#partition = partition
    this.#ranges = ranges
    const here = ranges.filter((range) => range.partition === partition && range.from < range.to)
    this.#from = Math.min(...here.map(({ from }) => from))
    const to = Math.max(...here.map(({ to }) => to))
    const topic = topicOf(reading.config, 'outcome')
    this.#batches =
      here.length === 0
        ? nothing()
        : pull(reading.broker, {
            topic,
            from: new Map([[partition, this.#from]]),
            to: new Map([[partition, to]]),
            maxBatchRecords: BLOCK,
          })
  }

  /** The policy's outcomes of the next batch, perhaps none; null at the end. */
  async next(): Promise<OutcomeAt[] | null> {
    const { value: batch } = await this.#batches.next()
    if (batch === undefined) return null
    this.passed = batch.nextOffset - this.#from
    return this.#own(batch)
  }

  async close(): Promise<void> {
    await this.#batches.return()
  }

  async #own(batch: Batch): Promise<OutcomeAt[]> {
    const { codec, log } = this.#reading
    const { name, keys, parts } = this.#live
    const records = batch.records.filter(({ key }) => key === null || keys.includes(key.toString()))
    const { events, refused } = await readBatch(
      { ...batch, records },
      [ownInput(codec, batch.topic, 'outcome')],
      log,
    )
    const outcomes: OutcomeAt[] = []
    for (const [index, { key, offset }] of records.entries()) {
      const outcome = events[index]
      if (outcome == null) {
        const { code, message } = refused.find((each) => each.index === index)!
        // Deciders stop there as well: others could read it, and hold other states.
        if (code === 'UNKNOWN_SCHEMA')
          throw new MillraceError(code, `${batch.topic}/${batch.partition} at offset ${offset}: ${message}`)
        if (key !== null)
          this.#add(outcomes, { part: keys.indexOf(key.toString()), offset, key, outcome: null, code })
      } else if (outcome.policy === name) {
        this.#add(outcomes, { part: partOf(outcome.requestId, parts), offset, key, outcome })
      }
    }
    return outcomes
  }

  #add(outcomes: OutcomeAt[], at: OutcomeAt): void {
    const { partition, from, to } = this.#ranges[at.part]!
    const misplaced = at.key !== null && at.key.toString() !== this.#live.keys[at.part]
    if (misplaced || partition !== this.#partition || at.offset < from || at.offset >= to) return
    outcomes.push(at)
  }
}

async function* nothing(): AsyncGenerator<Batch, void> {}

/** A reading as a generator; the next batch is fetched while one is worked on. @throws as `Broker.read` */
export async function* pull(broker: Pick<Broker, 'read'>, options: ReadOptions): AsyncGenerator<Batch, void> {
  const stop = new AbortController()
  const came: { readonly batch: Batch; readonly release: () => void }[] = []
  let ended = false
  let failure: unknown
  let wake = () => {}
  const reading = broker
    .read(
      options,
      (batch) =>
        new Promise<void>((release) => {
          came.push({ batch, release })
          wake()
        }),
      stop.signal,
    )
    .catch((error: unknown) => {
      failure = error
    })
    .finally(() => {
      ended = true
      wake()
    })
  try {
    for (;;) {
      const next = came.shift()
      if (next !== undefined) {
        next.release()
        yield next.batch
      } else if (ended) break
      else
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
    if (failure !== undefined) throw failure
  } finally {
    stop.abort()
    for (const { release } of came) release()
    await reading
  }
}
