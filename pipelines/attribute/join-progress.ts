/**
 * The join's progress as it rides in the metadata of a committed position: one line of JSON of at most 512 bytes for six input topics.
 *
 *   {"v":1,"w":watermark,"t":{topic:[largest, earliest]},"x":"clock;before,…;decisions;rewards;activations"}
 *
 * `x` came later than the rest, and is written as short as it can be: numbers to the base of 36, `before` as what lies between it and `largest`, in the
 * order of `t`; of each kind what was used and then its reasons in the order of JOIN_REASONS, zeros left out. A release that does not know
 * `x` reads the rest; one that does takes progress without it. Counts ride along, so that ledgers go on after a restart.
 */
import { crc32 } from '../../operators/numerics/crc32.ts'
import { JOIN_KINDS, JOIN_REASONS, type JoinCounts, noCounts } from '../../operators/streams/join-ledgers.ts'
import type { JoinProgress } from '../../operators/streams/join-options.ts'
import { MillraceError } from '../../schemas/errors.ts'

interface WrittenProgress {
  readonly v: number
  /** -Infinity, which JSON lacks, is null. */
  readonly w: number | null
  readonly t: Readonly<Record<string, readonly [largest: number | null, earliest: number]>>
  readonly x?: string
}

const RADIX = 36

/** @param topics names of the inputs, by their numbers in the join. */
export const encodeProgress = (progress: JoinProgress, topics: readonly string[]): string => {
  const { watermark, clock, largest, earliest, before, counts } = progress
  const t: Record<string, readonly [number, number]> = {}
  const distances: Record<string, string> = {}
  for (const [i, topic] of topics.entries()) {
    const name = shortName(topic)
    t[name] = [largest[i]!, earliest[i]!]
    distances[name] = Number.isFinite(before[i]) ? (largest[i]! - before[i]!).toString(RADIX) : ''
  }
  // Names that look like numbers come first in both.
  const x = [
    Number.isFinite(clock) ? clock.toString(RADIX) : '',
    Object.keys(t)
      .map((name) => distances[name])
      .join(','),
    ...(counts === null ? [] : writtenCounts(counts)),
  ]
  return JSON.stringify({ v: 1, w: watermark, t, x: x.join(';') })
}

/**
 * Progress for inputs that may have come, gone and changed places meanwhile; null where none was written.
 * @param now the clock, where the progress does not tell its own.
 * @throws MillraceError SNAPSHOT_MISMATCH for a version that is not known.
 */
export const decodeProgress = (
  metadata: string,
  topics: readonly string[],
  now: number,
): JoinProgress | null => {
  if (metadata === '') return null
  const { v, w, t, x } = JSON.parse(metadata) as WrittenProgress
  if (v !== 1)
    throw new MillraceError(
      'SNAPSHOT_MISMATCH',
      `the join's committed progress has version ${v}, this millrace reads 1`,
    )
  const [clock = '', distances = '', ...counts] = x?.split(';') ?? []
  const written = distances.split(',')
  const before = new Map(
    Object.entries(t).map(([name, [largest]], i) => [
      name,
      written[i] ? timeOf(largest) - Number.parseInt(written[i], RADIX) : Number.NEGATIVE_INFINITY,
    ]),
  )
  const found = topics.map((topic) => t[shortName(topic)] ?? ([null, -1] as const))
  return {
    watermark: timeOf(w),
    clock: clock === '' ? now : Number.parseInt(clock, RADIX),
    largest: found.map(([largest]) => timeOf(largest)),
    earliest: found.map(([, earliest]) => earliest),
    before: topics.map((topic) => before.get(shortName(topic)) ?? Number.NEGATIVE_INFINITY),
    counts: counts.length === 0 ? null : readCounts(counts),
  }
}

/** Topics by a hash of their names: short, and the same wherever an input stands. */
const shortName = (topic: string): string => crc32(Buffer.from(topic)).toString(36)

const timeOf = (value: number | null): number => value ?? Number.NEGATIVE_INFINITY

const writtenCounts = (counts: JoinCounts): string[] =>
  JOIN_KINDS.map((kind) => {
    const { used, reasons } = counts[kind]
    const numbers = [
      used,
      ...JOIN_REASONS[kind].map((reason) => (reasons as Record<string, number>)[reason]!),
    ]
    return numbers
      .map((count) => (count === 0 ? '' : count.toString(RADIX)))
      .join(',')
      .replace(/,+$/, '')
  })

const readCounts = (written: readonly string[]): JoinCounts => {
  const counts = noCounts()
  for (const [i, kind] of JOIN_KINDS.entries()) {
    const numbers = (written[i] ?? '').split(',').map((count) => Number.parseInt(count || '0', RADIX))
    const ledger = counts[kind]
    ledger.used = numbers[0] ?? 0
    for (const [r, reason] of JOIN_REASONS[kind].entries())
      (ledger.reasons as Record<string, number>)[reason] = numbers[r + 1] ?? 0
  }
  return counts
}
