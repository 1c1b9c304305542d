/**
 * A guard before a policy's learning: rewards and features beyond a range count as the nearer end, so that one of them, mistaken or malicious, moves the state by
 * no more than an honest one could. Numbers that are not finite are refused, as ever. Decisions see clipped features too. Cost: a pass over the vectors.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { DecisionInput, DecisionOutput, LearningInput, Policy } from '../policy.ts'

export interface RewardGuardOptions {
  /** Smallest and largest reward; default: any. */
  readonly rewards?: readonly [number, number]
  /** Smallest and largest number of a vector; default: any. */
  readonly features?: readonly [number, number]
}

const ANY = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const

export class RewardGuard<P extends Policy = Policy> implements Policy {
  readonly kind: string
  readonly dimension: number
  readonly propensityKind: 'exact' | 'estimated'
  /** The policy behind the guard. */
  readonly policy: P
  readonly #rewards: readonly [number, number]
  readonly #features: readonly [number, number] | undefined
  readonly #vector: Float64Array
  #vectors = new Float64Array(0)

  /** @throws MillraceError INVALID_CONFIG */
  constructor(policy: P, { rewards = ANY, features }: RewardGuardOptions) {
    for (const [name, range] of Object.entries({ rewards, features })) {
      if (range === undefined || range[0] <= range[1]) continue
      throw new MillraceError('INVALID_CONFIG', `rewardGuard.${name}: [${range.join(', ')}] is not a range`)
    }
    this.policy = policy
    this.kind = policy.kind
    this.dimension = policy.dimension
    this.propensityKind = policy.propensityKind
    this.#rewards = rewards
    this.#features = features
    this.#vector = new Float64Array(policy.dimension)
  }

  get learned(): number {
    return this.policy.learned
  }

  get evicted(): number {
    return this.policy.evicted
  }

  decide(input: DecisionInput, uniform: () => number, output: DecisionOutput): void {
    this.policy.decide(this.#inputOf(input), uniform, output)
  }

  learn(outcome: LearningInput): void {
    this.policy.learn(this.#outcomeOf(outcome))
  }

  observe(input: DecisionInput, outcome: LearningInput): void {
    const guarded = this.#outcomeOf(outcome)
    if (this.policy.observe === undefined) this.policy.learn(guarded)
    else this.policy.observe(this.#inputOf(input), guarded)
  }

  snapshot(): Uint8Array {
    return this.policy.snapshot()
  }

  restore(bytes: Uint8Array): void {
    this.policy.restore(bytes)
  }

  #inputOf(input: DecisionInput): DecisionInput {
    if (this.#features === undefined) return input
    const { vectors } = input
    if (this.#vectors.length !== vectors.length) this.#vectors = new Float64Array(vectors.length)
    return { ...input, vectors: clipped(vectors, this.#features, this.#vectors) }
  }

  #outcomeOf(outcome: LearningInput): LearningInput {
    const { vector, reward } = outcome
    const fits = vector.length === this.dimension
    return {
      ...outcome,
      reward: clip(reward, this.#rewards),
      vector: this.#features === undefined || !fits ? vector : clipped(vector, this.#features, this.#vector),
    }
  }
}

/** What is not finite stays: it is to be refused. */
const clip = (value: number, [low, high]: readonly [number, number]): number =>
  Number.isFinite(value) ? Math.min(Math.max(value, low), high) : value

const clipped = (from: Float64Array, range: readonly [number, number], to: Float64Array): Float64Array => {
  for (let i = 0; i < from.length; i++) to[i] = clip(from[i]!, range)
  return to
}

/** See RewardGuard. @throws MillraceError INVALID_CONFIG */
export const rewardGuard = <P extends Policy>(policy: P, options: RewardGuardOptions): RewardGuard<P> =>
  new RewardGuard(policy, options)
