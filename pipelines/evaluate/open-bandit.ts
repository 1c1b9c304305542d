/**
 * Logs in the format of the Open Bandit Dataset (Saito, Aihara, Matsutani and Narita 2021, "Open Bandit Dataset and Pipeline"): a CSV file with a row an
 * impression of one item at one of three positions, and beside it `item_context.csv`. Three rows may be of one page; each is a step of its own here.
 *
 * `propensity_score` is the probability of that item *at that position*; of the other items it says nothing. So what the log supports is not known, and a policy
 * that wrote such a log is known by its frequencies alone: π(item|position) ≈ share of the position's rows with that item. They sum to 1, and are the
 * policy's mean over the time of the log where it changed with time.
 */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CoMoments } from '../../operators/bandits/evaluation/co-moments.ts'
import { requireSound } from '../../operators/bandits/evaluation/support.ts'
import type { Estimate, LoggedStep } from '../../operators/bandits/index.ts'
import { MillraceError } from '../../schemas/errors.ts'
import type { LoggedRecord } from './logged-record.ts'
import { linesOf } from './text-file.ts'

type NamedFeatures = Readonly<Record<string, number>>

/** How to read the rows of one file. */
export interface OpenBandit {
  /** The items' ids: `0` … */
  readonly items: readonly string[]
  /** @throws MillraceError INVALID_EVENT, INVALID_PROPENSITY */
  record(row: string, requestId: string): OpenBanditRecord
}

export interface OpenBanditRecord extends LoggedRecord {
  readonly position: string
}

const CONTEXT_FILE = 'item_context.csv'

/**
 * Reads a log's header and its items, from `item_context.csv` beside it or else from the columns of affinities.
 * @throws MillraceError INVALID_CONFIG
 */
export const openBandit = async (file: string): Promise<OpenBandit> => {
  const columns = await headerOf(file)
  const place = (...names: string[]): number => {
    const at = columns.findIndex((column) => names.includes(column))
    if (at >= 0) return at
    throw new MillraceError(
      'INVALID_CONFIG',
      `${file}: no column ${names.join(' or ')}, so it is no Open Bandit log`,
    )
  }
  const [item, position, click] = [place('item_id'), place('position'), place('click')]
  const propensity = place('propensity_score', 'action_prob', 'pscore')
  const users = placesOf(columns, /^user_feature_?\d+$/)
  const affinities = placesOf(columns, /^user[-_]item_affinity_\d+$/)
  const known = await itemFeatures(join(dirname(file), CONTEXT_FILE))
  const count = known?.length ?? affinities.length
  if (count === 0)
    throw new MillraceError(
      'INVALID_CONFIG',
      `${file}: neither ${CONTEXT_FILE} nor affinities name the items`,
    )
  const items = Array.from({ length: count }, (_, i) => String(i))
  const arms = items.map((id, i) => ({ id, features: known?.[i] ?? null }))
  return {
    items,
    record: (row, requestId) => {
      const cells = row.split(',')
      if (cells.length !== columns.length)
        throw new MillraceError('INVALID_EVENT', `${cells.length} cells, the header has ${columns.length}`)
      const context: Record<string, number> = { [`position=${cells[position]}`]: 1 }
      for (const at of users) context[`${columns[at]}=${cells[at]}`] = 1
      const withAffinities = arms.map((arm, i) => {
        const affinity = Number(cells[affinities[i] ?? -1] ?? 0)
        return affinity === 0 ? arm : { ...arm, features: { ...arm.features, affinity } }
      })
      const logged: LoggedStep = {
        arms: items,
        arm: cells[item]!,
        propensity: numberOf(cells[propensity]!),
        probabilities: null,
        reward: numberOf(cells[click]!),
      }
      const request = { requestId, context, arms: withAffinities }
      return { request, logged, target: null, predictions: null, position: cells[position]! }
    },
  }
}

/** An empty cell is no 0. */
const numberOf = (cell: string): number => (cell.trim() === '' ? Number.NaN : Number(cell))

const headerOf = async (file: string): Promise<string[]> => {
  for await (const { lines } of linesOf(file)) {
    if (lines[0] !== undefined) return lines[0].split(',')
  }
  throw new MillraceError('INVALID_CONFIG', `${file}: it is empty`)
}

const placesOf = (columns: readonly string[], pattern: RegExp): number[] =>
  columns.flatMap((column, at) => (pattern.test(column) ? [at] : []))

/** Numbers as they are, all else as a name of its own: `item_feature_1=c82d…`. Null where there is no file. */
const itemFeatures = async (file: string): Promise<NamedFeatures[] | null> => {
  if (!existsSync(file)) return null
  const rows: string[][] = []
  for await (const { lines } of linesOf(file)) for (const line of lines) rows.push(line.split(','))
  const [columns = [], ...items] = rows
  const places = placesOf(columns, /^item_feature_\d+$/)
  const id = columns.indexOf('item_id')
  const features: NamedFeatures[] = []
  for (const [i, cells] of items.entries()) {
    if (cells[id] !== String(i))
      throw new MillraceError(
        'INVALID_CONFIG',
        `${file}: item ${cells[id]} in row ${i + 1}, ${i} is expected`,
      )
    features.push(
      Object.fromEntries(
        places.map((at) => {
          const value = numberOf(cells[at] ?? '')
          return Number.isFinite(value) ? [columns[at], value] : [`${columns[at]}=${cells[at]}`, 1]
        }),
      ),
    )
  }
  return features
}

/** What an Open Bandit log says of the policy that wrote it. */
export interface PolicyOfLog {
  readonly items: readonly string[]
  readonly positions: readonly string[]
  /** π(item|position); undefined for a position that the log does not have. */
  probabilities(position: string): Float64Array | undefined
  /** Its own mean reward. */
  readonly mean: Estimate
  readonly rows: number
  /** Rows that could not be used. */
  readonly refused: number
}

/** @throws MillraceError INVALID_CONFIG */
export const policyOfLog = async (file: string): Promise<PolicyOfLog> => {
  const log = await openBandit(file)
  const counts = new Map<string, Float64Array>()
  const moments = new CoMoments(1)
  let [header, refused] = [true, 0]
  for await (const { lines } of linesOf(file)) {
    for (const line of header ? lines.slice(1) : lines) {
      try {
        const { logged, position } = log.record(line, '')
        requireSound(logged)
        let taken = counts.get(position)
        if (taken === undefined) {
          taken = new Float64Array(log.items.length)
          counts.set(position, taken)
        }
        taken[log.items.indexOf(logged.arm)]!++
        moments.add(Float64Array.of(logged.reward))
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        refused++
      }
    }
    if (lines.length > 0) header = false
  }
  const shares = new Map(
    [...counts].map(([position, taken]) => {
      const rows = taken.reduce((sum, each) => sum + each, 0)
      return [position, taken.map((each) => each / rows)] as const
    }),
  )
  return {
    items: log.items,
    positions: [...shares.keys()].sort(),
    probabilities: (position) => shares.get(position),
    mean: { value: moments.mean(0), standardError: moments.standardError([0, 1]) },
    rows: moments.count,
    refused,
  }
}
