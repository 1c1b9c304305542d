/**
 * Linear rewards of arms: r ≈ xᵀθ with θ from ridge regression, and how sure that is.
 *
 *   disjoint  every arm has a regression of its own over the context: for arms known by name
 *   shared    one regression over vectors that describe context and arm: for arms that come and go
 *
 * What LinUCB, LinTS, ε-greedy and SquareCB learn; they differ in what they make of it. An arm never learned has the estimate 0 and the variance |x|²/λ.
 * Cost: a prediction d²/2 multiplications an arm, an outcome about 2d²; memory d² numbers a regression. Nothing is allocated an event.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { DecisionInput, LearningInput } from '../policy.ts'
import { decodeSnapshot, encodeSnapshot } from '../state/snapshot-format.ts'
import { RidgeRegressions } from './ridge.ts'

/** The one regression of the shared variant. */
const SHARED = 0

export interface LinearModelOptions {
  /** Names the policy and the layout of its snapshot. */
  readonly kind: string
  readonly variant: 'disjoint' | 'shared'
  readonly dimension: number
  readonly lambda: number
  readonly maxArms: number
  readonly refreshEvery: number
}

export class LinearModel {
  readonly kind: string
  readonly dimension: number
  readonly lambda: number
  readonly #shared: boolean
  readonly #maxArms: number
  readonly #regressions: RidgeRegressions
  /** Arm → its regression, in the order in which arms were first learned; empty where shared. */
  #arms = new Map<string, number>()
  #learned = 0

  /** Of the decision's arms that were learned before: their regressions, their places, θᵀx and xᵀV⁻¹x. */
  #rows = new Int32Array(0)
  #places = new Int32Array(0)
  #estimates = new Float64Array(0)
  #variances = new Float64Array(0)

