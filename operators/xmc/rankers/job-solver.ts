/**
 * Solves one job after the other: gathers the documents below a node, then solves for each of its children. Holds one memory, as large as its largest job.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { CsrMatrix } from '../sparse/csr-matrix.ts'
import { HEADER } from './descent-kernel.ts'
import { descend } from './dual-coordinate-descent.ts'
import { assembled, type Job, type JobWeights, jobsOf, nodesOf } from './jobs.ts'
import type { LevelProblem, SolveLevels } from './level-problem.ts'
import { descendLogistic } from './logistic-dual.ts'
import type { SolverSettings } from './training.ts'
import { TrainingRows } from './training-rows.ts'

export class JobSolver {
  readonly #settings: SolverSettings
  readonly #problems: readonly LevelProblem[]
  readonly #constantFeature: number
  readonly #rows: TrainingRows
  /** Row of each document of X among those gathered, −1 for others. */
  readonly #rowOf: Int32Array
  #indices = new Int32Array(1024)
  #values = new Float32Array(1024)

  constructor(X: CsrMatrix, problems: readonly LevelProblem[], settings: SolverSettings) {
    this.#settings = settings
    this.#problems = problems
    this.#constantFeature = X.columns
    this.#rows = new TrainingRows(X, settings.bias)
    this.#rowOf = new Int32Array(X.rows).fill(-1)
  }

  /** @throws MillraceError NON_FINITE_NUMBER where a weight leaves float32 */
  solve(job: Job): JobWeights {
    const problem = this.#problems[job.problem]!
    const { positives, matched } = problem
    const nodes = nodesOf(problem, job)
    const shared = matched.indices.subarray(matched.pointers[job.parent]!, matched.pointers[job.parent + 1]!)
    const documents = this.#documents(shared, nodes, problem)
    this.#rows.gather(documents)
    const pointers = new Int32Array(nodes.length + 1)
    nodes.forEach((node, n) => {
      const own = positives.indices.slice(positives.pointers[node]!, positives.pointers[node + 1]!)
      for (let i = 0; i < own.length; i++) own[i] = this.#rowOf[own[i]!]!
      const count = this.#rows.begin(shared.length, own)
      if (this.#settings.loss === 'logistic') descendLogistic(this.#rows, count, this.#settings)
      else descend(this.#rows, count, this.#settings)
      pointers[n + 1] = this.#keepWeights(pointers[n]!)
    })
    for (const document of documents) this.#rowOf[document] = -1
    const size = pointers[nodes.length]!
    return { pointers, indices: this.#indices.slice(0, size), values: this.#values.slice(0, size) }
  }

  /** Those that all siblings learn from; behind them documents of a node that are not among these. */
  #documents(shared: Int32Array, nodes: Int32Array, { positives }: LevelProblem): Int32Array {
    shared.forEach((document, row) => {
      this.#rowOf[document] = row
    })
    const further: number[] = []
    for (const node of nodes) {
      for (let k = positives.pointers[node]!; k < positives.pointers[node + 1]!; k++) {
        const document = positives.indices[k]!
        if (this.#rowOf[document]! >= 0) continue
        this.#rowOf[document] = shared.length + further.length
        further.push(document)
      }
    }
    const documents = new Int32Array(shared.length + further.length)
    documents.set(shared)
    documents.set(further, shared.length)
    return documents
  }

  /** Appends the weights that are large enough behind the first `size`. @returns the new size */
  #keepWeights(size: number): number {
    const { features, places, floats } = this.#rows
    const most = size + features.length + 1
    if (most > this.#indices.length) this.#growTo(2 * most)
    const { threshold } = this.#settings
    let next = size
    for (let f = 0; f < features.length; f++) {
      const weight = floats[places[f]!]!
      // Most are small.
      if (weight < threshold && weight > -threshold) continue
      next = this.#keep(next, features[f]!, weight)
    }
    return this.#keep(next, this.#constantFeature, floats[HEADER.b >> 3]!)
  }

  #keep(place: number, feature: number, weight: number): number {
    if (weight === 0 || Math.abs(weight) < this.#settings.threshold) return place
    const rounded = Math.fround(weight)
    if (!Number.isFinite(rounded)) throw new MillraceError('NON_FINITE_NUMBER', `a weight became ${weight}`)
    this.#indices[place] = feature
    this.#values[place] = rounded
    return place + 1
  }

  #growTo(length: number): void {
    const [indices, values] = [new Int32Array(length), new Float32Array(length)]
    indices.set(this.#indices)
    values.set(this.#values)
    this.#indices = indices
    this.#values = values
  }
}

/** Solves levels in this thread, which does nothing else meanwhile. */
export const solveLevels: SolveLevels = async (X, problems, settings, onDone) => {
  const solver = new JobSolver(X, problems, settings)
  const jobs = jobsOf(problems)
  const results = jobs.map((job) => {
    const result = solver.solve(job)
    onDone(job.to - job.from)
    return result
  })
  return assembled(problems, jobs, results, X.columns)
}
