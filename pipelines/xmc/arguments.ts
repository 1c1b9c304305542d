/** What the commands of `millrace xmc` are told: options by their names (docs/command-line.md). */
import type { Merge, Transform } from '../../operators/xmc/model.ts'
import type { Loss, Negatives } from '../../operators/xmc/rankers/training.ts'

export interface TrainArguments {
  readonly branching: number
  readonly maxLeaf: number
  readonly seed: number
  readonly negatives: Exclude<Negatives, 'usn'>
  readonly solver: Loss
  readonly cost: number
  readonly eps: number
  readonly maxIterations: number
  readonly threshold: number
  readonly bias: number
  readonly beam: number
  readonly transform: Transform
  readonly disentangle?: number
  readonly rounds: number
  readonly cap?: number
  readonly merge: Merge
  readonly labels?: string
  readonly normalise: boolean
  readonly threads: number
  readonly replace?: boolean
  readonly json?: boolean
}

export interface PredictArguments {
  readonly top: number
  readonly beam?: number
  readonly normalise: boolean
  readonly out?: string
  readonly json?: boolean
}

export interface EvaluateArguments {
  readonly at: readonly number[]
  readonly train?: string
  readonly propensity: readonly [number, number]
  readonly beam?: number
  readonly normalise: boolean
  readonly json?: boolean
}

export interface ImportArguments {
  readonly beam?: number
  readonly transform?: Transform
  readonly labels?: string
  readonly replace?: boolean
  readonly json?: boolean
}
