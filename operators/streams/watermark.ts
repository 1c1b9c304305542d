/**
 * Event-time progress of one task over several inputs: the least of their largest event times, so that reading one topic ahead of
 * another closes nothing early. A timestamp beyond `now + maxFutureSkewMs` counts as that bound, so that one record from the far future
 * cannot close every window; an input that had nothing for `idleMs` holds nobody back. The watermark never goes back.
 */
export interface WatermarkOptions {
  /** How far ahead of the clock an event time may move the watermark, in milliseconds. */
  readonly maxFutureSkewMs: number
  /** An input with nothing for so long (by the clock passed in) is left out of the minimum. */
  readonly idleMs: number
}

export class Watermark {
  private readonly options: WatermarkOptions
  private readonly inputs: { largest: number; heardAt: number }[]
  private current = Number.NEGATIVE_INFINITY

  /** @param now the clock: every input counts as heard then. */
  constructor(inputs: number, options: WatermarkOptions, now: number) {
    this.options = options
    this.inputs = Array.from({ length: inputs }, () => ({ largest: Number.NEGATIVE_INFINITY, heardAt: now }))
  }

  get value(): number {
    return this.current
  }

  /** The largest event time of each input, bounded as described above; -Infinity where none came. */
  get largest(): readonly number[] {
    return this.inputs.map((input) => input.largest)
  }

  /** Goes on from what was committed. */
  restore(value: number, largest: readonly number[]): void {
    this.current = value
    for (const [i, input] of this.inputs.entries()) input.largest = largest[i]!
  }

  /** An event of an input. */
  observe(input: number, eventTime: number, now: number): void {
    const state = this.inputs[input]!
    state.heardAt = now
    const bounded = Math.min(eventTime, now + this.options.maxFutureSkewMs)
    if (bounded > state.largest) state.largest = bounded
  }

  /**
   * Moves the watermark as far as the inputs allow and returns it. Call it at the end of a batch.
   * When every input is idle, time itself is the bound: the watermark follows the clock, `idleMs` behind.
   */
  advance(now: number): number {
    let least = Number.POSITIVE_INFINITY
    for (const input of this.inputs) {
      if (now - input.heardAt < this.options.idleMs && input.largest < least) least = input.largest
    }
    if (least === Number.POSITIVE_INFINITY) least = now - this.options.idleMs
    if (least > this.current) this.current = least
    return this.current
  }
}
