/**
 * Which part of the log a replay is about. A policy's outcomes have one order, that of their partition, and a range is a stretch of it: all outcomes
 * from one offset to another. A time names the first outcome whose decision's event time (`occurredAt`) is not before it, so that ranges that
 * meet in a time share no outcome and leave none out, however outcomes of one time lie.
 */
import type { TopicOffsets } from '../../infra/kafka/port.ts'
import type { LivePolicy } from '../../operators/bandits/state/policy-table.ts'
import { MillraceError } from '../../schemas/errors.ts'
import { partitionsOf } from '../states/snapshot-log.ts'
import { outcomesOf, type PartRange, type Reading } from './outcomes.ts'

/** One end of a range as it is asked for; times in milliseconds since the epoch. */
export type Bound = 'beginning' | 'end' | { readonly time: number } | { readonly offset: number }

export interface Bounds {
  readonly from: Bound
  readonly to: Bound
}

const TIME = /^(\d{4})-(\d\d)-(\d\d)(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/

/**
 * Reads one end: `beginning`, `end`, an offset, or an ISO time with its zone (a date alone is its midnight in UTC).
 * @param option for the message: `--from`
 * @throws MillraceError INVALID_CONFIG
 */
export const parseBound = (text: string, option: string): Bound => {
  if (text === 'beginning' || text === 'end') return text
  if (/^\d{1,15}$/.test(text)) return { offset: Number(text) }
  const match = TIME.exec(text)
  const time = match === null ? Number.NaN : Date.parse(text)
  if (match !== null && !Number.isNaN(time) && isDay(Number(match[1]), Number(match[2]), Number(match[3])))
    return { time }
  throw new MillraceError(
    'INVALID_CONFIG',
    `${option}: "${text}" is none of: beginning, end, an offset, a time with its zone such as 2026-01-31T12:00:00Z`,
  )
}

/** Date.parse takes the 30th of February for the 2nd of March. */
const isDay = (year: number, month: number, day: number): boolean =>
  new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day

/** @throws MillraceError INVALID_CONFIG for ends that no log can satisfy */
export const requireBounds = ({ from, to }: Bounds): void => {
  const refuse = (why: string): never => {
    throw new MillraceError('INVALID_CONFIG', `--from, --to: ${why}`)
  }
  if (from === 'end') refuse('nothing comes after the end')
  if (to === 'beginning') refuse('nothing comes before the beginning')
  const size = (bound: Bound, key: 'time' | 'offset') =>
    typeof bound === 'object' && key in bound ? (bound as Record<typeof key, number>)[key] : undefined
  for (const key of ['time', 'offset'] as const) {
    const [first, last] = [size(from, key), size(to, key)]
    if (first !== undefined && last !== undefined && first >= last) refuse('a range ends after it begins')
  }
}

/** Whether a range names offsets: those are of one partition, and mean nothing for several. */
export const namesOffsets = (bounds: Bounds): boolean =>
  [bounds.from, bounds.to].some((bound) => typeof bound === 'object' && 'offset' in bound)

/**
 * The range of each of a policy's parts. Times take one reading of the outcomes up to them.
 * @param ends of the topic's partitions
 * @throws MillraceError INVALID_CONFIG for offsets that are not there, or of a split policy; what reading throws
 */
export const resolveRange = async (
  reading: Reading,
  live: LivePolicy,
  ends: readonly TopicOffsets[],
  bounds: Bounds,
): Promise<PartRange[]> => {
  if (live.parts > 1 && namesOffsets(bounds)) {
    throw new MillraceError(
      'INVALID_CONFIG',
      `--from, --to: "${live.name}" is split in ${live.parts} parts with offsets of their own: give times`,
    )
  }
  const whole = partitionsOf(live, ends.length).map((partition): PartRange => {
    const { earliest, latest } = ends.find((each) => each.partition === partition)!
    const from = Math.max(live.from, earliest)
    return { partition, from: Math.min(from, latest), to: latest }
  })
  const [from, to] = [bounds.from, bounds.to].map((bound) => offsetsAt(live, ends, whole, bound))
  const times = [bounds.from, bounds.to].map((bound) =>
    typeof bound === 'object' && 'time' in bound ? bound.time : null,
  )
  const [first, last] = await firstAtTimes(reading, live, whole, times)
  const ranges = whole.map(({ partition, ...part }, k) => ({
    partition,
    from: from?.[k] ?? first?.[k] ?? part.from,
    to: to?.[k] ?? last?.[k] ?? part.to,
  }))
  const wrong = ranges.find((range) => range.from > range.to)
  if (wrong === undefined) return ranges
  throw new MillraceError(
    'INVALID_CONFIG',
    `--from, --to: for "${live.name}" the range would begin at offset ${wrong.from} and end at ${wrong.to}`,
  )
}

const offsetsAt = (
  live: LivePolicy,
  ends: readonly TopicOffsets[],
  whole: readonly PartRange[],
  bound: Bound,
): number[] | null => {
  if (typeof bound === 'string' || 'time' in bound) return null
  return whole.map(({ partition, from, to }) => {
    const { earliest } = ends.find((each) => each.partition === partition)!
    if (bound.offset < earliest || bound.offset > to) {
      throw new MillraceError(
        'INVALID_CONFIG',
        `--from, --to: offset ${bound.offset}: the outcomes of "${live.name}" (partition ${partition}) go from ${earliest} to ${to}`,
      )
    }
    return Math.max(bound.offset, from)
  })
}

/** For each time and part the offset of the first outcome that is not before it, the part's end where there is none; nothing where there is no time. */
const firstAtTimes = async (
  reading: Reading,
  live: LivePolicy,
  whole: readonly PartRange[],
  times: readonly (number | null)[],
): Promise<(number[] | undefined)[]> => {
  const found = times.map((time) => (time === null ? [] : whole.map(() => -1)))
  let left = found.flat().length
  if (left > 0) {
    for await (const { outcomes } of outcomesOf(reading, live, whole)) {
      for (const { part, offset, outcome } of outcomes) {
        for (const [i, time] of times.entries()) {
          if (time === null || outcome === null || found[i]![part] !== -1 || outcome.occurredAt < time)
            continue
          found[i]![part] = offset
          left--
        }
      }
      if (left === 0) break
    }
  }
  return found.map((offsets, i) =>
    times[i] === null ? undefined : offsets.map((offset, k) => (offset < 0 ? whole[k]!.to : offset)),
  )
}
