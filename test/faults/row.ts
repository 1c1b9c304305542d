/**
 * A row of the fault table as a test: a stage is opened, the row's body does what it will, the stage is brought to rest and judged, and one line of
 * the table is printed. A row passes when nothing was lost, nothing doubled, and nothing else differs.
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { ROW_MS, TABLE } from './settings.ts'
import { Stage } from './stage.ts'
import type { StageOptions } from './stage-options.ts'
import type { Verdict } from './tally.ts'

/**
 * Declares a row.
 * @param body injects the faults: begins workers and the flow, and returns when faults are over and at least one worker of each job runs. One
 * that ends with nothing to go on from gives its own verdict instead, and nothing more is judged.
 * @param afterwards what the row itself asserts once all is at rest and was judged well.
 */
export const row = (
  number: number,
  title: string,
  options: StageOptions,
  body: (stage: Stage) => Promise<Verdict | undefined> | Promise<void>,
  afterwards: (stage: Stage) => void = () => {},
): void => {
  const play = async (): Promise<void> => {
    const begun = Date.now()
    const suffix = options.name === undefined ? '' : `-${options.name}`
    const stage = await inTime(Stage.open(`row-${number}${suffix}`, options), () => 'its stage was opened')
    const said = () => `${stage.faults.join(', ') || 'no fault'}\n${stage.tails()}`
    try {
      const acted = async () => (await body(stage)) ?? (await stage.rest())
      const verdict = await inTime(acted(), said)
      tell(number, title, stage, verdict, Date.now() - begun)
      expect(verdict.differences.join('\n')).toBe('')
      expect({ lost: verdict.lost, doubled: verdict.doubled }).toEqual({ lost: 0, doubled: 0 })
      afterwards(stage)
    } finally {
      await stage.close()
    }
  }
  it(`row ${number}: ${title}`, play, 2 * ROW_MS)
}

/** What is awaited, but for no longer than a row may take: a row that hangs ends with what its workers last said. */
const inTime = <T>(awaited: Promise<T>, said: () => string): Promise<T> => {
  const ended = new AbortController()
  const late = sleep(ROW_MS, undefined, { signal: ended.signal }).then(() => {
    throw new Error(`out of time after ${said()}`)
  })
  return Promise.race([awaited, late]).finally(() => ended.abort())
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`

const tell = (
  number: number,
  title: string,
  stage: Stage,
  { lost, doubled, differences }: { lost: number; doubled: number; differences: readonly string[] },
  ms: number,
): void => {
  const { recoveries, faults, notes, events } = stage
  const longest = recoveries.reduce((worst, each) => (each.ms > worst.ms ? each : worst), {
    ms: 0,
    sessionMs: 0,
    readersMs: 0,
  })
  const session = longest.sessionMs > 0 ? ` (+ session ${seconds(longest.sessionMs)})` : ''
  const readers = Math.max(0, ...recoveries.map(({ readersMs }) => readersMs))
  const recovered =
    recoveries.length === 0 ? '–' : `recovered ${seconds(longest.ms)}${session}, readers ${seconds(readers)}`
  const cells = [
    `row ${String(number).padStart(2)}`,
    title.padEnd(58),
    `${events.toLocaleString('en')} events`.padStart(13),
    `${faults.length} faults`.padStart(10),
    `lost ${lost} doubled ${doubled}`,
    differences.length > 0 ? 'DIFFERS' : 'as expected',
    recovered,
    ...notes,
    seconds(ms),
  ]
  const line = cells.join('  ')
  process.stdout.write(`${line}\n`)
  appendFileSync(TABLE, `${line}\n`)
}
