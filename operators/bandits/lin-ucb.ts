/**
 * LinUCB: linear rewards, optimism in the face of uncertainty (Li, Chu, Langford and Schapire 2010; Abbasi-Yadkori, Pál and
 * Szepesvári 2011). An arm's score is xᵀθ + α√(xᵀV⁻¹x): its estimated reward and the width of its confidence.
 *
 *   disjoint  every arm has a regression of its own over the context: for arms known by name
 *   shared    one regression over vectors that describe context and arm: for arms that come and go
 *
 * The best score (ties: lowest index) gets all probability but the uniform floor; the arm is drawn from that distribution.
 * Cost: a decision d²/2 multiplications an arm, an outcome about 2d²; memory d² numbers a regression. Nothing is allocated an event.
 * Promises: the law battery in test/operators/bandits/laws.ts; scores and probabilities of an arm do not depend on its place among the arms.
 */
import { MillraceError } from '../../schemas/errors.ts'
import { Ranking } from '../numerics/ranking.ts'
import { drawArm, greedyWithFloor } from './exploration-floor.ts'
import type { LinUcbOptions } from './lin-ucb-options.ts'
import { requireOptions } from './lin-ucb-options.ts'
import type { DecisionInput, DecisionOutput, LearningInput, MergeablePolicy } from './policy.ts'
import { RidgeRegressions } from './ridge.ts'
import { decodeSnapshot, encodeSnapshot } from './snapshot-format.ts'
import { theoreticalAlpha } from './theoretical-alpha.ts'

export type { LinUcbOptions } from './lin-ucb-options.ts'

/** The one regression of the shared variant. */
const SHARED = 0

export class LinUcb implements MergeablePolicy {
  readonly kind: 'lin-ucb-disjoint' | 'lin-ucb-shared'
  readonly dimension: number
  readonly propensityKind = 'exact'
  readonly #options: Required<LinUcbOptions>
  readonly #shared: boolean
  readonly #regressions: RidgeRegressions
  /** Arm → its regression, in the order in which arms were first learned; empty where shared. */
  #arms = new Map<string, number>()
  #learned = 0

  readonly #ranking = new Ranking()
  #scores = new Float64Array(0)
  /** Of the decision's arms that were learned before: their regressions, their places, θᵀx and xᵀV⁻¹x. */
  #rows = new Int32Array(0)
  #places = new Int32Array(0)
  #estimates = new Float64Array(0)
  #variances = new Float64Array(0)

