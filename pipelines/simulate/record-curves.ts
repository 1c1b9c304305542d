/**
 * Curves into ClickHouse, a block a run. A run is known by what it was: its cell's definition and data, hashed, and its seed. Rows of equal keys replace each
 * other, so a simulation run twice is there once, and one whose rows were deleted can be run again.
 */
import { createHash } from 'node:crypto'
import type { ClickHouse } from '../../infra/clickhouse/connect.ts'
import { RowBinaryWriter } from '../../infra/clickhouse/row-binary.ts'
import { canonicalJson } from '../../operators/bandits/state/definition.ts'
import type { EnvironmentData } from './data.ts'
import type { Cell, FinishedRun, Simulation } from './simulation.ts'

const TABLE = 'simulation_curves'
const COLUMNS = [
  ...['simulation', 'environment', 'attack', 'policy', 'hash', 'seed', 'round'],
  ...['counted', 'regret', 'reward', 'cost', 'attacks'],
]

/** What a run is told apart by, but its seed: SHA-256 over everything that decides what comes out, hex. */
export const cellHash = (
  { policy, environment, attack }: Cell,
  { rounds, points, delay }: Pick<Simulation, 'rounds' | 'points' | 'delay'>,
  data: EnvironmentData,
): string => {
  const { file: _, ...world } = { file: '', ...environment }
  const hash = createHash('sha256').update(
    canonicalJson({ policy, environment: world, attack, rounds, points, delay }),
  )
  if (data.kind === 'examples') hash.update(data.examples.features).update(data.examples.labels)
  if (data.kind === 'log')
    hash
      .update(data.log.contexts)
      .update(data.log.taken)
      .update(data.log.propensities)
      .update(data.log.rewards)
  return hash.digest('hex')
}

/**
 * Writes one run.
 * @param invocation tells this invocation's blocks from all others': a block that must be sent again counts once
 * @throws MillraceError CLICKHOUSE_REFUSED, CLICKHOUSE_UNAVAILABLE
 */
export const recordRun = async (
  clickhouse: ClickHouse,
  invocation: string,
  simulation: string,
  hash: string,
  { run, result }: FinishedRun,
): Promise<void> => {
  const writer = new RowBinaryWriter(256 * result.rounds.length)
  for (const [point, round] of result.rounds.entries()) {
    writer.string(simulation)
    writer.string(run.environment.name)
    writer.string(run.attack.name)
    writer.string(run.policy.name)
    writer.string(hash)
    writer.uint32(run.seed)
    writer.uint64(round)
    writer.uint64(result.counted[point]!)
    const regret = result.regret[point] ?? null
    if (!writer.isNull(regret)) writer.float64(regret)
    writer.float64(result.reward[point]!)
    writer.float64(result.cost[point]!)
    writer.uint64(result.attacks[point]!)
  }
  const bytes = writer.finish()
  const token = JSON.stringify([TABLE, invocation, hash, run.seed])
  await clickhouse.insertBlock({ table: TABLE, columns: COLUMNS, bytes, token })
}
