/** What all seeds of a cell came to: means and standard deviations (n − 1). */
import type { Cell, FinishedRun, RunResult } from './simulation.ts'

export interface Spread {
  readonly mean: number
  /** Standard deviation over the seeds; 0 with one seed. */
  readonly deviation: number
}

export interface CellSummary {
  readonly cell: Cell
  readonly seeds: number
  /** Null in a log. */
  readonly regret: Spread | null
  readonly reward: Spread
  readonly counted: Spread
  readonly cost: Spread
  readonly attacks: Spread
}

export interface CellCurve {
  readonly cell: Cell
  /** What the values are: regret so far, or the mean reward so far where regret is unknown. */
  readonly quantity: 'regret' | 'reward'
  readonly rounds: readonly number[]
  readonly values: readonly Spread[]
}

export const spread = (values: readonly number[]): Spread => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0 }
}

/** Runs by cell, in the order in which cells first come. */
export const byCell = (finished: readonly FinishedRun[]): { cell: Cell; results: RunResult[] }[] => {
  const groups = new Map<string, { cell: Cell; results: RunResult[] }>()
  for (const { run, result } of finished) {
    const { policy, environment, attack } = run
    const key = JSON.stringify([environment.name, attack.name, policy.name])
    const group = groups.get(key) ?? { cell: { policy, environment, attack }, results: [] }
    group.results.push(result)
    groups.set(key, group)
  }
  return [...groups.values()]
}

export const summarise = (finished: readonly FinishedRun[]): CellSummary[] =>
  byCell(finished).map(({ cell, results }) => {
    const last = (of: (result: RunResult) => readonly number[]): Spread =>
      spread(results.map((result) => of(result).at(-1) ?? 0))
    const regrets = results.map(({ regret }) => regret.at(-1) ?? null)
    return {
      cell,
      seeds: results.length,
      regret: regrets.every((value) => value !== null) ? spread(regrets as number[]) : null,
      reward: last(({ reward }) => reward),
      counted: last(({ counted }) => counted),
      cost: last(({ cost }) => cost),
      attacks: last(({ attacks }) => attacks),
    }
  })

/** Mean and deviation at each point. */
export const curvesOf = (finished: readonly FinishedRun[]): CellCurve[] =>
  byCell(finished).map(({ cell, results }) => {
    const rounds = results[0]?.rounds ?? []
    const known = results.every(({ regret }) => regret.every((value) => value !== null))
    return {
      cell,
      quantity: known ? 'regret' : 'reward',
      rounds,
      values: rounds.map((_, point) =>
        spread(results.map(({ regret, reward }) => (known ? regret[point] : reward[point]) ?? 0)),
      ),
    }
  })
