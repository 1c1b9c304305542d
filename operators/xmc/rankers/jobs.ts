/** Levels cut into jobs that any thread can do, and matrices made of what they bring. How they are cut has no part in the numbers. */
import type { CsrMatrix } from '../sparse/csr-matrix.ts'
import type { LevelProblem } from './level-problem.ts'

/** Some siblings: the children of a node of the level above at positions `from` up to `to`. */
export interface Job {
  readonly problem: number
  readonly parent: number
  readonly from: number
  readonly to: number
}

/** Weights of a job's nodes, one behind the other. */
export interface JobWeights {
  readonly pointers: Int32Array
  readonly indices: Int32Array
  readonly values: Float32Array
}

/** Siblings that are not parted: each part gathers the same documents once more, which costs about a tenth of solving for one node. */
const TOGETHER = 4
/** A job is at most about this part of all work, so that many threads end at about the same time. */
const PARTS = 64

/** All jobs of some levels, the longest first. */
export const jobsOf = (problems: readonly LevelProblem[]): Job[] => {
  const siblings = problems.flatMap(({ children, matched }, problem) =>
    Array.from({ length: children.pointers.length - 1 }, (_, parent) => ({
      problem,
      parent,
      nodes: children.pointers[parent + 1]! - children.pointers[parent]!,
      documents: matched.pointers[parent + 1]! - matched.pointers[parent]!,
    })),
  )
  const total = siblings.reduce((sum, { nodes, documents }) => sum + nodes * documents, 0)
  return siblings
    .flatMap(({ problem, parent, nodes, documents }) => {
      const most = Math.max(TOGETHER, Math.floor(total / PARTS / Math.max(1, documents)))
      const parts = Math.ceil(nodes / most)
      return Array.from({ length: parts }, (_, part) => {
        const from = Math.floor((part * nodes) / parts)
        const to = Math.floor(((part + 1) * nodes) / parts)
        return { job: { problem, parent, from, to }, work: (to - from) * documents }
      })
    })
    .sort((a, b) => b.work - a.work)
    .map(({ job }) => job)
}

/** The nodes of a job. */
export const nodesOf = ({ children }: LevelProblem, { parent, from, to }: Job): Int32Array => {
  const first = children.pointers[parent]!
  return children.indices.subarray(first + from, first + to)
}

/**
 * The matrix of each level: a row a node, features and the constant one as columns.
 * @param results of each job
 */
export const assembled = (
  problems: readonly LevelProblem[],
  jobs: readonly Job[],
  results: readonly JobWeights[],
  features: number,
): CsrMatrix[] => {
  const levels = problems.map(({ children }) => new Int32Array(children.indices.length + 1))
  const each = (visit: (problem: number, node: number, result: JobWeights, position: number) => void) =>
    jobs.forEach((job, j) => {
      nodesOf(problems[job.problem]!, job).forEach((node, n) => {
        visit(job.problem, node, results[j]!, n)
      })
    })
  each((problem, node, { pointers }, n) => {
    levels[problem]![node + 1] = pointers[n + 1]! - pointers[n]!
  })
  const matrices = levels.map((pointers): CsrMatrix => {
    const rows = pointers.length - 1
    for (let node = 0; node < rows; node++) pointers[node + 1]! += pointers[node]!
    const stored = pointers[rows]!
    return {
      rows,
      columns: features + 1,
      pointers,
      indices: new Int32Array(stored),
      values: new Float32Array(stored),
    }
  })
  each((problem, node, { pointers, indices, values }, n) => {
    const matrix = matrices[problem]!
    matrix.indices.set(indices.subarray(pointers[n]!, pointers[n + 1]!), matrix.pointers[node]!)
    matrix.values.set(values.subarray(pointers[n]!, pointers[n + 1]!), matrix.pointers[node]!)
  })
  return matrices
}