  /** @param options checked by the policy */
  constructor(options: LinearModelOptions) {
    this.kind = options.kind
    this.dimension = options.dimension
    this.lambda = options.lambda
    this.#shared = options.variant === 'shared'
    this.#regressions = new RidgeRegressions(options)
    this.#maxArms = Math.min(options.maxArms, this.#regressions.limit)
    if (this.#shared) this.#regressions.add()
  }

  get learned(): number {
    return this.#learned
  }

  /** Arms forgotten to make room for others. */
  get evicted(): number {
    return 0
  }

  /** θ of an arm, a copy; zeros for an arm never learned. The shared variant has one θ for all. */
  theta(arm = ''): Float64Array {
    const at = this.#shared ? SHARED : this.#arms.get(arm)
    return at === undefined ? new Float64Array(this.dimension) : this.#regressions.thetaOf(at)
  }

  /**
   * Estimates xᵀθ and variances xᵀV⁻¹x (at least 0) of a decision's arms.
   * @throws MillraceError EMPTY_ARMS, WRONG_DIMENSION, NON_FINITE_NUMBER
   */
  predict(
    { arms, vectors, oneVector }: DecisionInput,
    estimates: Float64Array,
    variances: Float64Array,
  ): void {
    const d = this.dimension
    const count = requireArms(arms, vectors, d)
    this.#reserve(count)
    const rows = this.#rows
    const places = this.#places
    let known = 0
    for (let a = 0; a < count; a++) {
      const row = this.#shared ? SHARED : this.#arms.get(arms[a]!)
      if (row === undefined) {
        estimates[a] = 0
        variances[a] = squaredLength(vectors, a * d, d) / this.lambda
      } else {
        rows[known] = row
        places[known++] = a
      }
    }
    const same = !this.#shared && (oneVector ?? sameRows(vectors, count, d))
    this.#regressions.predict(rows, places, known, vectors, same, this.#estimates, this.#variances)
    for (let n = 0; n < known; n++) {
      estimates[places[n]!] = this.#estimates[n]!
      // Below zero is rounding alone; NaN stays.
      variances[places[n]!] = Math.max(this.#variances[n]!, 0)
    }
    for (let a = 0; a < count; a++) {
      // Any number of a vector that is not finite makes its arm's numbers so.
      if (Number.isFinite(estimates[a]! + variances[a]!)) continue
      throw new MillraceError('NON_FINITE_NUMBER', `arms[${a}]: the score of '${arms[a]}' is not finite`)
    }
  }

  /**
   * Folds one outcome into the state.
   * @throws MillraceError WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_PROPENSITY; UNKNOWN_ARM for a new arm beyond `maxArms`.
   */
  learn({ arm, vector, reward, propensity }: LearningInput): void {
    requireOutcome(vector, propensity, this.dimension)
    const at = this.#shared ? SHARED : (this.#arms.get(arm) ?? -1)
    if (at < 0 && this.#arms.size >= this.#maxArms) {
      throw new MillraceError(
        'UNKNOWN_ARM',
        `arm '${arm}' is new, and the policy holds all of its ${this.#arms.size} arms`,
      )
    }
    const row = this.#regressions.update(at, vector, reward)
    if (at < 0) this.#arms.set(arm, row)
    this.#learned++
  }

  snapshot(): Uint8Array {
    const body = { learned: this.#learned, names: [...this.#arms.keys()] }
    return encodeSnapshot(this, body, this.#regressions.arrays)
  }

  /** @throws MillraceError SNAPSHOT_CORRUPT, SNAPSHOT_MISMATCH: the state is then untouched */
  restore(bytes: Uint8Array): void {
    const rows = (names: number): number => (this.#shared ? 1 : names)
    const regressions = this.#regressions
    const state = decodeSnapshot(bytes, this, (names) => regressions.stateLength(rows(names)))
    regressions.reset(rows(state.names.length))
    state.fill(regressions.arrays)
    this.#arms = new Map(state.names.map((name, row) => [name, row]))
    this.#learned = state.learned
  }

  /**
   * Adds another part's sums; arms new here are added in the order of the other part.
   * @throws MillraceError SNAPSHOT_MISMATCH where the other is of another kind, dimension or λ; NON_FINITE_NUMBER where a sum would
   * overflow; UNKNOWN_ARM beyond `maxArms`. The state is then untouched.
   */
  merge(other: LinearModel): void {
    const { kind, dimension, lambda } = this
    if (other.kind !== kind || other.dimension !== dimension || other.lambda !== lambda) {
      throw new MillraceError('SNAPSHOT_MISMATCH', `merge: ${other.kind} is not the same policy as ${kind}`)
    }
    const mine = this.#regressions
    const theirs = other.#regressions
    const arms = this.#shared ? [['', SHARED] as const] : [...other.#arms]
    const rowOf = (arm: string): number => (this.#shared ? SHARED : (this.#arms.get(arm) ?? -1))
    let fresh = 0
    for (const [arm, from] of arms) {
      const at = rowOf(arm)
      if (at < 0) fresh++
      else if (!mine.canAdd(at, theirs, from)) {
        throw new MillraceError('NON_FINITE_NUMBER', `merge: the sums of arm '${arm}' would overflow`)
      }
    }
    if (this.#arms.size + fresh > this.#maxArms) {
      throw new MillraceError('UNKNOWN_ARM', `merge: more than ${this.#maxArms} arms`)
    }
    for (const [arm, from] of arms) {
      let at = rowOf(arm)
      if (at < 0) {
        at = mine.add()
        this.#arms.set(arm, at)
      }
      mine.merge(at, theirs, from)
    }
    this.#learned += other.#learned
  }

  #reserve(count: number): void {
    if (count <= this.#rows.length) return
    this.#estimates = new Float64Array(2 * count)
    this.#variances = new Float64Array(2 * count)
    this.#rows = new Int32Array(2 * count)
    this.#places = new Int32Array(2 * count)
  }
}

/** The number of arms of a decision. @throws MillraceError EMPTY_ARMS, WRONG_DIMENSION */
export const requireArms = (arms: readonly string[], vectors: Float64Array, dimension: number): number => {
  const count = arms.length
  if (count === 0) throw new MillraceError('EMPTY_ARMS', 'a decision needs at least one arm')
  if (vectors.length === count * dimension) return count
  throw new MillraceError(
    'WRONG_DIMENSION',
    `${vectors.length} numbers for ${count} arms of dimension ${dimension}`,
  )
}

/** @throws MillraceError WRONG_DIMENSION, INVALID_PROPENSITY */
export const requireOutcome = (vector: Float64Array, propensity: number, dimension: number): void => {
  if (vector.length !== dimension) {
    throw new MillraceError(
      'WRONG_DIMENSION',
      `vector: ${vector.length} numbers, the policy's dimension is ${dimension}`,
    )
  }
  if (!(propensity > 0 && propensity <= 1)) {
    throw new MillraceError('INVALID_PROPENSITY', `propensity: ${propensity} is not in (0, 1]`)
  }
}

const squaredLength = (vectors: Float64Array, start: number, d: number): number => {
  let sum = 0
  for (let k = start; k < start + d; k++) sum += vectors[k]! * vectors[k]!
  return sum
}

/** Whether all rows hold the same numbers, as they do where arms have no features of their own. */
const sameRows = (vectors: Float64Array, count: number, d: number): boolean => {
  for (let k = d; k < count * d; k++) if (vectors[k] !== vectors[k - d]) return false
  return true
}
