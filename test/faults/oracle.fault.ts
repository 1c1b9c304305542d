/** The oracle itself: it finds nothing where nothing happened, and everything that is tampered with. */
import { expect } from 'vitest'
import { decoded } from './events.ts'
import { judge } from './oracle.ts'
import { row } from './row.ts'
import type { Stage } from './stage.ts'
import type { Read } from './topic-log.ts'
import { encoded } from './world.ts'

/** The verdict on the row's log with one topic changed. */
const judgedWith = (stage: Stage, topic: string, change: (records: Read[]) => Read[]) => {
  const { log, ...evidence } = stage.evidence
  const records = (name: string) =>
    name === stage.prefix + topic ? change(log.records(name)) : log.records(name)
  return judge({ ...evidence, log: { records } })
}

row(
  0,
  'nothing happens, and the oracle sees what is tampered with',
  {},
  async (stage) => {
    await stage.started()
    stage.flow(1_500)
    await stage.flowed()
  },
  (stage) => {
    const doubled = (records: Read[]) => [...records, { ...records[7]!, offset: 1e9 }]
    expect(judgedWith(stage, 'outcomes', (records) => records.slice(1))).toMatchObject({
      lost: 1,
      doubled: 0,
    })
    expect(judgedWith(stage, 'outcomes', doubled)).toMatchObject({ lost: 0, doubled: 1 })
    expect(judgedWith(stage, 'decisions', doubled)).toMatchObject({ lost: 0, doubled: 1 })
    expect(judgedWith(stage, 'outcome-corrections', (records) => records.slice(1)).lost).toBe(1)
    expect(judgedWith(stage, 'dead-letters', () => []).lost).toBe(0)
    // One reward less in the input: its outcome should have had the default, or a correction is one too many.
    const reward = judgedWith(stage, 'rewards', (records) =>
      records.filter(({ key }) => key !== records[0]!.key),
    )
    expect(reward.lost + reward.doubled).toBeGreaterThan(0)
    // Decisions that say they knew every outcome cannot be made again.
    const aged = judgedWith(stage, 'decisions', (records) =>
      records.map((record) => {
        const decision = decoded('decision', record.value!)
        const stateOffset = 1e9
        return { ...record, value: encoded('decision', { ...decision, stateOffset }) }
      }),
    )
    expect(aged.differences.join()).toContain('that cannot be made again')
  },
)
