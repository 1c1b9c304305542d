/**
 * The contract of every policy, and of everything that wraps one. A policy's state is a fold over its outcomes:
 * `state = outcomes.reduce(learn, initial)`. Deciding only reads.
 *
 * Vectors are Float64Array of the policy's dimension, packed row-major where there are several. Hot paths allocate nothing per arm:
 * callers own the buffers, policies own their scratch space.
 */

/** The arms of one decision, featurised. */
export interface DecisionInput {
  /** Ids, unique, at least one. */
  readonly arms: readonly string[]
  /** arms.length × dimension, row-major: the vector of each arm (the context alone for a disjoint policy without arm features). */
  readonly vectors: Float64Array
  /** Whether all rows are equal, as for arms without features of their own; policies find out where it is left out. */
  readonly oneVector?: boolean
}

/** A hyper-parameter in force for a decision, and the probability with which it was drawn: 1 where it was given. */
export interface HyperParameter {
  readonly name: string
  readonly value: number
  readonly probability: number
}

/** What a policy writes about a decision. The caller owns and may reuse it; arrays hold at least arms.length numbers. */
export interface DecisionOutput {
  /** Index of the arm taken. */
  arm: number
  /** Probability of every arm, floored and summing to 1. */
  readonly probabilities: Float64Array
  /** Indices of the arms, best first (ties: lower index first). */
  readonly ranking: Int32Array
  /** Hyper-parameters in force: an array that nobody changes afterwards, so that it may be kept. */
  hyperParameters: readonly HyperParameter[]
}

/** One outcome to learn from. */
export interface LearningInput {
  readonly arm: string
  /** The vector of the arm that was taken. */
  readonly vector: Float64Array
  readonly reward: number
  /** Probability with which the arm was taken, above 0, at most 1. */
  readonly propensity: number
  /** What the decision said of its hyper-parameters; absent where unknown. */
  readonly hyperParameters?: readonly HyperParameter[]
}

/** What a policy makes of each arm, before any exploration; arms.length numbers each. */
export interface ArmEstimates {
  /** Expected rewards. */
  readonly estimates: Float64Array
  /** Widths of their confidence, in units of the reward and without the exploration's factor. */
  readonly widths: Float64Array
}

export interface Policy {
  /** `lin-ucb-disjoint`, … : names the algorithm and the layout of its snapshot. */
  readonly kind: string
  readonly dimension: number
  readonly propensityKind: 'exact' | 'estimated'
  /** Outcomes learned so far. */
  readonly learned: number
  /** Arms forgotten to make room for others; 0 where a policy keeps nothing an arm. */
  readonly evicted: number
  /**
   * Chooses an arm. Reads state only. `uniform()` gives numbers in [0, 1) from the decision's own generator.
   * The arm is drawn from `output.probabilities`: the number logged is the number used.
   */
  decide(input: DecisionInput, uniform: () => number, output: DecisionOutput): void
  /**
   * Folds one outcome of its own decisions into the state.
   * @throws MillraceError NON_FINITE_NUMBER, WRONG_DIMENSION, INVALID_PROPENSITY: the state is then untouched.
   */
  learn(outcome: LearningInput): void
  /**
   * Folds an outcome of another policy's decision, whose arms are `input`, into the state. Only where that differs from `learn`: a syndicate judges its
   * hyper-parameters by what each would have chosen, not by draws that were not its own.
   * @throws MillraceError as `learn` and `decide`: the state is then untouched.
   */
  observe?(input: DecisionInput, outcome: LearningInput): void
  /** What it makes of the arms, for people; copies. Only where it has estimates. @throws MillraceError as `decide` */
  explain?(input: DecisionInput): ArmEstimates
  /** The whole state as bytes: `restore(snapshot())` is the identity, to the last bit. */
  snapshot(): Uint8Array
  /** @throws MillraceError SNAPSHOT_CORRUPT, SNAPSHOT_MISMATCH: the state is then untouched. */
  restore(bytes: Uint8Array): void
}

/** A policy whose state is a sum, so that parts folded apart can be added. */
export interface MergeablePolicy extends Policy {
  /** False where its options make the state no sum: `merge` then refuses (SNAPSHOT_MISMATCH). */
  readonly mergeable?: boolean
  /** Adds another part's sums to this one's; exact up to the order of floating-point additions. */
  merge(other: MergeablePolicy): void
}

/**
 * A policy that can be asked what it would do under any value of the one hyper-parameter that only deciding reads (α of LinUCB, ε of ε-greedy, γ of
 * SquareCB). What wraps it (a syndicate) looks at the arms once and spreads probability for as many values as it likes.
 */
export interface TunablePolicy extends Policy {
  /** The hyper-parameter's name, and its value in force now. */
  readonly explorationName: string
  readonly exploration: number
  /**
   * Looks at the arms of a decision: `spread` and `rank` are about them until the next call.
   * @throws MillraceError EMPTY_ARMS, WRONG_DIMENSION, NON_FINITE_NUMBER
   */
  look(input: DecisionInput, uniform: () => number): void
  /** Adds `weight` times the distribution over the arms under this exploration, without any floor, to `probabilities`. */
  spread(exploration: number, weight: number, probabilities: Float64Array): void
  /** The one arm that takes all under this exploration: what `spread` would say, for less. Only where there always is one. */
  favourite?(exploration: number): number
  /**
   * As `look`, for those who will ask for `favourite` and `rank` alone: the same answers, for less where not every arm needs a close look.
   * @throws MillraceError as `look`
   */
  glance?(input: DecisionInput): void
  /** Writes the indices of the arms into `ranking`, best under this exploration first (ties: lower index first). */
  rank(exploration: number, ranking: Int32Array): void
}
