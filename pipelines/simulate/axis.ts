/** An axis with round numbers on it. */
export interface Axis {
  readonly least: number
  readonly most: number
  readonly ticks: readonly number[]
}

/**
 * An axis over [least, most] with about so many ticks, at multiples of 1, 2, 2.5 or 5 times a power of ten. It ends at ticks, or where the data do.
 * @param tight whether it ends where the data do
 */
export const axisOf = (least: number, most: number, about: number, tight = false): Axis => {
  const from = Number.isFinite(least) ? least : 0
  const to = Number.isFinite(most) && most > from ? most : from + 1
  const step = roundStep((to - from) / about)
  const first = tight ? Math.ceil(from / step) : Math.floor(from / step)
  const last = tight ? Math.floor(to / step + 1e-9) : Math.ceil(to / step - 1e-9)
  const ticks = Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  )
  return tight ? { least: from, most: to, ticks } : { least: first * step, most: last * step, ticks }
}

/** A tick's number, short: `2.5k`, `1M`, `0.05`. */
export const tickText = (tick: number, { ticks }: Axis): string => {
  const largest = Math.max(...ticks.map(Math.abs))
  const [unit, suffix] = largest >= 1e6 ? [1e6, 'M'] : largest >= 1e4 ? [1e3, 'k'] : [1, '']
  return tick === 0 ? '0' : `${Number((tick / unit).toPrecision(6))}${suffix}`
}

const roundStep = (step: number): number => {
  const power = 10 ** Math.floor(Math.log10(step))
  const factor = [1, 2, 2.5, 5].find((each) => each * power >= step * 0.999) ?? 10
  return factor * power
}
