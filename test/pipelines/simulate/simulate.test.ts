/** Runs over threads, what they are summed up to, how they are drawn, and how they are recorded. */
import { describe, expect, it } from 'vitest'
import { axisOf, tickText } from '../../../pipelines/simulate/axis.ts'
import type { EnvironmentData } from '../../../pipelines/simulate/data.ts'
import { picture } from '../../../pipelines/simulate/picture.ts'
import { progressText } from '../../../pipelines/simulate/progress.ts'
import { readSimulation } from '../../../pipelines/simulate/read-simulation.ts'
import { cellHash, recordRun } from '../../../pipelines/simulate/record-curves.ts'
import { playRun } from '../../../pipelines/simulate/run.ts'
import { runsOf, type Simulation } from '../../../pipelines/simulate/simulation.ts'
import { curvesOf, spread, summarise } from '../../../pipelines/simulate/summary.ts'
import { playAll } from '../../../pipelines/simulate/threads.ts'
import { describeWithClickHouse, useClickHouse } from '../../clickhouse-server.ts'

const NONE: EnvironmentData = { kind: 'none' }

const simulation = (more: Readonly<Record<string, unknown>> = {}): Simulation =>
  readSimulation({
    env: {},
    overrides: {
      name: 'small',
      rounds: 300,
      seeds: 3,
      points: 10,
      policies: [
        { name: 'careful', algorithm: { kind: 'linUcb', alpha: 1 } },
        {
          name: 'greedy',
          algorithm: { kind: 'linUcb', alpha: 0 },
          explorationFloor: 0,
        },
      ],
      environments: [{ kind: 'linear', dimension: 3, arms: 4 }],
      attacks: ['none', { kind: 'oracle', budget: 20 }],
      ...more,
    },
  })

describe('runs', () => {
  const small = simulation()
  const data = { linear: NONE }

  it('come out the same on one thread, on two, and on none', async () => {
    let rounds = 0
    const two = await playAll(small, { data, threads: 2, onRounds: (played) => (rounds += played) })
    expect(rounds).toBe(12 * 300)
    expect(await playAll(small, { data, threads: 1 })).toEqual(two)
    expect(two).toEqual(runsOf(small).map((run) => ({ run, result: playRun(run, small, NONE) })))
  })

  it('do not depend on what else is simulated', () => {
    const greedy = { name: 'greedy', algorithm: { kind: 'linUcb', alpha: 0 }, explorationFloor: 0 }
    const [alone] = runsOf(simulation({ policies: [greedy] }))
    const beside = runsOf(small).find(({ policy }) => policy.name === alone!.policy.name)
    expect(playRun(alone!, small, NONE)).toEqual(playRun(beside!, small, NONE))
  })

  it('end at once when they are stopped', async () => {
    const stop = new AbortController()
    const long = simulation({ rounds: 1e8, attacks: ['none'] })
    const playing = playAll(long, {
      data,
      threads: 2,
      signal: stop.signal,
      onRounds: () => stop.abort(),
    })
    expect(await playing).toEqual([])
  })

  it('that cannot be played end the simulation, with the run’s name', async () => {
    const examples = { features: Float64Array.of(1, 2), labels: new Int32Array(0), classes: ['a', 'b'] }
    const broken = { linear: { kind: 'examples', examples } } as const
    await expect(playAll(small, { data: broken, threads: 2 })).rejects.toThrow(
      /^(careful|greedy) in linear, seed \d: 2 features of 0 examples do not fit$/,
    )
  })

  it('have curves that end at the last round and never fall', () => {
    const [run] = runsOf(small)
    const { rounds, regret, cost } = playRun(run!, small, NONE)
    expect(rounds).toEqual([30, 60, 90, 120, 150, 180, 210, 240, 270, 300])
    expect(regret).toEqual([...regret].sort((a, b) => a! - b!))
    expect(cost.every((each) => each === 0)).toBe(true)
  })
})

describe('sums', () => {
  it('are means and deviations with n − 1 over the seeds', () => {
    expect(spread([1, 2, 6])).toEqual({ mean: 3, deviation: Math.sqrt(7) })
    expect(spread([5])).toEqual({ mean: 5, deviation: 0 })
  })

  it('are made for each cell', () => {
    const small = simulation({ rounds: 50 })
    const finished = runsOf(small).map((run) => ({ run, result: playRun(run, small, NONE) }))
    const summaries = summarise(finished)
    expect(summaries.map(({ cell, seeds }) => `${cell.attack.name} ${cell.policy.name} ${seeds}`)).toEqual([
      'none careful 3',
      'none greedy 3',
      'oracle careful 3',
      'oracle greedy 3',
    ])
    const last = finished
      .filter(({ run }) => run.attack.name === 'none' && run.policy.name === 'careful')
      .map(({ result }) => result.regret.at(-1) as number)
    expect(summaries[0]!.regret).toEqual(spread(last))
    expect(summaries[2]!.cost.mean).toBeGreaterThan(0)
  })
})

