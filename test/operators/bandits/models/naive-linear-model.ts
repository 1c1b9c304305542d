/** What a linear model says it is, computed from scratch: all outcomes are kept, and every question inverts a matrix. */
import type { LinearModelOptions } from '../../../../operators/bandits/models/linear-model.ts'

interface Outcome {
  readonly time: number
  readonly x: Float64Array
  readonly reward: number
}

interface Regression {
  readonly arm: string
  readonly begun: Float64Array
  outcomes: Outcome[]
  lastLearned: number
  /** Of a discounted one: the time as of which it predicts. */
  asOf: number
}

export class NaiveLinearModel {
  readonly #options: LinearModelOptions
  #time = 0
  #turn = 0
  /** In the order of the model's own rows, which decides whose turn it is. */
  #rows: Regression[] = []
  evictedArms: string[] = []

  constructor(options: LinearModelOptions) {
    this.#options = options
    if (options.variant === 'shared' || options.prior === 'pooled') this.#rows.push(this.#fresh(''))
  }

  learn(arm: string, x: Float64Array, reward: number): void {
    const { variant, prior, maxArms, forgetting = 'never' } = this.#options
    const first = variant === 'shared' || prior === 'pooled' ? 1 : 0
    let row =
      variant === 'shared' ? this.#rows[0] : this.#rows.slice(first).find((other) => other.arm === arm)
    if (row === undefined) {
      row = this.#fresh(arm)
      if (this.#rows.length - first < maxArms) this.#rows.push(row)
      else {
        const oldest = this.#rows
          .slice(first)
          .reduce((least, other) => (other.lastLearned < least.lastLearned ? other : least))
        this.evictedArms.push(oldest.arm)
        this.#rows[this.#rows.indexOf(oldest)] = row
      }
    }
    this.#time++
    const learning = new Set(prior === 'pooled' ? [row, this.#rows[0]!] : [row])
    for (const each of learning) {
      each.outcomes.push({ time: this.#time, x: x.slice(), reward })
      each.lastLearned = this.#time
      each.asOf = this.#time
    }
    if (forgetting !== 'never' && 'discount' in forgetting) {
      this.#turn = (this.#turn + 1) % this.#rows.length
      this.#rows[this.#turn]!.asOf = this.#time
    }
  }

  /** xᵀθ and xᵀV⁻¹x. */
  predict(arm: string, x: Float64Array): [estimate: number, variance: number] {
    const { variant, lambda } = this.#options
    const row = variant === 'shared' ? this.#rows[0] : this.#rows.find((other) => other.arm === arm)
    if (row === undefined) return [dot(x, this.#prior()), dot(x, x) / lambda]
    const { inverse, theta } = this.#solved(row)
    return [dot(x, theta), dot(x, product(inverse, x))]
  }

  #fresh(arm: string): Regression {
    return { arm, begun: this.#prior(), outcomes: [], lastLearned: this.#time, asOf: this.#time }
  }

  #prior(): Float64Array {
    const { prior, dimension } = this.#options
    const all = this.#rows[0]
    return prior === 'pooled' && all !== undefined ? this.#solved(all).theta : new Float64Array(dimension)
  }

  #solved(row: Regression): { inverse: Float64Array[]; theta: Float64Array } {
    const { dimension: d, lambda, forgetting = 'never' } = this.#options
    const weight = ({ time }: Outcome): number => {
      if (forgetting === 'never') return 1
      if ('discount' in forgetting) return forgetting.discount ** (row.asOf - time)
      return this.#time - time < forgetting.window ? 1 : 0
    }
    const matrix = Array.from({ length: d }, (_, i) =>
      Float64Array.from({ length: d }, (_, j) => (i === j ? lambda : 0)),
    )
    const target = row.begun.map((value) => lambda * value)
    for (const outcome of row.outcomes) {
      const w = weight(outcome)
      for (let i = 0; i < d; i++) {
        target[i]! += w * outcome.reward * outcome.x[i]!
        for (let j = 0; j < d; j++) matrix[i]![j]! += w * outcome.x[i]! * outcome.x[j]!
      }
    }
    const inverse = inverted(matrix)
    return { inverse, theta: product(inverse, target) }
  }
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0)

const product = (matrix: readonly Float64Array[], x: Float64Array): Float64Array =>
  Float64Array.from(matrix, (row) => dot(row, x))

/** Gauss and Jordan, with pivots. */
const inverted = (matrix: readonly Float64Array[]): Float64Array[] => {
  const d = matrix.length
  const rows = matrix.map((row, i) =>
    Float64Array.from({ length: 2 * d }, (_, j) => row[j] ?? (j - d === i ? 1 : 0)),
  )
  for (let column = 0; column < d; column++) {
    const best = rows
      .slice(column)
      .reduce((most, row) => (Math.abs(row[column]!) > Math.abs(most[column]!) ? row : most))
    rows[rows.indexOf(best)] = rows[column]!
    rows[column] = best.map((value) => value / best[column]!)
    rows.forEach((row, i) => {
      const factor = row[column]!
      if (i === column) return
      for (let j = 0; j < 2 * d; j++) row[j]! -= factor * rows[column]![j]!
    })
  }
  return rows.map((row) => row.slice(d))
}
