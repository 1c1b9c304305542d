/**
 * A generalised linear model that keeps its outcomes and fits all of them: θ by Newton's method (newton-fit.ts), V = λI + Σxxᵀ, as UCB-GLM has them
 * (Li, Lu and Zhou 2017). The state is the rows alone; θ and V⁻¹ are functions of an arm's rows, made when they are asked for and an outcome came in
 * between, so that it makes no difference when anyone asks, and that λ and the ridge may change without losing the state.
 *
 * At most `maxRows` rows are kept, of all arms together: beyond them the oldest goes, and its arm is as if it had never learned it. At most `maxArms`
 * arms are: beyond them the one that learned least recently goes with all its rows. Both are counted.
 *
 * Cost: an outcome d, plus a look at every arm where a row must go; a prediction after it 5 to 8 times n·d²/2 for the arm's n rows, else d²/2.
 * Memory: d + 2 numbers a row, 2·d² an arm.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import { addOuter, invertPacked, packedLength } from '../../numerics/packed-symmetric.ts'
import type { DecisionInput, LearningInput } from '../policy.ts'
import { decodeSnapshot, encodeSnapshot } from '../state/snapshot-format.ts'
import { type ArmFit, ArmRows } from './arm-rows.ts'
import { requireReward } from './generalized-linear-link.ts'
import type { GeneralizedLinearModel, GeneralizedLinearOptions } from './generalized-linear-model.ts'
import { requireArms, requireOutcome } from './linear-model.ts'
import { NewtonFit } from './newton-fit.ts'

/** The one arm of the shared variant. */
const SHARED = ''

export class ExactGeneralizedLinear implements GeneralizedLinearModel {
  readonly #options: GeneralizedLinearOptions & { readonly maxRows: number }
  readonly #newton: NewtonFit
  readonly #moment: Float64Array
  readonly #factor: Float64Array
  readonly #largestSquare: number
  /** Those with rows, the one that learned least recently first. */
  #arms = new Map<string, ArmRows>()
  #learned = 0
  #rows = 0
  #evicted = 0

  /** @param options checked by the policy */
  constructor(options: GeneralizedLinearOptions & { readonly maxRows: number }) {
    const { link, dimension, ridge, maxRows } = options
    this.#options = options
    this.#newton = new NewtonFit(link, dimension, ridge)
    this.#moment = new Float64Array(packedLength(dimension))
    this.#factor = new Float64Array(packedLength(dimension))
    this.#largestSquare = Number.MAX_VALUE / 4 / maxRows
  }

  get kind(): string {
    return this.#options.kind
  }

  get learned(): number {
    return this.#learned
  }

  get evicted(): number {
    return this.#evicted
  }

  get rows(): number {
    return this.#rows
  }