  /** @throws MillraceError INVALID_CONFIG */
  constructor(options: LinUcbOptions) {
    this.#options = requireOptions(options)
    this.#shared = options.variant === 'shared'
    this.kind = this.#shared ? 'lin-ucb-shared' : 'lin-ucb-disjoint'
    this.dimension = options.dimension
    this.#regressions = new RidgeRegressions(this.#options)
    if (this.#shared) this.#regressions.add()
  }

  get learned(): number {
    return this.#learned
  }

  /** α in force: as given, or the theoretical one after `learned` outcomes (for disjoint arms an upper bound, each having learned at most so many). */
  get alpha(): number {
    const { alpha, lambda, theory } = this.#options
    return alpha === 'theory' ? theoreticalAlpha(this.#learned, this.dimension, lambda, theory) : alpha
  }

  get hyperParameters(): MergeablePolicy['hyperParameters'] {
    return [{ name: 'alpha', value: this.alpha, probability: 1 }]
  }

  /** θ of an arm, a copy; zeros for an arm never learned. The shared variant has one θ for all. */
  theta(arm = ''): Float64Array {
    const at = this.#shared ? SHARED : this.#arms.get(arm)
    return at === undefined ? new Float64Array(this.dimension) : this.#regressions.thetaOf(at)
  }

  /**
   * Chooses an arm; see Policy.
   * @throws MillraceError EMPTY_ARMS, WRONG_DIMENSION, NON_FINITE_NUMBER: `output` is then untouched.
   */
  decide(input: DecisionInput, uniform: () => number, output: DecisionOutput): void {
    const count = input.arms.length
    this.#score(input)
    const scores = this.#scores
    let best = 0
    for (let a = 1; a < count; a++) if (scores[a]! > scores[best]!) best = a
    greedyWithFloor(best, count, this.#options.explorationFloor, output.probabilities)
    this.#ranking.rank(scores, count, output.ranking)
    output.arm = drawArm(output.probabilities, count, uniform())
  }

  /** Every arm's upper confidence bound, a copy: what the choice rests on. @throws as `decide` */
  scores(input: DecisionInput): Float64Array {
    this.#score(input)
    return this.#scores.slice(0, input.arms.length)
  }

  /**
   * Folds one outcome into the state; see Policy.
   * @throws MillraceError WRONG_DIMENSION, NON_FINITE_NUMBER, INVALID_PROPENSITY; UNKNOWN_ARM for a new arm beyond `maxArms`.
   */
  learn({ arm, vector, reward, propensity }: LearningInput): void {
    if (vector.length !== this.dimension) {
      throw new MillraceError(
        'WRONG_DIMENSION',
        `vector: ${vector.length} numbers, the policy's dimension is ${this.dimension}`,
      )
    }
    if (!(propensity > 0 && propensity <= 1)) {
      throw new MillraceError('INVALID_PROPENSITY', `propensity: ${propensity} is not in (0, 1]`)
    }
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
    return encodeSnapshot(this.#header, body, this.#regressions.arrays)
  }

  restore(bytes: Uint8Array): void {
    const rows = (names: number): number => (this.#shared ? 1 : names)
    const regressions = this.#regressions
    const state = decodeSnapshot(bytes, this.#header, (names) => regressions.stateLength(rows(names)))
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
  merge(other: MergeablePolicy): void {
    const { kind, dimension, lambda } = this.#header
    if (
      !(other instanceof LinUcb) ||
      other.kind !== kind ||
      other.dimension !== dimension ||
      other.#options.lambda !== lambda
    ) {
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

  get #maxArms(): number {
    return Math.min(this.#options.maxArms, this.#regressions.limit)
  }

  get #header() {
    return { kind: this.kind, dimension: this.dimension, lambda: this.#options.lambda }
  }

  #reserve(count: number): void {
    if (count <= this.#scores.length) return
    this.#scores = new Float64Array(2 * count)
    this.#estimates = new Float64Array(2 * count)
    this.#variances = new Float64Array(2 * count)
    this.#rows = new Int32Array(2 * count)
    this.#places = new Int32Array(2 * count)
  }

  /** Fills `#scores` with every arm's upper confidence bound. */
  #score({ arms, vectors, oneVector }: DecisionInput): void {
    const d = this.dimension
    const count = arms.length
    if (count === 0) throw new MillraceError('EMPTY_ARMS', 'a decision needs at least one arm')
    if (vectors.length !== count * d) {
      throw new MillraceError(
        'WRONG_DIMENSION',
        `${vectors.length} numbers for ${count} arms of dimension ${d}`,
      )
    }
    this.#reserve(count)
    const { lambda } = this.#regressions
    const alpha = this.alpha
    const rows = this.#rows
    const places = this.#places
    const scores = this.#scores
    const estimates = this.#estimates
    const variances = this.#variances
    let known = 0
    for (let a = 0; a < count; a++) {
      const row = this.#shared ? SHARED : this.#arms.get(arms[a]!)
      if (row === undefined) {
        scores[a] = upperBound(0, alpha, squaredLength(vectors, a * d, d) / lambda)
      } else {
        rows[known] = row
        places[known++] = a
      }
    }
    const same = !this.#shared && (oneVector ?? sameRows(vectors, count, d))
    this.#regressions.predict(rows, places, known, vectors, same, estimates, variances)
    for (let n = 0; n < known; n++) scores[places[n]!] = upperBound(estimates[n]!, alpha, variances[n]!)
    for (let a = 0; a < count; a++) {
      // Any number of a vector that is not finite makes its arm's score so.
      if (Number.isFinite(scores[a])) continue
      throw new MillraceError('NON_FINITE_NUMBER', `arms[${a}]: the score of '${arms[a]}' is not finite`)
    }
  }
}

const squaredLength = (vectors: Float64Array, start: number, d: number): number => {
  let sum = 0
  for (let k = start; k < start + d; k++) sum += vectors[k]! * vectors[k]!
  return sum
}

/** Estimate and width; a variance below zero is rounding alone. */
const upperBound = (estimate: number, alpha: number, variance: number): number =>
  estimate + alpha * Math.sqrt(Math.max(variance, 0))

/** Whether all rows hold the same numbers, as they do where arms have no features of their own. */
const sameRows = (vectors: Float64Array, count: number, d: number): boolean => {
  for (let k = d; k < count * d; k++) if (vectors[k] !== vectors[k - d]) return false
  return true
}

/** A LinUCB policy without experience. @throws MillraceError INVALID_CONFIG */
export const linUcb = (options: LinUcbOptions): LinUcb => new LinUcb(options)
