/**
 * Linear rewards of arms: r ≈ xᵀθ with θ from ridge regression, and how sure that is.
 *
 *   disjoint  every arm has a regression of its own over the context: for arms known by name
 *   shared    one regression over vectors that describe context and arm: for arms that come and go
 *
 * What LinUCB, LinTS, ε-greedy and SquareCB learn; they differ in what they make of it. An arm never learned has the variance |x|²/λ and the estimate 0,
 * or, with a pooled prior, that of a regression over all arms, whose θ of the moment it also takes along when it is first learned.
 *
 * A disjoint model holds at most `maxArms`: a further one takes the place of the arm learned least recently. That order is kept from when more than half
 * of them are in use; until then arms count in the order in which they were first learned, and a snapshot need not say it. With `forgetting`, see
 * discounted-ridge.ts and windowed-ridge.ts.
 *
 * Cost: a prediction d²/2 multiplications an arm, an outcome about 2d²; memory d² numbers a regression. Nothing is allocated an event.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { DecisionInput, LearningInput } from '../policy.ts'
import { decodeSnapshot, encodeSnapshot } from '../state/snapshot-format.ts'
import { DiscountedRegressions } from './discounted-ridge.ts'
import type { Forgetting } from './linear-options.ts'
import { Recency } from './recency.ts'
import { POOLED, type RidgeOptions, RidgeRegressions } from './ridge.ts'
import { WindowedRegressions } from './windowed-ridge.ts'

/** Dimension from which a rough look at many arms pays. */
const SCREENED_FROM = 96

/** The regression of all arms: the only one of the shared variant, or the prior of the others. */
const ALL = POOLED

/** Options checked by `requireLinearOptions`. */
export interface LinearModelOptions {
  /** Names the policy and the layout of its snapshot. */
  readonly kind: string
  readonly variant: 'disjoint' | 'shared'
  readonly dimension: number
  readonly lambda: number
  readonly maxArms: number
  readonly refreshEvery: number
  readonly prior?: 'zero' | 'pooled'
  readonly forgetting?: Forgetting
}

export class LinearModel {
  /** The policy's kind, followed by prior and forgetting where they are not the plain ones: `lin-ucb-disjoint+pooled+window(500)`. */
  readonly kind: string
  readonly dimension: number
  readonly lambda: number
  /** Whether the state is a sum, so that `merge` can add another part's: without prior and without forgetting. */
  readonly mergeable: boolean
  readonly #shared: boolean
  readonly #pooled: boolean
  readonly #maxArms: number
  /** The number of the first arm's regression. */
  readonly #first: number
  readonly #regressions: RidgeRegressions
  /** Arm → its regression; empty where shared. */
  readonly #arms = new Map<string, number>()
  /** The arms in the order of their regressions, and in that in which they were learned last. */
  #names: string[] = []
  readonly #recency = new Recency()
  #learned = 0
  #evicted = 0

  /** Of the decision's arms that were learned before: their regressions, their places, θᵀx and xᵀV⁻¹x. */
  #rows = new Int32Array(0)
  #places = new Int32Array(0)
  #estimates = new Float64Array(0)
  #variances = new Float64Array(0)
  /** Of the decision last glanced at: bounds, as above, and of each arm its regression, −1 for one never learned. */
  #lows = new Float64Array(0)
  #highs = new Float64Array(0)
  #rowOf = new Int32Array(0)

