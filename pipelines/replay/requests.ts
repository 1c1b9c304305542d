/**
 * Requests read back where outcomes point at them: in their topic, or with their decisions (served-requests.ts). Many at a time: their offsets are
 * gathered by partition, joined to ranges, and each range is read once, in order; what lies between is passed over undecoded. A request that
 * retention has removed is said to be gone.
 */
import type { Batch, ConsumedRecord, TopicOffsets } from '../../infra/kafka/port.ts'
import { type ErrorCode, MillraceError } from '../../schemas/errors.ts'
import type { DecisionRequest } from '../../schemas/generated/events.ts'
import { type Input, ownInput, readBatch } from '../delivery/inputs.ts'
import { isServed, REQUEST_HEADER, throughDecisions } from '../delivery/served-requests.ts'
import { topicOf } from '../process/runtime.ts'
import type { Reading } from './outcomes.ts'

/** Where an outcome says that its request lies. */
export interface RequestPlace {
  readonly requestId: string
  readonly requestPartition: number
  readonly requestOffset: number
}

/** The request, or the code of why there is none: OFFSET_OUT_OF_RANGE where it is gone. */
export type FoundRequest = DecisionRequest | ErrorCode

/** Offsets nearer than this are read in one range. */
const GAP = 1_000
/** Offsets may go while they are read: what is left is asked for anew so often. */
const ATTEMPTS = 5
/** Requests held at once, in bytes of their records; and how many at least and at most. */
const BYTES = 64 * 2 ** 20
const FEWEST = 50
const MOST = 5_000

export class Requests {
  readonly #reading: Reading
  readonly #inputs: readonly Input<'decision-request'>[]
  /** Decisions, whose records carry the requests that were answered over HTTP. */
  readonly #served: Input<'decision-request'>
  readonly #ends = new Map<string, readonly TopicOffsets[]>()
  #read = 0
  #bytes = 0

  constructor(reading: Reading) {
    this.#reading = reading
    const { codec, config } = reading
    this.#served = ownInput(codec, topicOf(config, 'decision'), 'decision-request')
    this.#inputs = [...reading.inputs('decision-request'), this.#served]
  }

  /** How many to ask for at once, so that they take bounded memory. */
  get atOnce(): number {
    const mean = this.#read === 0 ? BYTES / 1_000 : this.#bytes / this.#read
    return Math.max(FEWEST, Math.min(MOST, Math.floor(BYTES / mean)))
  }

  /**
   * The requests at these places, in their order. Where several topics are mapped to requests, an outcome does not say which one it came
   * from: that with its id.
   * @throws MillraceError MISSING_TOPIC, KAFKA_UNAVAILABLE
   */
  async at(places: readonly RequestPlace[]): Promise<FoundRequest[]> {
    const found = places.map((): FoundRequest => 'OFFSET_OUT_OF_RANGE')
    const isFound = (i: number): boolean => {
      const request = found[i]!
      return typeof request !== 'string' && request.requestId === places[i]!.requestId
    }
    for (const input of this.#inputs) {
      const open = places.flatMap((place, i) => {
        const served = isServed(place.requestPartition)
        if (isFound(i) || served !== (input === this.#served)) return []
        return [{ place: served ? inDecisions(place) : place, i }]
      })
      if (open.length === 0) continue
      const read = await this.#from(
        input,
        open.map(({ place }) => place),
      )
      for (const { place, i } of open) {
        const request = read.get(place.requestPartition)?.get(place.requestOffset)
        if (request === undefined) continue
        const better = typeof request !== 'string' && request.requestId === place.requestId
        if (better || found[i] === 'OFFSET_OUT_OF_RANGE') found[i] = request
      }
    }
    return found
  }

  async #from(
    input: Input<'decision-request'>,
    places: readonly RequestPlace[],
  ): Promise<Map<number, Map<number, FoundRequest>>> {
    const wanted = new Map<number, Set<number>>()
    for (const { requestPartition, requestOffset } of places) {
      const offsets = wanted.get(requestPartition)
      if (offsets === undefined) wanted.set(requestPartition, new Set([requestOffset]))
      else offsets.add(requestOffset)
    }
    const found = new Map([...wanted.keys()].map((partition) => [partition, new Map<number, FoundRequest>()]))
    for (let attempt = 1; ; attempt++) {
      try {
        for (const range of await this.#ranges(input.topic, wanted))
          await this.#reading.broker.read({ topic: input.topic, ...range }, (batch) =>
            this.#take(input, batch, wanted.get(batch.partition)!, found.get(batch.partition)!),
          )
        return found
      } catch (error) {
        const gone = error instanceof MillraceError && error.code === 'OFFSET_OUT_OF_RANGE'
        if (!gone || attempt === ATTEMPTS) throw error
        this.#ends.delete(input.topic)
      }
    }
  }

  /** Keeps the requests of a batch that are wanted; they are wanted no more. */
  async #take(
    input: Input<'decision-request'>,
    batch: Batch,
    wanted: Set<number>,
    found: Map<number, FoundRequest>,
  ): Promise<void> {
    const there = batch.records.filter(({ offset }) => wanted.has(offset))
    const records = input === this.#served ? there.map(requestWith) : there
    const { events, refused } = await readBatch({ ...batch, records }, [input], this.#reading.log)
    for (const [index, { offset, value }] of records.entries()) {
      found.set(offset, events[index] ?? refused.find((each) => each.index === index)!.code)
      wanted.delete(offset)
      this.#read++
      this.#bytes += value?.length ?? 0
    }
  }

  /** What is to be read, one range of each partition at a time. */
  async #ranges(
    topic: string,
    wanted: ReadonlyMap<number, ReadonlySet<number>>,
  ): Promise<{ from: Map<number, number>; to: Map<number, number> }[]> {
    let ends = this.#ends.get(topic)
    if (ends === undefined) {
      ends = await this.#reading.broker.admin.offsets(topic)
      this.#ends.set(topic, ends)
    }
    const ranges: { from: Map<number, number>; to: Map<number, number> }[] = []
    for (const [partition, offsets] of wanted) {
      const end = ends.find((each) => each.partition === partition)
      if (end === undefined) continue
      const there = [...offsets]
        .filter((offset) => offset >= end.earliest && offset < end.latest)
        .sort((a, b) => a - b)
      let round = -1
      let last = Number.NEGATIVE_INFINITY
      for (const offset of there) {
        if (offset - last > GAP) {
          round++
          ranges[round] ??= { from: new Map(), to: new Map() }
          ranges[round]!.from.set(partition, offset)
        }
        ranges[round]!.to.set(partition, offset + 1)
        last = offset
      }
    }
    return ranges
  }
}

/** The place of the decision that the request rides with. */
const inDecisions = (place: RequestPlace): RequestPlace => ({
  ...place,
  requestPartition: throughDecisions(place.requestPartition),
})

/** The request that a decision's record carries, as a record. */
const requestWith = (decision: ConsumedRecord): ConsumedRecord => ({
  ...decision,
  value: decision.headers?.[REQUEST_HEADER] ?? null,
})