  theta(arm = SHARED): Float64Array {
    const known = this.#armOf(arm)
    return known === undefined ? new Float64Array(this.#options.dimension) : this.#fitted(known).theta.slice()
  }

  predict({ arms, vectors }: DecisionInput, estimates: Float64Array, variances: Float64Array): void {
    const { dimension: d, lambda } = this.#options
    const count = requireArms(arms, vectors, d)
    for (let a = 0; a < count; a++) {
      const known = this.#armOf(arms[a]!)
      let estimate = 0
      let variance = 0
      if (known === undefined) {
        for (let k = a * d; k < (a + 1) * d; k++) variance += (vectors[k]! * vectors[k]!) / lambda
      } else {
        const { theta, inverse } = this.#fitted(known)
        for (let i = 0, k = 0; i < d; i++) {
          const x = vectors[a * d + i]!
          let sum = 0
          for (let j = 0; j < i; j++) sum += inverse[k++]! * vectors[a * d + j]!
          variance += x * (2 * sum + inverse[k++]! * x)
          estimate += x * theta[i]!
        }
      }
      // Any number of a vector that is not finite makes its arm's numbers so.
      if (!Number.isFinite(estimate + variance)) {
        throw new MillraceError('NON_FINITE_NUMBER', `arms[${a}]: the score of '${arms[a]}' is not finite`)
      }
      estimates[a] = estimate
      variances[a] = Math.max(variance, 0)
    }
  }

  learn({ arm: name, vector, reward, propensity }: LearningInput): void {
    const { link, dimension, variant, maxArms, maxRows } = this.#options
    requireOutcome(vector, propensity, dimension)
    requireReward(link, reward)
    for (const x of vector) {
      // So that no sum over rows can overflow.
      if (x * x <= this.#largestSquare && Math.abs(reward * x) <= this.#largestSquare) continue
      throw new MillraceError(
        'NON_FINITE_NUMBER',
        'the sample is not finite, or so large that a sum would overflow',
      )
    }
    const arm = variant === 'shared' ? SHARED : name
    const rows = this.#arms.get(arm) ?? new ArmRows(dimension)
    // Its place among the arms is the last one now.
    this.#arms.delete(arm)
    while (this.#arms.size >= maxArms) this.#evict()
    this.#arms.set(arm, rows)
    rows.push(vector, reward, this.#learned++)
    this.#rows++
    while (this.#rows > maxRows) this.#dropOldest()
  }

  snapshot(): Uint8Array {
    const arms = [...this.#arms.values()]
    const body = { learned: this.#learned, names: [...this.#arms.keys()] }
    const counts = Float64Array.of(this.#evicted, ...arms.map(({ count }) => count))
    return encodeSnapshot(this.#header, body, [counts, ...arms.map((arm) => arm.numbers)])
  }

  restore(bytes: Uint8Array): void {
    const width = this.#options.dimension + 2
    let length = 0
    const state = decodeSnapshot(bytes, this.#header, (names, left) => {
      length = Math.max(Math.floor(left), names + 1)
      return length
    })
    const numbers = new Float64Array(length)
    state.fill([numbers])
    const arms = new Map<string, ArmRows>()
    let at = state.names.length + 1
    state.names.forEach((name, n) => {
      const end = at + width * numbers[n + 1]!
      arms.set(name, new ArmRows(this.#options.dimension, numbers.slice(at, end)))
      at = end
    })
    if (at !== length)
      throw new MillraceError('SNAPSHOT_CORRUPT', 'snapshot: its rows are not those it counts')
    this.#arms = arms
    this.#learned = state.learned
    this.#rows = (length - state.names.length - 1) / width
    this.#evicted = numbers[0]!
  }

  /** λ and the ridge are no part of the state. */
  get #header() {
    const { kind, dimension } = this.#options
    return { kind, dimension, lambda: 0 }
  }

  #armOf(arm: string): ArmRows | undefined {
    return this.#arms.get(this.#options.variant === 'shared' ? SHARED : arm)
  }

  #fitted(arm: ArmRows): ArmFit {
    if (arm.fit !== undefined) return arm.fit
    const { dimension: d, lambda } = this.#options
    const fit = { theta: new Float64Array(d), inverse: new Float64Array(packedLength(d)) }
    const { numbers, count } = arm
    this.#newton.fit(numbers, 0, count, d + 2, fit.theta)
    this.#moment.fill(0)
    for (let n = 0; n < count; n++) addOuter(this.#moment, 0, numbers, n * (d + 2), d)
    invertPacked(this.#moment, 0, lambda, d, this.#factor, fit.inverse)
    arm.fit = fit
    return fit
  }

  /** Forgets the arm that learned least recently. */
  #evict(): void {
    for (const [name, { count }] of this.#arms) {
      this.#arms.delete(name)
      this.#rows -= count
      this.#evicted++
      return
    }
  }

  #dropOldest(): void {
    let oldest: readonly [string, ArmRows] | undefined
    for (const entry of this.#arms) {
      if (oldest === undefined || entry[1].oldest < oldest[1].oldest) oldest = entry
    }
    if (oldest === undefined) return
    const [name, rows] = oldest
    rows.shift()
    if (rows.count === 0) this.#arms.delete(name)
    this.#rows--
  }
}
