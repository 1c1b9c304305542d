/**
 * Event-time progress of one task over several inputs: the least of their largest event times, so that reading one topic ahead of
 * another closes nothing early. A timestamp beyond `now + maxFutureSkewMs` counts as that bound, so that one record from the far future
 * cannot close every window. An input known to be silent holds nobody back: whoever reads it must have asked the broker, since an input
 * that is merely behind, or cannot be reached, is not silent. The watermark never goes back.
 */
export interface WatermarkOptions {
  /** How far ahead of the clock an event time may move the watermark, in milliseconds. */
  readonly maxFutureSkewMs: number
  /** How far the watermark stays behind the clock while all inputs are silent. */
  readonly idleMs: number
}

/** No input is silent. */
export const NONE_SILENT: ReadonlySet<number> = new Set()

export class Watermark {
  private readonly options: WatermarkOptions
  private readonly inputs: number[]
  private current = Number.NEGATIVE_INFINITY

  constructor(inputs: number, options: WatermarkOptions) {
    this.options = options
    this.inputs = new Array<number>(inputs).fill(Number.NEGATIVE_INFINITY)
  }

  get value(): number {
    return this.current
  }

  /** The largest event time of each input, bounded as described above; -Infinity where none came. */
  get largest(): readonly number[] {
    return [...this.inputs]
  }

  /** Goes on from what was committed. */
  restore(value: number, largest: readonly number[]): void {
    this.current = value
    for (let i = 0; i < this.inputs.length; i++) this.inputs[i] = largest[i] ?? Number.NEGATIVE_INFINITY
  }

  /** An event of an input. @param now the clock. */
  observe(input: number, eventTime: number, now: number): void {
    const bounded = Math.min(eventTime, now + this.options.maxFutureSkewMs)
    if (bounded > this.inputs[input]!) this.inputs[input] = bounded
  }

  /**
   * Moves the watermark as far as the inputs allow and returns it. Call it at the end of a batch.
   * When every input is silent, time itself is the bound: the watermark follows the clock, `idleMs` behind.
   */
  advance(now: number, silent: ReadonlySet<number> = NONE_SILENT): number {
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < this.inputs.length; i++) {
      if (!silent.has(i) && this.inputs[i]! < least) least = this.inputs[i]!
    }
    if (least === Number.POSITIVE_INFINITY) least = now - this.options.idleMs
    if (least > this.current) this.current = least
    return this.current
  }
}
