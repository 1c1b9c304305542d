/**
 * The decisions that a task's join waits with, as the bytes in which they came: a decoded one takes six times as much. Larger ones are not
 * held at all but read again from their topic when they close, near ones in one go.
 */
import type { Broker } from '../../infra/kafka/port.ts'
import { ByteArena } from '../../operators/streams/byte-arena.ts'
import type { Closing } from '../../operators/streams/join-options.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { Decision } from '../../schemas/generated/events.ts'
import type { Input } from '../delivery/inputs.ts'

/** Messages up to this size are held. */
const HELD_BYTES = 2_048
/** Messages this near to each other are read together. */
const NEAR_OFFSETS = 50

const NOT_HELD = -1

export class HeldDecisions {
  private readonly broker: Broker
  private readonly input: Input<'decision'>
  private readonly partition: number
  private readonly mostBytes: number
  private readonly arena = new ByteArena()

  constructor(broker: Broker, input: Input<'decision'>, partition: number) {
    this.broker = broker
    this.input = input
    this.partition = partition
    // A broker in memory keeps only what some consumer has still to read.
    this.mostBytes = broker.kind === 'memory' ? Number.POSITIVE_INFINITY : HELD_BYTES
  }

  /** Takes a message in. The handle is given back by `take` or `drop`. */
  hold(message: Buffer): number {
    return message.length > this.mostBytes ? NOT_HELD : this.arena.hold(message)
  }

  drop(handle: number): void {
    if (handle !== NOT_HELD) this.arena.free(handle)
  }

  /**
   * The decisions of closings, in their order; their handles are given back.
   * @throws MillraceError OFFSET_OUT_OF_RANGE where the topic no longer holds one.
   */
  async take(closings: readonly Closing[]): Promise<Decision[]> {
    const far = closings.filter(({ handle }) => handle === NOT_HELD).map(({ offset }) => offset)
    const read = far.length === 0 ? null : await this.readAgain(far.sort((a, b) => a - b))
    return closings.map(({ handle, offset }) => {
      if (handle === NOT_HELD) return read!.get(offset)!
      const { buffer, byteOffset, length } = this.arena.at(handle)
      const decision = this.input.read(Buffer.from(buffer, byteOffset, length))
      this.arena.free(handle)
      return decision
    })
  }

  /** @param offsets ascending */
  private async readAgain(offsets: readonly number[]): Promise<Map<number, Decision>> {
    const { partition } = this
    const { topic } = this.input
    const wanted = new Set(offsets)
    const found = new Map<number, Decision>()
    for (let i = 0, from = 0; i < offsets.length; i++) {
      if (i + 1 < offsets.length && offsets[i + 1]! - offsets[i]! <= NEAR_OFFSETS) continue
      const range = {
        topic,
        from: new Map([[partition, offsets[from]!]]),
        to: new Map([[partition, offsets[i]! + 1]]),
      }
      from = i + 1
      await this.broker.read(range, async ({ records }) => {
        const some = records.filter(({ offset }) => wanted.has(offset))
        await this.input.prepare(some.map(({ value }) => value))
        for (const { offset, value } of some) found.set(offset, this.input.read(value!))
      })
    }
    const lost = offsets.find((offset) => !found.has(offset))
    if (lost !== undefined)
      throw new MillraceError(
        'OFFSET_OUT_OF_RANGE',
        `${topic}/${partition} no longer holds the decision at ${lost}, which has not closed yet`,
      )
    return found
  }
}