  /** @param options checked by the policy */
  constructor(options: LinearModelOptions) {
    const { prior = 'zero', forgetting = 'never' } = options
    this.kind = options.kind + layoutOf(prior, forgetting)
    this.dimension = options.dimension
    this.lambda = options.lambda
    this.mergeable = prior === 'zero' && forgetting === 'never'
    this.#shared = options.variant === 'shared'
    this.#pooled = prior === 'pooled'
    this.#first = this.#shared || this.#pooled ? 1 : 0
    this.#regressions = regressionsOf({ ...options, pooled: this.#pooled }, forgetting)
    this.#maxArms = Math.min(options.maxArms, this.#regressions.limit - this.#first)
    if (this.#first > 0) this.#regressions.open()
  }

  get learned(): number {
    return this.#learned
  }

  /** Arms forgotten to make room for others. */
  get evicted(): number {
    return this.#evicted
  }

  /** θ of an arm, a copy; zeros, or the prior, for an arm never learned. The shared variant has one θ for all. */
  theta(arm = ''): Float64Array {
    const at = this.#shared ? ALL : this.#arms.get(arm)
    if (at !== undefined) return this.#regressions.thetaOf(at)
    return this.#pooled ? this.#regressions.thetaOf(ALL) : new Float64Array(this.dimension)
  }

  /** Copies θ and the packed V⁻¹ of the shared variant's regression. */
  copyPosterior(theta: Float64Array, inverse: Float64Array): void {
    this.#regressions.copy(ALL, theta, inverse)
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
      const row = this.#shared ? ALL : this.#arms.get(arms[a]!)
      if (row === undefined) {
        estimates[a] = this.#pooled ? this.#regressions.estimate(ALL, vectors, a * d) : 0
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
    requireFinite(arms, estimates, variances)
  }

  /**
   * As `predict`, but of each variance bounds alone, equal where it is known: half the work. `refine` then finds those that matter.
   * @returns false where nothing would be saved, arms having one regression or vectors of their own: nothing is then written
   * @throws MillraceError as `predict`
   */
  glance(
    { arms, vectors, oneVector }: DecisionInput,
    estimates: Float64Array,
    lows: Float64Array,
    highs: Float64Array,
  ): boolean {
    const d = this.dimension
    const count = requireArms(arms, vectors, d)
    if (this.#shared || d < SCREENED_FROM || !(oneVector ?? sameRows(vectors, count, d))) return false
    this.#reserve(count)
    const rows = this.#rows
    const places = this.#places
    let known = 0
    for (let a = 0; a < count; a++) {
      const row = this.#arms.get(arms[a]!) ?? -1
      this.#rowOf[a] = row
      if (row < 0) continue
      rows[known] = row
      places[known++] = a
    }
    if (!this.#regressions.screen(rows, known, vectors, this.#estimates, this.#lows, this.#highs))
      return false
    const fresh = squaredLength(vectors, 0, d) / this.lambda
    for (let a = 0; a < count; a++) {
      if (this.#rowOf[a]! >= 0) continue
      estimates[a] = this.#pooled ? this.#regressions.estimate(ALL, vectors, a * d) : 0
      lows[a] = fresh
      highs[a] = fresh
    }
    let unbounded = 0
    for (let n = 0; n < known; n++) {
      const a = places[n]!
      estimates[a] = this.#estimates[n]!
      lows[a] = Math.max(this.#lows[n]!, 0)
      highs[a] = this.#highs[n]!
      if (!Number.isFinite(highs[a]! - lows[a]!)) places[unbounded++] = a
    }
    if (unbounded > 0) {
      this.refine(places, unbounded, this.#estimates)
      for (let n = 0; n < unbounded; n++) {
        lows[places[n]!] = this.#estimates[n]!
        highs[places[n]!] = this.#estimates[n]!
      }
    }
    requireFinite(arms, estimates, highs)
    return true
  }

  /** The variances of the first `count` of a list of arms, by their places in the decision last glanced at. */
  refine(places: Int32Array, count: number, variances: Float64Array): void {
    for (let n = 0; n < count; n++) this.#rows[n] = this.#rowOf[places[n]!]!
    this.#regressions.refine(this.#rows, count, variances)
    for (let n = 0; n < count; n++) variances[n] = Math.max(variances[n]!, 0)
  }

  /**
   * Folds one outcome into the state.
   * @throws MillraceError WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_PROPENSITY: the state is then untouched
   */
  learn({ arm, vector, reward, propensity }: LearningInput): void {
    requireOutcome(vector, propensity, this.dimension)
    const at = this.#shared ? ALL : this.#arms.get(arm)
    if (at === undefined) {
      // Refused before anything gives way.
      const replaced = this.#arms.size < this.#maxArms ? -1 : this.#recency.oldest
      this.#begin(arm, this.#regressions.update(-1, vector, reward, replaced))
    } else {
      this.#regressions.update(at, vector, reward)
      if (this.#scarce) this.#recency.touch(at)
    }
    this.#learned++
  }

  snapshot(): Uint8Array {
    const body = { learned: this.#learned, names: this.#names }
    const arrays = this.#regressions.arrays
    if (!this.#scarce && this.#evicted === 0) return encodeSnapshot(this, body, arrays)
    return encodeSnapshot(this, body, [...arrays, Float64Array.of(this.#evicted, ...this.#recency)])
  }

  /** @throws MillraceError SNAPSHOT_CORRUPT, SNAPSHOT_MISMATCH: the state is then untouched */
  restore(bytes: Uint8Array): void {
    const regressions = this.#regressions
    let ordered = false
    const state = decodeSnapshot(bytes, this, (names, left, learned) => {
      const numbers = regressions.stateLength(this.#first + names, learned)
      ordered = left > numbers
      return ordered ? numbers + 1 + names : numbers
    })
    const { names, learned } = state
    regressions.reset(this.#first + names.length, learned)
    const order = new Float64Array(ordered ? 1 + names.length : 0)
    state.fill([...regressions.arrays, order])
    regressions.resume()
    this.#learned = learned
    this.#evicted = order[0] ?? 0
    this.#names = [...names]
    this.#arms.clear()
    names.forEach((name, n) => void this.#arms.set(name, this.#first + n))
    this.#recency.clear()
    // An order that this model would not keep is none: what it writes must say all that it knows.
    if (ordered && (this.#scarce || this.#evicted > 0))
      for (const row of order.subarray(1)) this.#recency.append(row)
    else for (const row of this.#arms.values()) this.#recency.append(row)
  }

  /**
   * Adds another part's sums, its arms in the order in which they were learned last. Exact, or refused.
   * @throws MillraceError SNAPSHOT_MISMATCH where the other is of another kind, dimension or λ, or the state is no sum; NON_FINITE_NUMBER where
   * a sum would overflow; UNKNOWN_ARM where there would be more than `maxArms`, or a part has evicted arms. The state is then untouched.
   */
  merge(other: LinearModel): void {
    const { kind, dimension, lambda, mergeable } = this
    if (!mergeable) throw new MillraceError('SNAPSHOT_MISMATCH', `merge: the state of ${kind} is no sum`)
    if (other.kind !== kind || other.dimension !== dimension || other.lambda !== lambda) {
      throw new MillraceError('SNAPSHOT_MISMATCH', `merge: ${other.kind} is not the same policy as ${kind}`)
    }
    const mine = this.#regressions
    const theirs = other.#regressions
    const parts = this.#shared ? [ALL] : [...other.#recency]
    const armOf = (row: number): string => (this.#shared ? '' : other.#names[row]!)
    const rowOf = (arm: string): number => (this.#shared ? ALL : (this.#arms.get(arm) ?? -1))
    let fresh = 0
    for (const from of parts) {
      const at = rowOf(armOf(from))
      if (at < 0) fresh++
      else if (!mine.canAdd(at, theirs, from))
        throw new MillraceError('NON_FINITE_NUMBER', `merge: the sums of arm '${armOf(from)}' would overflow`)
    }
    if (this.#arms.size + fresh > this.#maxArms || this.#evicted + other.#evicted > 0)
      throw new MillraceError('UNKNOWN_ARM', `merge: more than ${this.#maxArms} arms`)
    for (const from of parts) {
      let at = rowOf(armOf(from))
      if (at < 0) {
        at = mine.open()
        this.#begin(armOf(from), at)
      } else if (this.#scarce) this.#recency.touch(at)
      mine.merge(at, theirs, from)
    }
    this.#learned += other.#learned
  }

  /** Whether more than half of the places are taken, so that the order in which arms are learned is kept. */
  get #scarce(): boolean {
    return 2 * this.#arms.size > this.#maxArms
  }

  /** A new arm has regression `row`, which was another's if it is on the list. */
  #begin(arm: string, row: number): void {
    const n = row - this.#first
    const former = this.#names[n]
    if (former === undefined) this.#recency.append(row)
    else {
      this.#arms.delete(former)
      this.#evicted++
      this.#recency.touch(row)
    }
    this.#names[n] = arm
    this.#arms.set(arm, row)
  }

  #reserve(count: number): void {
    if (count <= this.#rows.length) return
    this.#estimates = new Float64Array(2 * count)
    this.#variances = new Float64Array(2 * count)
    this.#rows = new Int32Array(2 * count)
    this.#places = new Int32Array(2 * count)
    this.#lows = new Float64Array(2 * count)
    this.#highs = new Float64Array(2 * count)
    this.#rowOf = new Int32Array(2 * count)
  }
}

const regressionsOf = (options: RidgeOptions, forgetting: Forgetting): RidgeRegressions => {
  if (forgetting === 'never') return new RidgeRegressions(options)
  return 'discount' in forgetting
    ? new DiscountedRegressions(options, forgetting.discount)
    : new WindowedRegressions(options, forgetting.window)
}

/** What a kind adds for a prior and a way of forgetting: states under others are not to be mixed up. */
const layoutOf = (prior: 'zero' | 'pooled', forgetting: Forgetting): string => {
  const memory =
    forgetting === 'never'
      ? ''
      : 'discount' in forgetting
        ? `+discount(${forgetting.discount})`
        : `+window(${forgetting.window})`
  return (prior === 'pooled' ? '+pooled' : '') + memory
}

/** @throws MillraceError NON_FINITE_NUMBER */
const requireFinite = (arms: readonly string[], estimates: Float64Array, variances: Float64Array): void => {
  for (let a = 0; a < arms.length; a++) {
    // Any number of a vector that is not finite makes its arm's numbers so.
    if (Number.isFinite(estimates[a]! + variances[a]!)) continue
    throw new MillraceError('NON_FINITE_NUMBER', `arms[${a}]: the score of '${arms[a]}' is not finite`)
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
