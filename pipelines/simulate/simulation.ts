/** What is simulated: every policy in every environment under every attack, each with every seed. */
import type {
  AttackOptions,
  TargetedOptions,
  TargetedRewardOptions,
} from '../../operators/bandits/attacks/index.ts'
import type {
  DriftingOptions,
  LinearEnvironmentOptions,
  LogisticOptions,
} from '../../operators/bandits/environments/index.ts'
import type { PolicyDefinitionBody } from '../../operators/bandits/state/definition.ts'

type Algorithm = PolicyDefinitionBody['algorithm']

export interface SimulationPolicy {
  readonly name: string
  /** Where every arm has a vector of its own, and where all share the context; they differ only in a `variant` that was not given. */
  readonly algorithm: { readonly shared: Algorithm; readonly disjoint: Algorithm }
  readonly explorationFloor: number
}

export interface ClassificationSpec {
  readonly kind: 'classification'
  readonly name: string
  /** CSV with a header, `.gz` too. */
  readonly file: string
  /** Column of the class; the last one where absent. */
  readonly label?: string
  /** More different values than these are no classes. */
  readonly classes: number
}

export interface LoggedSpec {
  readonly kind: 'logged'
  readonly name: string
  readonly file: string
  /** Columns. */
  readonly arm: string
  readonly reward: string
  readonly propensity: string
  readonly context: readonly string[]
}

export type EnvironmentSpec =
  | ({ readonly kind: 'linear'; readonly name: string } & LinearEnvironmentOptions)
  | ({ readonly kind: 'logistic'; readonly name: string } & LogisticOptions)
  | ({ readonly kind: 'drifting'; readonly name: string } & DriftingOptions)
  | ClassificationSpec
  | LoggedSpec

export type AttackSpec =
  | { readonly kind: 'none'; readonly name: string }
  | ({ readonly kind: 'garcelon'; readonly name: string } & AttackOptions)
  | ({ readonly kind: 'oracle'; readonly name: string; readonly margin?: number } & AttackOptions)
  | ({ readonly kind: 'context'; readonly name: string; readonly factor?: number } & AttackOptions)
  | ({ readonly kind: 'targetedReward'; readonly name: string } & TargetedRewardOptions)
  | ({ readonly kind: 'targetedContext'; readonly name: string } & TargetedOptions)

export interface Simulation {
  readonly name: string
  readonly rounds: number
  readonly seeds: readonly number[]
  /** Points of a curve. */
  readonly points: number
  /** Rounds between a decision and its reward. */
  readonly delay: number
  readonly policies: readonly SimulationPolicy[]
  readonly environments: readonly EnvironmentSpec[]
  readonly attacks: readonly AttackSpec[]
}

/** One policy in one environment under one attack. */
export interface Cell {
  readonly policy: SimulationPolicy
  readonly environment: EnvironmentSpec
  readonly attack: AttackSpec
}

/** A cell with one seed: what is run at a time. */
export interface Run extends Cell {
  readonly seed: number
}

/** What a run came to. Curves hold a number a point. */
export interface RunResult {
  /** Rounds played at each point. */
  readonly rounds: readonly number[]
  /** Regret so far; null in a log, where nobody knows it. */
  readonly regret: readonly (number | null)[]
  /** Mean reward so far, over the rounds that counted. */
  readonly reward: readonly number[]
  readonly counted: readonly number[]
  readonly cost: readonly number[]
  readonly attacks: readonly number[]
  /** The last round attacked, from 0; −1 where none was. */
  readonly lastAttacked: number
}

export interface FinishedRun {
  readonly run: Run
  readonly result: RunResult
}

/** Whether attacks can be told apart from none here: a log does not know the means. */
const attackable = (environment: EnvironmentSpec, attack: AttackSpec): boolean =>
  attack.kind === 'none' || environment.kind !== 'logged'

/** All cells, in the order of the environments, attacks and policies. */
export const cellsOf = ({ policies, environments, attacks }: Simulation): Cell[] =>
  environments.flatMap((environment) =>
    attacks
      .filter((attack) => attackable(environment, attack))
      .flatMap((attack) => policies.map((policy) => ({ policy, environment, attack }))),
  )

/** All runs: seed by seed, so that an early look at the results has all cells. */
export const runsOf = (simulation: Simulation): Run[] => {
  const cells = cellsOf(simulation)
  return simulation.seeds.flatMap((seed) => cells.map((cell) => ({ ...cell, seed })))
}