describe('the picture', () => {
  const small = simulation({ rounds: 50 })
  const finished = runsOf(small).map((run) => ({ run, result: playRun(run, small, NONE) }))

  it('has a panel for each environment and attack, a line and a band a policy, and a legend', () => {
    const svg = picture('a <title> & more', curvesOf(finished))
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"[\s\S]*<\/svg>\n$/)
    expect(svg.match(/fill-opacity/g)).toHaveLength(4)
    expect(svg.match(/stroke-linejoin/g)).toHaveLength(4)
    for (const text of [
      'a &lt;title&gt; &amp; more',
      'linear, no attack',
      'linear, oracle',
      '>careful<',
      '>greedy<',
      '>regret<',
      '>round<',
    ])
      expect(svg).toContain(text)
    expect(svg).not.toMatch(/NaN|Infinity|undefined/)
  })

  it('has round numbers on its axes, whatever the values', () => {
    expect(axisOf(0, 437, 5).ticks).toEqual([0, 100, 200, 300, 400, 500])
    expect(axisOf(0, 0, 5).ticks.length).toBeGreaterThan(2)
    expect(axisOf(0.21, 0.44, 5).ticks).toEqual([0.2, 0.25, 0.3, 0.35, 0.4, 0.45])
    const rounds = axisOf(0, 20_000, 6, true)
    expect(rounds.ticks.map((tick) => tickText(tick, rounds))).toEqual(['0', '5k', '10k', '15k', '20k'])
  })
})

it('progress tells share, rate and time left', () => {
  expect(progressText(250_000, 1_000_000, 2)).toBe('25% of 1,000,000 rounds, 125,000/s, 6 s left')
  expect(progressText(0, 10, 0)).toBe('0% of 10 rounds, 0/s, beginning')
  expect(progressText(1, 100_000, 1)).toContain('27.8 h left')
})

describeWithClickHouse('curves in ClickHouse', () => {
  const server = useClickHouse()
  const small = simulation({ rounds: 50 })
  const finished = runsOf(small).map((run) => ({ run, result: playRun(run, small, NONE) }))

  it('are there once however often they are written, and are summed up by cell', async () => {
    const clickhouse = await server.open()
    const write = async (invocation: string) => {
      for (const each of finished)
        await recordRun(clickhouse, invocation, small.name, cellHash(each.run, small, NONE), each)
    }
    await write('first')
    await write('first')
    await write('second')
    const [count] = await clickhouse.query<{ rows: string }>(
      'SELECT count() AS rows FROM simulation_curves FINAL',
    )
    expect(count?.rows).toBe(String(12 * 10))
    const rows = await clickhouse.query<{
      policy: string
      attack: string
      seeds: string
      regret: number
      regret_deviation: number
    }>('SELECT policy, attack, seeds, regret, regret_deviation FROM simulation_regret WHERE round = 50')
    const summaries = summarise(finished)
    expect(rows).toHaveLength(4)
    for (const { policy, attack, seeds, regret, regret_deviation } of rows) {
      const own = summaries.find(({ cell }) => cell.policy.name === policy && cell.attack.name === attack)
      expect(seeds).toBe('3')
      expect(regret).toBeCloseTo(own!.regret!.mean, 9)
      expect(regret_deviation).toBeCloseTo(own!.regret!.deviation, 9)
    }
  })

  it('of another definition or other data under the same name stand beside them', () => {
    const [run] = runsOf(small)
    const other = {
      kind: 'examples',
      examples: { features: Float64Array.of(1), labels: Int32Array.of(0), classes: ['a'] },
    } as const
    const hashes = [
      cellHash(run!, small, NONE),
      cellHash(run!, { ...small, delay: 1 }, NONE),
      cellHash({ ...run!, policy: { ...run!.policy, explorationFloor: 0.5 } }, small, NONE),
      cellHash(run!, small, other),
    ]
    expect(new Set(hashes).size).toBe(4)
    expect(cellHash({ ...run! }, { ...small }, NONE)).toBe(hashes[0])
  })
})
