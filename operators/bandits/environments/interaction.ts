/**
 * A policy in an environment, under attack or not: it decides, is paid, and learns, right away or some rounds later. Counts regret (best mean − mean of the
 * arm taken), rewards as they truly were, and what the attack cost. Cost: that of the policy; nothing is allocated a round, but while vectors are attacked.
 */
import { MillraceError } from '../../../schemas/errors.ts'
import type { Attack, ContextAttack } from '../attacks/attack.ts'
import { decisionOutput } from '../decision-output.ts'
import type { DecisionOutput, HyperParameter, LearningInput, Policy } from '../policy.ts'
import type { Environment } from './environment.ts'

export interface InteractionOptions {
  readonly policy: Policy
  readonly environment: Environment
  readonly attack?: Attack
  /** Numbers in [0, 1) for the policy's own draws. */
  readonly uniform: () => number
  /** Rounds between a decision and its reward; default 0. */
  readonly delay?: number
}

interface Pending extends LearningInput {
  counts: boolean
  arm: string
  vector: Float64Array
  reward: number
  propensity: number
  hyperParameters: readonly HyperParameter[]
}

export class Interaction {
  readonly #policy: Policy
  readonly #environment: Environment
  readonly #attack: Attack | undefined
  readonly #draws: RepeatableDraws
  readonly #output: DecisionOutput
  /** Outcomes on their way, in a ring; one more than the delay. */
  readonly #pending: Pending[]
  #rounds = 0
  #counted = 0
  #regret = 0
  #reward = 0
  #lastAttacked = -1
  #arm = -1

  /** @throws MillraceError INVALID_CONFIG where dimensions differ, or an attack would need means that nobody knows */
  constructor({ policy, environment, attack, uniform, delay = 0 }: InteractionOptions) {
    if (policy.dimension !== environment.dimension) {
      throw new MillraceError(
        'INVALID_CONFIG',
        `the policy has dimension ${policy.dimension}, the environment ${environment.dimension}`,
      )
    }
    if (attack !== undefined && !environment.knowsMeans)
      throw new MillraceError('INVALID_CONFIG', `attack ${attack.name}: a log does not know the means`)
    if (!(Number.isSafeInteger(delay) && delay >= 0))
      throw new MillraceError('INVALID_CONFIG', `delay: ${String(delay)} is not a whole number from 0`)
    this.#policy = policy
    this.#environment = environment
    this.#attack = attack
    this.#draws = new RepeatableDraws(uniform)
    this.#output = decisionOutput(environment.arms.length)
    this.#pending = Array.from({ length: delay + 1 }, () => ({
      counts: false,
      arm: '',
      vector: new Float64Array(policy.dimension),
      reward: 0,
      propensity: 1,
      hyperParameters: [],
    }))
  }

  /** Rounds played. */
  get rounds(): number {
    return this.#rounds
  }

  /** Rounds that counted: all, but in a log. */
  get counted(): number {
    return this.#counted
  }

  /** Sum of (best mean − mean of the arm taken) over the rounds; NaN in a log. */
  get regret(): number {
    return this.#regret
  }

  /** Sum of the rewards, without what an attack made of them. */
  get reward(): number {
    return this.#reward
  }

  get cost(): number {
    return this.#attack?.budget.cost ?? 0
  }

  /** Rounds attacked. */
  get attacks(): number {
    return this.#attack?.budget.attacks ?? 0
  }

  /** The last round attacked, from 0; −1 where none was. */
  get lastAttacked(): number {
    return this.#lastAttacked
  }

  /** Index of the arm taken last; −1 before the first round. */
  get arm(): number {
    return this.#arm
  }

  /** Plays so many rounds more, or as many as the environment still has. @throws MillraceError as the policy */
  play(rounds: number): void {
    const until = Math.min(this.#rounds + rounds, this.#environment.rounds)
    while (this.#rounds < until) this.#step()
  }

  #step(): void {
    const environment = this.#environment
    const attack = this.#attack
    const output = this.#output
    environment.next()
    const { means, input } = environment
    const attacksBefore = this.attacks
    this.#draws.forget()
    this.#policy.decide(input, this.#draws.uniform, output)
    const outcome = this.#pending[this.#rounds % this.#pending.length]!
    if (attack?.on === 'context') this.#attackVector(attack, outcome.vector)
    else copyRow(input.vectors, output.arm, outcome.vector)
    const arm = output.arm
    this.#arm = arm

    let best = means[0]!
    for (let a = 1; a < means.length; a++) best = Math.max(best, means[a]!)
    this.#regret += best - means[arm]!
    const reward = environment.reward(arm)
    const counts = !Number.isNaN(reward)
    if (counts) {
      this.#reward += reward
      this.#counted++
    }
    const seen = attack?.on === 'reward' ? attack.mean(means, arm) + (reward - means[arm]!) : reward
    outcome.counts = counts
    outcome.arm = input.arms[arm]!
    outcome.reward = environment.target(seen)
    outcome.propensity = output.probabilities[arm]!
    outcome.hyperParameters = output.hyperParameters
    if (this.attacks > attacksBefore) this.#lastAttacked = this.#rounds

    this.#rounds++
    const due = this.#pending[this.#rounds % this.#pending.length]!
    if (due.counts) this.#policy.learn(due)
  }

  /** Shows the policy a changed vector and lets it decide again, by the same draws; writes the vector of the arm taken, as it was shown. */
  #attackVector(attack: ContextAttack, vector: Float64Array): void {
    const { input, means } = this.#environment
    const { vectors } = input
    const output = this.#output
    const attacked = output.arm
    copyRow(vectors, attacked, vector)
    const shown = vectors.subarray(attacked * vector.length, (attacked + 1) * vector.length)
    if (!attack.vector(means, attacked, shown)) return
    const truth = vector.slice()
    this.#draws.repeat()
    this.#policy.decide({ ...input, oneVector: false }, this.#draws.uniform, output)
    copyRow(vectors, output.arm, vector)
    shown.set(truth)
  }
}

/** See Interaction. @throws MillraceError INVALID_CONFIG */
export const interaction = (options: InteractionOptions): Interaction => new Interaction(options)

const copyRow = (rows: Float64Array, row: number, into: Float64Array): void => {
  const start = row * into.length
  for (let i = 0; i < into.length; i++) into[i] = rows[start + i]!
}

/** Uniform numbers that can be given once more, so that a decision made again differs only by what it sees. */
class RepeatableDraws {
  readonly #source: () => number
  #drawn = new Float64Array(64)
  #count = 0
  #at = 0

  constructor(source: () => number) {
    this.#source = source
  }

  readonly uniform = (): number => {
    if (this.#at === this.#count) {
      if (this.#count === this.#drawn.length) {
        const larger = new Float64Array(2 * this.#count)
        larger.set(this.#drawn)
        this.#drawn = larger
      }
      this.#drawn[this.#count++] = this.#source()
    }
    return this.#drawn[this.#at++]!
  }

  forget(): void {
    this.#count = 0
    this.#at = 0
  }

  repeat(): void {
    this.#at = 0
  }
}
