/**
 * A linear world that changes: θ is drawn anew every `every` rounds (`abrupt`), or turns in the plane of two draws, once around in `every` rounds (`slow`).
 * Everything else is as in linear.ts.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { DecisionInput } from '../policy.ts'
import { drawEvenly, type Environment } from './environment.ts'
import { LinearEnvironment, type LinearEnvironmentOptions } from './linear.ts'

export interface DriftingOptions extends LinearEnvironmentOptions {
  /** How θ changes; default `abrupt`. */
  readonly drift?: 'abrupt' | 'slow'
  /** Rounds between two changes, or of one turn; at least 1. */
  readonly every: number
}

export class DriftingEnvironment implements Environment {
  readonly rounds = Number.POSITIVE_INFINITY
  readonly knowsMeans = true
  readonly #linear: LinearEnvironment
  readonly #slow: boolean
  readonly #every: number
  readonly #uniform: () => number
  /** The two ends of a slow turn: θ at its beginning, and a quarter later. */
  readonly #from: Float64Array
  readonly #towards: Float64Array
  #round = -1

  /** @throws MillraceError INVALID_CONFIG naming the option */
  constructor({ drift = 'abrupt', every, ...options }: DriftingOptions, uniform: () => number) {
    if (!(Number.isSafeInteger(every) && every >= 1))
      throw new MillraceError('INVALID_CONFIG', `every: ${String(every)} is not a whole number from 1`)
    this.#linear = new LinearEnvironment(options, uniform)
    this.#slow = drift === 'slow'
    this.#every = every
    this.#uniform = uniform
    this.#from = this.#linear.theta.slice()
    this.#towards = new Float64Array(this.#from.length)
    if (this.#slow) drawEvenly(this.#towards, this.#bound, uniform)
  }

  get dimension(): number {
    return this.#linear.dimension
  }

  get arms(): readonly string[] {
    return this.#linear.arms
  }

  get input(): DecisionInput {
    return this.#linear.input
  }

  get means(): Float64Array {
    return this.#linear.means
  }

  /** θ in force. */
  get theta(): Float64Array {
    return this.#linear.theta
  }

  next(): void {
    this.#round++
    if (this.#slow) this.#turn()
    else if (this.#round > 0 && this.#round % this.#every === 0)
      drawEvenly(this.theta, this.#bound, this.#uniform)
    this.#linear.next()
  }

  reward(arm: number): number {
    return this.#linear.reward(arm)
  }

  target(reward: number): number {
    return this.#linear.target(reward)
  }

  get #bound(): number {
    return 1 / Math.sqrt(this.dimension)
  }

  #turn(): void {
    const angle = (2 * Math.PI * (this.#round % this.#every)) / this.#every
    const { theta } = this
    for (let i = 0; i < theta.length; i++)
      theta[i] = Math.cos(angle) * this.#from[i]! + Math.sin(angle) * this.#towards[i]!
  }
}

/** See DriftingEnvironment. @param uniform numbers in [0, 1) @throws MillraceError INVALID_CONFIG */
export const driftingEnvironment = (options: DriftingOptions, uniform: () => number): DriftingEnvironment =>
  new DriftingEnvironment(options, uniform)
