/** A simulation from its file to its results: data read, all runs played on all cores, curves recorded, drawn and summed up. */
import { randomUUID } from 'node:crypto'
import { accessSync, constants, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, resolve } from 'node:path'
import { MillraceError } from '../../schemas/errors.ts'
import { type ConfigurationOptions, loadConfiguration } from '../commands/configuration.ts'
import { say, table } from '../commands/output.ts'
import { openTables } from '../process/open.ts'
import { type EnvironmentData, readData } from './data.ts'
import { picture } from './picture.ts'
import { ProgressBar } from './progress.ts'
import { readSimulation, type SimulationSource } from './read-simulation.ts'
import { cellHash, recordRun } from './record-curves.ts'
import { openAttack, openEnvironment, openPolicy } from './run.ts'
import { cellsOf, type FinishedRun, runsOf, type Simulation } from './simulation.ts'
import { type CellSummary, curvesOf, type Spread, summarise } from './summary.ts'
import { playAll } from './threads.ts'

export interface SimulateOptions extends ConfigurationOptions {
  readonly source: SimulationSource
  /** Runs at a time; as many as there are cores where absent. */
  readonly threads?: number
  /** Where the picture goes; `<name>.svg` where absent. */
  readonly picture?: string
  /** Whether curves go to ClickHouse. */
  readonly clickhouse: boolean
  readonly json?: boolean
}

/**
 * @param stop ends it: what was finished is recorded, and nothing is drawn
 * @throws MillraceError INVALID_CONFIG, and as ClickHouse and the policies
 */
export const runSimulation = async (options: SimulateOptions, stop: AbortSignal): Promise<void> => {
  const simulation = readSimulation(options.source)
  const data = dataOf(simulation)
  const drawing = resolve(options.picture ?? `${simulation.name}.svg`)
  requireFolder(drawing)
  requirePossible(simulation, data)
  const recorder = options.clickhouse ? await openRecorder(options, simulation, data) : undefined
  const progress = new ProgressBar(process.stderr, roundsOf(simulation, data))
  try {
    const finished = await playAll(simulation, {
      data,
      threads: options.threads ?? availableParallelism(),
      onRounds: (rounds) => progress.add(rounds),
      onFinished: (each) => recorder?.record(each),
      signal: stop,
    })
    progress.clear()
    await recorder?.settled()
    if (stop.aborted || finished.length === 0) return
    writePicture(drawing, picture(titleOf(simulation), curvesOf(finished)))
    const summaries = summarise(finished)
    if (options.json) for (const each of summaries) say(jsonOf(simulation, each))
    else say(table(HEADINGS, summaries.map(rowOf)))
    const rows = recorder === undefined ? '' : `; curves in ClickHouse: ${recorder.where}`
    process.stderr.write(`picture: ${drawing}${rows}\n`)
  } finally {
    progress.clear()
    await recorder?.close()
  }
}

const dataOf = ({ environments }: Simulation): Record<string, EnvironmentData> =>
  Object.fromEntries(environments.map((environment) => [environment.name, readData(environment)]))

/** Everything is made once before threads are: what cannot be is said at once. */
const requirePossible = (simulation: Simulation, data: Readonly<Record<string, EnvironmentData>>): void => {
  for (const { policy, environment, attack } of cellsOf(simulation)) {
    openAttack(attack)
    openPolicy(
      policy,
      openEnvironment(environment, data[environment.name]!, () => 0.5),
    )
  }
}

/** @throws MillraceError INVALID_CONFIG before anything is played for a picture that has no place */
const requireFolder = (file: string): void => {
  try {
    accessSync(dirname(file), constants.W_OK)
  } catch (error) {
    throw pictureRefused(file, error)
  }
}

const pictureRefused = (file: string, error: unknown): MillraceError => {
  const { code = 'it cannot be written' } = error as NodeJS.ErrnoException
  const why = code === 'ENOENT' ? 'there is no such folder' : code
  return new MillraceError('INVALID_CONFIG', `--picture: cannot write ${file}: ${why}`)
}

const roundsOf = (simulation: Simulation, data: Readonly<Record<string, EnvironmentData>>): number =>
  runsOf(simulation).reduce((sum, { environment }) => {
    const set = data[environment.name]!
    return sum + Math.min(simulation.rounds, set.kind === 'log' ? set.log.taken.length : simulation.rounds)
  }, 0)

/** Runs to ClickHouse as they are finished, one after the other. */
const openRecorder = async (
  options: ConfigurationOptions,
  simulation: Simulation,
  data: Readonly<Record<string, EnvironmentData>>,
) => {
  const { config, log } = loadConfiguration(options)
  const tables = openTables(config, log)
  const invocation = randomUUID()
  try {
    const clickhouse = await tables.connect()
    let last: Promise<void> = Promise.resolve()
    return {
      where: `SELECT * FROM ${config.clickhouse.database}.simulation_regret WHERE simulation = '${simulation.name}'`,
      record: (finished: FinishedRun): void => {
        const { run } = finished
        const hash = cellHash(run, simulation, data[run.environment.name]!)
        last = last.then(() => recordRun(clickhouse, invocation, simulation.name, hash, finished))
        // Told by `settled`.
        last.catch(() => {})
      },
      settled: () => last,
      close: () => tables.close(),
    }
  } catch (error) {
    await tables.close()
    throw error
  }
}

const writePicture = (file: string, svg: string): void => {
  try {
    writeFileSync(file, svg)
  } catch (error) {
    throw pictureRefused(file, error)
  }
}

const titleOf = ({ name, seeds, rounds }: Simulation): string =>
  `${name}: mean ± standard deviation, ${seeds.length} ${seeds.length === 1 ? 'seed' : 'seeds'}, ${rounds.toLocaleString('en')} rounds`

const HEADINGS = [
  'environment',
  'attack',
  'policy',
  'seeds',
  'regret',
  'mean reward',
  'rounds',
  'cost',
  'attacked',
]

const rowOf = ({ cell, seeds, regret, reward, counted, cost, attacks }: CellSummary): string[] => [
  cell.environment.name,
  cell.attack.name,
  cell.policy.name,
  String(seeds),
  regret === null ? '–' : spreadText(regret),
  spreadText(reward),
  counted.deviation === 0 ? String(counted.mean) : spreadText(counted),
  cell.attack.kind === 'none' ? '–' : spreadText(cost),
  cell.attack.kind === 'none' ? '–' : spreadText(attacks),
]

const spreadText = ({ mean, deviation }: Spread): string => `${short(mean)} ± ${short(deviation)}`

/** Three or four digits, as many as mean something. */
const short = (value: number): string => {
  const size = Math.abs(value)
  if (size >= 100) return value.toFixed(0)
  if (size >= 10) return value.toFixed(1)
  return value === 0 ? '0' : value.toFixed(size >= 1 ? 2 : 4)
}

const jsonOf = (simulation: Simulation, { cell, ...summary }: CellSummary): string =>
  JSON.stringify({
    simulation: simulation.name,
    rounds: simulation.rounds,
    environment: cell.environment.name,
    attack: cell.attack.name,
    policy: cell.policy.name,
    ...summary,
  })
